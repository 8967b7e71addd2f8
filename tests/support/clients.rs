//! The programs that people use: run, and killed when they have recorded enough.

use std::fs::{self, File};
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use nix::unistd::geteuid;

use super::packets::{Of, Packets};
use super::temp::TempDir;
use super::{eventually, media};

/// Its ending tells mpv the format.
const RECORDING: &str = "recording.flv";

/// About two seconds of the sample.
const ENOUGH: u64 = 100_000;

/// A running program. It ends with its test.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    what: String,
    directory: TempDir,
}

/// Whether the test of this command goes on: without the program, or the element of GStreamer, it
/// fails or, if `SRS_LITE_WITHOUT_CLIENTS=1`, says so and does nothing. `packages` are Debian's.
pub(crate) fn installed(command: &str, packages: &str) -> bool {
    let mut words = command.split(' ');
    let program = words.next().unwrap();
    let path = env::var_os("PATH").unwrap();
    let here = env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if here
        && words
            .filter(|word| word.starts_with("rtmp") || word.starts_with("soup"))
            .all(is_element)
    {
        return true;
    }
    let skip = env::var("SRS_LITE_WITHOUT_CLIENTS").is_ok_and(|value| value == "1");
    assert!(skip, "missing: apt-get install {packages}; or {SKIP}");
    // Past libtest, which keeps what a test prints that does not fail.
    writeln!(stderr(), "SKIPPED, needs {packages}: {command}").unwrap();
    false
}

const SKIP: &str = "skip what is missing: SRS_LITE_WITHOUT_CLIENTS=1";

fn is_element(name: &str) -> bool {
    let status = Command::new("gst-inspect-1.0")
        .args(["--exists", name])
        .status();
    status.is_ok_and(|status| status.success())
}

impl Client {
    /// Runs a command in an empty directory, with `URL` and `SAMPLE` replaced. Its standard output,
    /// or what it writes to `FILE`, is the recording.
    pub(crate) fn run(command: &str, url: &str) -> Self {
        let directory = TempDir::new();
        let output = File::create(directory.path().join(RECORDING)).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let sample = media::long_flv();
        let mut words = command.split(' ').map(|word| {
            word.replace("URL", url)
                .replace("SAMPLE", sample.to_str().unwrap())
                .replace("FILE", RECORDING)
        });
        let child = as_user(&words.next().unwrap())
            .args(words)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            what: format!("{command}, {url}"),
            directory,
        }
    }

    fn recording(&self) -> PathBuf {
        self.directory.path().join(RECORDING)
    }

    /// Waits until the program has ended by itself, well: what it wrote to its standard output.
    pub(crate) fn output(mut self) -> String {
        eventually(&self.what, || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}", self.what);
        fs::read_to_string(self.recording()).unwrap()
    }

    /// Waits until enough is recorded and kills the program, since some crash when interrupted;
    /// checks that the recording is a part of the sample.
    pub(crate) fn assert_recorded(mut self, of: Of) {
        let file = self.recording();
        eventually(&self.what, || fs::metadata(&file).unwrap().len() > ENOUGH);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let recorded = Packets::read(&file, of).without_end();
        let source = Packets::read(&media::long_flv(), of);
        recorded.assert_part_of(&source, &self.what);
    }
}

/// VLC refuses to be run by root, and has no switch for it.
fn as_user(program: &str) -> Command {
    if program != "cvlc" || !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", program])
        .env("HOME", "/nonexistent")
        .env_remove("XDG_RUNTIME_DIR");
    command
}

impl Drop for Client {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if thread::panicking() {
            let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let _gone = writeln!(stderr(), "{}, its log:\n{log}", self.what);
        }
    }
}
