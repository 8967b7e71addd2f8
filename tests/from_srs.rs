//! Files in SRS's syntax become ours: `tests/from_srs/*.conf` and what is expected of them, `*.toml`.
#![cfg(test)]
#![cfg(feature = "from-srs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use srs_lite::config::{Config, HttpServer};
use srs_lite::from_srs::{convert, convert_file};
use srs_lite::limits;

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/from_srs").unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut samples: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    samples.sort();
    samples
}

/// `srs-lite --from-srs` makes what is expected anew.
#[test]
fn each_sample_becomes_what_is_expected_of_it_and_loads() {
    for path in samples() {
        let expected = fs::read_to_string(path.with_extension("toml")).unwrap();
        let toml = convert_file(&path).unwrap();
        assert_eq!(toml, expected, "{}", path.display());
        Config::parse(&toml, "result").unwrap();
    }
}

/// Every directive that `src/from_srs` or `src/config/srs.rs` knows is in a sample.
#[test]
fn every_directive_that_is_known_is_in_a_sample() {
    let mut words = BTreeSet::new();
    for path in samples() {
        let text = fs::read_to_string(path).unwrap();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        words.extend(text.split(|c| !is_word(c)).map(str::to_owned));
    }
    let read = |path| fs::read_to_string(path).unwrap();
    let srs = read("src/config/srs.rs");
    let (_, directives) = srs.split_once("const DIRECTIVES").unwrap();
    let (directives, _) = directives.split_once("\n];").unwrap();
    let mut count = 0;
    for text in [
        directives,
        &read("src/from_srs/keys.rs"),
        &read("src/from_srs/old.rs"),
    ] {
        let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
        let quoted = text.split('"').skip(1).step_by(2);
        for path in quoted.filter(|text| !text.is_empty() && text.chars().all(is_path)) {
            // Defaults are no directives.
            let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let is_default = |word: &&str| matches!(*word, "true" | "false");
            for word in path
                .split('.')
                .filter(is_name)
                .filter(|word| !is_default(word))
            {
                assert!(words.contains(word), "{path} is in no sample");
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count} directives");
}

/// What cannot be read is refused with its place, and what to do.
#[test]
fn what_is_not_srss_syntax_is_refused_with_its_place() {
    let cases = [
        (
            "listen 1935",
            "1:12: the line ends within a directive; write `;` or `{` before this",
        ),
        (
            "listen 1935\n;",
            "1:12: the line ends within a directive; write `;` or `{` before this",
        ),
        (
            "listen 1935 # a\n;",
            "1:16: the line ends within a directive; write `;` or `{` before this",
        ),
        (
            "listen 1935;\n  vhost a\n{}",
            "2:10: the line ends within a directive; write `;` or `{` before this",
        ),
        ("  ;", "1:3: nothing stands before this `;`; remove it"),
        ("\"\" ;", "1:4: nothing stands before this `;`; remove it"),
        (
            "a;{",
            "1:3: nothing stands before this `{`; write the block's name",
        ),
        (
            "a { b }",
            "1:7: `}` within a directive; end it with `;` before",
        ),
        ("a;\n}", "2:1: no block begins before this `}`; remove it"),
        (
            "a;\nb { c {}",
            "2:1: the file ends within this block; close it with `}`",
        ),
        (
            "a 'b;\n'",
            "1:3: the line ends within this word; close it with `'`",
        ),
        (
            "a \"b\"c;",
            "1:6: expected a space, `;` or `{` after a word in quotes",
        ),
        ("a b\u{7}c;", "1:4: control character \\u{7}; remove it"),
        ("a;\ninclude;", "2:1: expected the path of a file, and `;`"),
        ("include a {}", "1:1: expected the path of a file, and `;`"),
        (
            "include a;",
            "1:1: a: there is none; it is looked for from the directory in which srs-lite is started",
        ),
    ];
    for (text, expected) in cases {
        let error = convert("a.conf", text, &|_| Err("there is none".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), format!("a.conf:{expected}"), "{text}");
    }
}

#[test]
fn a_file_that_srs_could_not_start_with_is_refused() {
    let error = convert("a.conf", "pid a;", &|_| Err(String::new())).unwrap_err();
    let expected = "a.conf: no `listen`, without which SRS does not start; take the file that \
                    includes this one, if one does";
    assert_eq!(error.to_string(), expected);
    let error = convert_file(Path::new("none/a.conf"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "none/a.conf: cannot be read (No such file or directory (os error 2))"
    );
}

/// Nobody may do more than the file allows: what guards something becomes no comment.
#[test]
fn what_guards_something_is_refused_if_it_cannot_be_kept() {
    let refused = |text: &str| {
        let text = format!("listen 1935;\n{text}");
        let error = convert("a.conf", &text, &|_| Err(String::new())).unwrap_err();
        error.to_string()
    };
    if Config::keys().contains(&"http_hooks.on_publish") {
        let hook = "http_hooks {\n enabled on;\n on_publish https://a;\n}";
        let error = refused(&format!("vhost __defaultVhost__ {{\n{hook}\n}}"));
        let expected = "a.conf:5:2: on_publish = [\"https://a\"]: ";
        assert!(error.starts_with(expected), "{error}");
    }
    let error = refused("vhost a.example {\n enabled maybe;\n}");
    let expected = "a.conf:3:2: enabled = \"maybe\": expected true or false, ";
    assert!(error.starts_with(expected), "{error}");
}

/// Each limit is reached, and not passed.
#[test]
fn a_file_and_what_it_includes_have_limits() {
    let include = |file: &str| match file {
        "more" => Ok("a b;".to_owned()),
        depth => {
            let left: usize = depth.parse().unwrap();
            Ok(match left.checked_sub(1) {
                Some(left) => format!("include {left};"),
                None => "listen 1935;".to_owned(),
            })
        }
    };
    let is_refused = |text: &str, why: &str| match convert("a.conf", text, &include) {
        Ok(_) => false,
        Err(error) => {
            assert!(error.to_string().contains(why), "{error}");
            true
        }
    };
    let nested = |depth| format!("listen 1935;{}{}", "a {".repeat(depth), "}".repeat(depth));
    let most = limits::MAX_SRS_CONF_DEPTH;
    assert!(!is_refused(&nested(most), ""));
    assert!(is_refused(
        &nested(most + 1),
        "more than 16 blocks and included files"
    ));
    assert!(!is_refused(&format!("include {};", most - 1), ""));
    assert!(is_refused(
        &format!("include {most};"),
        "more than 16 blocks and included files"
    ));
    let many = |count| format!("listen 1935;{}", "a;".repeat(count - 1));
    let most = limits::MAX_SRS_CONF_DIRECTIVES;
    assert!(!is_refused(&many(most), ""));
    assert!(is_refused(&many(most + 1), "more than 4096 directives"));
    let own = "listen 1935;include more;";
    let more = "a b;".len();
    let long = |length| format!("{}{own}", " ".repeat(length - own.len() - more));
    let most = limits::MAX_SRS_CONF_BYTES;
    assert!(!is_refused(&long(most), ""));
    assert!(is_refused(
        &long(most + 1),
        "more than 1024 KiB with this file"
    ));
}

/// SRS's manual on `SO_REUSEPORT` has these files, and so have we.
#[test]
fn the_files_of_the_reuse_port_manual_become_those_that_come_with_srs_lite() {
    for name in [
        "edge",
        "edge2",
        "origin",
        "origin.hls.only1",
        "origin.hls.only2",
    ] {
        let toml = convert_file(&Path::new("tests/from_srs").join(format!("{name}.conf")));
        let ours = Config::load(&Path::new("conf").join(format!("{name}.conf"))).unwrap();
        let theirs = Config::parse(&toml.unwrap(), name).unwrap();
        // Paths have SRS's names; and where SRS has only HLS, ours has HTTP-FLV as well.
        let mut expected = ours.clone();
        expected.pid = Some(PathBuf::from(match name {
            "edge" | "edge2" => format!("objs/{name}.pid"),
            _ => format!("./objs/{name}.pid"),
        }));
        let dir = PathBuf::from("./objs/nginx/html");
        expected.http_server = ours.http_server.map(|http| HttpServer {
            dir: dir.clone(),
            ..http
        });
        let has_http = expected.http_server.is_some();
        expected.default_vhost.remux = has_http && ours.default_vhost.hls.is_none();
        if let Some(hls) = &mut expected.default_vhost.hls {
            hls.path.clone_from(&dir);
        }
        assert_eq!(theirs, expected, "{name}");
    }
}

#[test]
fn the_command_prints_the_result_or_one_line_of_why_not() {
    let run = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_srs-lite"));
        command.args(["--from-srs", file]).output().unwrap()
    };
    let done = run("tests/from_srs/edge.conf");
    let expected = fs::read("tests/from_srs/edge.toml").unwrap();
    assert_eq!((done.status.code(), done.stdout), (Some(0), expected));
    let refused = run("conf/edge.conf");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), refused.stdout), (Some(1), vec![]));
    assert!(error.starts_with("srs-lite: conf/edge.conf:3:"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
