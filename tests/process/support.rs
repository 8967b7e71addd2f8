//! A room for a test's files, and a server that runs in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_srs-lite");

/// How long anything may take that should happen at once; the stop is promised within it.
const SOON: Duration = Duration::from_secs(3);

/// A directory of one test.
pub(super) struct Room {
    pub(super) path: PathBuf,
}

impl Room {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("srs-lite-process-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Asserts that the configuration is refused with this one line and status 1.
    pub(super) fn refused(&self, file: &str, expected: &str) {
        let output = Command::new(BINARY)
            .args(["-c", file])
            .current_dir(&self.path)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, format!("srs-lite: {expected}\n"));
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A server that logs to its console. It is killed if the test does not stop it.
pub(super) struct Server {
    pub(super) child: Child,
    lines: Receiver<String>,
    /// What it logged until it listened.
    pub(super) opening: String,
    pub(super) port: u16,
}

impl Server {
    pub(super) fn start(file: &str) -> Self {
        Self::spawn(Command::new(BINARY).args(["-c", file]))
    }

    /// Starts it and waits until it listens.
    pub(super) fn spawn(command: &mut Command) -> Self {
        let mut server = Self::watch(command);
        let last = server.line("listens on");
        server.port = last.rsplit(':').next().unwrap().parse().unwrap();
        server
    }

    /// Starts it and collects what it writes to its console, if it does.
    pub(super) fn watch(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = bounded(1000);
        let forward = move || {
            for line in stderr.lines() {
                let _ = sender.send(line.unwrap());
            }
        };
        std::thread::Builder::new().spawn(forward).unwrap();
        Self {
            child,
            lines,
            opening: String::new(),
            port: 0,
        }
    }

    /// Waits for a line with this text.
    pub(super) fn line(&mut self, text: &str) -> String {
        loop {
            let line = match self.lines.recv_timeout(SOON) {
                Ok(line) => line,
                Err(error) => panic!("no {text:?} ({error}) after {}", self.opening),
            };
            self.opening.push_str(&line);
            self.opening.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// Asserts that it ends soon after the signal, with status 0.
    pub(super) fn stop(mut self, signal: Signal) {
        let deadline = soon();
        self.signal(signal);
        // Its standard error ends with it.
        while self.lines.recv_deadline(deadline) != Err(RecvTimeoutError::Disconnected) {
            assert!(Instant::now() < deadline, "{signal} does not stop it");
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file has no end to wait for: it is read until the text is there.
pub(super) fn await_text(path: &Path, expected: &str) {
    let deadline = soon();
    while !fs::read_to_string(path).is_ok_and(|text| text.contains(expected)) {
        assert!(
            Instant::now() < deadline,
            "no {expected:?} in {}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn soon() -> Instant {
    Instant::now().checked_add(SOON).unwrap()
}
