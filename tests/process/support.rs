//! A room for a test's files, and a server that runs in it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
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
        let last = server.line("listening on rtmp");
        server.port = last.rsplit(':').next().unwrap().parse().unwrap();
        server
    }

    /// Starts it and collects what it writes to its console, if it does.
    pub(super) fn watch(command: &mut Command) -> Self {
        // Where those that share a port meet; removed by other tests when this process is gone.
        let meeting = format!("srs-lite-servers-{}", std::process::id());
        let meeting = std::env::temp_dir().join(meeting);
        fs::create_dir_all(&meeting).unwrap();
        command.env("RUNTIME_DIRECTORY", meeting);
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

    /// A connection that it has answered: C0 and C1 went out, S0 came back [RTMP §5.2].
    pub(super) fn connect(&self) -> TcpStream {
        let mut peer = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut hello = [0; 1537];
        hello[0] = 3;
        peer.write_all(&hello).unwrap();
        peer.set_read_timeout(Some(SOON)).unwrap();
        let mut version = [0];
        peer.read_exact(&mut version).unwrap();
        assert_eq!(version, [3]);
        peer
    }

    /// Waits until its port refuses connections.
    pub(super) fn is_closed_to_new_peers(&self) -> bool {
        let deadline = soon();
        while Instant::now() < deadline {
            if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Asserts that it ends soon after the signal, with status 0.
    pub(super) fn stop(self, signal: Signal) {
        self.signal(signal);
        self.ends();
    }

    /// Asserts that it ends soon, with status 0.
    pub(super) fn ends(mut self) {
        let deadline = soon();
        // Its standard error ends with it.
        while self.lines.recv_deadline(deadline) != Err(RecvTimeoutError::Disconnected) {
            assert!(Instant::now() < deadline, "it does not end");
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
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
