//! `srs-lite-load`, the real binary, and what it reports.

use std::process::{Child, Command, Stdio};

use super::server::Server;

/// A running load. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Load(Option<Child>);

/// One that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Load {
    /// Starts it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_srs-lite-load"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(child.unwrap()))
    }

    /// Publishes `file` as `count` streams `live/name1`, … until it is dropped; returns when the
    /// server has allowed all of them.
    pub(crate) fn publish(server: &Server, file: &str, name: &str, count: usize) -> Self {
        let url = format!("rtmp://{}/live/{name}{{}}", server.address());
        let count_text = count.to_string();
        let arguments = ["publish", file, &url, "-n", &count_text];
        let load = Self::start(&[&arguments[..], &["--seconds", "3600", "--json"]].concat());
        server.wait_log_times(&format!("publishes live/{name}"), count);
        load
    }

    /// Waits until it has ended by itself, as it always does.
    pub(crate) fn end(mut self) -> Ended {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}

/// Runs it until it ends.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Load::start(arguments).end()
}

/// Plays, and returns the report; nothing went wrong.
pub(crate) fn play(url: &str, arguments: &[&str]) -> Report {
    let ended = run(&[&["play", url, "--json"], arguments].concat());
    assert_eq!(ended.stderr, "", "{url}");
    assert_eq!(ended.status, Some(0), "{url}");
    Report::parse(&ended.stdout)
}

/// What `--json` prints.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// In the order in which they were told.
    pub(crate) numbers: Vec<(String, f64)>,
    /// Why some ended, and how many.
    pub(crate) failed: Vec<(String, f64)>,
}

impl Report {
    /// Reads one JSON object on one line, of numbers and of `failed`, which holds numbers.
    pub(crate) fn parse(text: &str) -> Self {
        let line = text.strip_suffix('\n').unwrap();
        let mut report = Self::default();
        let mut rest = line;
        object(&mut rest, |name, rest| {
            if name == "failed" {
                let failed = &mut report.failed;
                object(rest, |why, rest| failed.push((why, number(rest))));
            } else {
                report.numbers.push((name, number(rest)));
            }
        });
        assert_eq!(rest, "", "after the object");
        report
    }

    /// The number with this name.
    pub(crate) fn number(&self, name: &str) -> f64 {
        let found = self.numbers.iter().find(|(other, _)| other == name);
        found.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    /// The names, without `failed`.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.numbers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// An object [RFC 8259 §4], without white space.
fn object(rest: &mut &str, mut member: impl FnMut(String, &mut &str)) {
    take(rest, "{");
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return;
    }
    loop {
        let name = string(rest);
        take(rest, ":");
        member(name, rest);
        let Some(after) = rest.strip_prefix(',') else {
            return take(rest, "}");
        };
        *rest = after;
    }
}

fn take(rest: &mut &str, what: &str) {
    let after = rest.strip_prefix(what);
    *rest = after.unwrap_or_else(|| panic!("no {what} at {rest:?}"));
}

/// A string with no escapes but those that need one.
fn string(rest: &mut &str) -> String {
    take(rest, "\"");
    let mut text = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next().unwrap() {
            '"' => break,
            '\\' => text.extend(letters.next().filter(|letter| "\"\\".contains(*letter))),
            letter => {
                assert!(!letter.is_control(), "{letter:?} in a string");
                text.push(letter);
            }
        }
    }
    *rest = letters.as_str();
    text
}

/// A number [RFC 8259 §6], without an exponent.
fn number(rest: &mut &str) -> f64 {
    let end = rest.find([',', '}']).unwrap();
    let (text, after) = rest.split_at(end);
    *rest = after;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    assert!(is_digits(whole) && is_digits(fraction), "{text}");
    assert!(whole == "0" || !whole.starts_with('0'), "{text}");
    text.parse().unwrap()
}
