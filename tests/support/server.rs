//! The real binary as a child process.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::DEADLINE;
use super::temp::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_srs-lite");

/// A running server. It is killed when dropped, and shows its log if the test fails.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    directory: TempDir,
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// The process has closed its end: it is gone.
    closed: bool,
}

impl Server {
    /// Starts a server with this configuration and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        let server = Self::spawn(config);
        server.wait_log("listening on rtmp ");
        server
    }

    /// An origin on a port of its own, with `more` configuration.
    pub(crate) fn origin(more: &str) -> Self {
        Self::start(&format!("listen = \"127.0.0.1:0\"\n{more}"))
    }

    /// An edge of `origins` on a port of its own, with `more` configuration.
    pub(crate) fn edge(origins: &[SocketAddr], more: &str) -> Self {
        Self::start(&edge_config("127.0.0.1:0", origins, more))
    }

    /// Starts a server with this configuration.
    pub(crate) fn spawn(config: &str) -> Self {
        let directory = TempDir::new();
        let file = directory.path().join("srs-lite.conf");
        fs::write(&file, config).unwrap();
        Self::run(directory, &file)
    }

    /// Starts a server with this configuration through a program that becomes it: `env …`, or
    /// `sh -c 'ulimit …; exec "$@"' sh`.
    pub(crate) fn under(program: &[&str], config: &str) -> Self {
        let directory = TempDir::new();
        let file = directory.path().join("srs-lite.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(BINARY);
        let working = directory.path().to_owned();
        Self::run_command(command, &working, directory, &file)
    }

    /// Starts a server with a configuration file, in a fresh working directory.
    pub(crate) fn with_file(file: &Path) -> Self {
        Self::run(TempDir::new(), file)
    }

    /// Starts a server with a configuration file, in a directory that it shares.
    pub(crate) fn with_file_in(file: &Path, directory: &Path) -> Self {
        Self::run_in(directory, TempDir::new(), file)
    }

    fn run(directory: TempDir, file: &Path) -> Self {
        let working = directory.path().to_owned();
        Self::run_in(&working, directory, file)
    }

    fn run_in(working: &Path, directory: TempDir, file: &Path) -> Self {
        Self::run_command(Command::new(BINARY), working, directory, file)
    }

    fn run_command(mut command: Command, working: &Path, directory: TempDir, file: &Path) -> Self {
        let mut child = command
            .arg("-c")
            .arg(file)
            .current_dir(working)
            // Where those that share a port meet.
            .env("RUNTIME_DIRECTORY", runtime_directory())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        thread::Builder::new()
            .spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    writer.lines.lock().unwrap().lines.push(line);
                    writer.more.notify_all();
                }
                writer.lines.lock().unwrap().closed = true;
                writer.more.notify_all();
            })
            .unwrap();
        Self {
            child,
            log,
            directory,
        }
    }

    /// Gives it another configuration, and waits until it has said this of it.
    pub(crate) fn reload(&self, config: &str, expected: &str) -> String {
        let said = self.count_log(expected);
        fs::write(self.file(), config).unwrap();
        self.signal(Signal::SIGHUP);
        self.wait_log_times(expected, said + 1)
    }

    /// The configuration of one that was not started with a file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("srs-lite.conf")
    }

    /// The first line of the log, past or to come, that contains `pattern`.
    pub(crate) fn wait_log(&self, pattern: &str) -> String {
        self.wait_log_times(pattern, 1)
    }

    /// The line of the log that is the `times`th to contain `pattern`.
    pub(crate) fn wait_log_times(&self, pattern: &str, times: usize) -> String {
        self.wait_line(pattern, times, |line| line.contains(pattern))
    }

    /// The line that says why the connection from `peer` ended, past or to come: the only one.
    pub(crate) fn wait_ended(&self, peer: SocketAddr) -> String {
        let line = self.wait_line(&format!("{peer} ended"), 1, |line| is_end(line, peer));
        assert_eq!(self.count_ended(peer), 1, "{line}");
        line
    }

    /// How many lines say by now that the connection from `peer` ended.
    pub(crate) fn count_ended(&self, peer: SocketAddr) -> usize {
        let log = self.log.lines.lock().unwrap();
        log.lines.iter().filter(|line| is_end(line, peer)).count()
    }

    fn wait_line(&self, what: &str, times: usize, is_it: impl Fn(&str) -> bool) -> String {
        let found = |log: &Lines| {
            let mut hits = log.lines.iter().filter(|line| is_it(line));
            hits.nth(times - 1).cloned()
        };
        let lines = self.log.lines.lock().unwrap();
        let (lines, _timeout) = self
            .log
            .more
            .wait_timeout_while(lines, DEADLINE, |log| found(log).is_none() && !log.closed)
            .unwrap();
        let line = found(&lines);
        drop(lines);
        line.unwrap_or_else(|| panic!("the server did not log {what:?} {times} times"))
    }

    /// How many lines of the log contain `pattern` by now.
    pub(crate) fn count_log(&self, pattern: &str) -> usize {
        let log = self.log.lines.lock().unwrap();
        log.lines
            .iter()
            .filter(|line| line.contains(pattern))
            .count()
    }

    /// The log by now.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().lines.clone()
    }

    /// The RTMP address on the loopback.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listens("listening on rtmp ")
    }

    /// The HTTP address on the loopback.
    pub(crate) fn http_address(&self) -> SocketAddr {
        self.listens("listening on http ")
    }

    /// The API's address on the loopback.
    pub(crate) fn api_address(&self) -> SocketAddr {
        self.listens("listening on api ")
    }

    fn listens(&self, pattern: &str) -> SocketAddr {
        let line = self.wait_log(pattern);
        let (_, address) = line.split_once(pattern).unwrap();
        let address = address.split_whitespace().next().unwrap();
        let mut address: SocketAddr = address.trim_end_matches([',', ';']).parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        address
    }

    /// The working directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Asks the server to stop and checks that it does: within 3 seconds, with status 0.
    pub(crate) fn stop(self) {
        self.stop_by(Signal::SIGTERM);
    }

    /// The same, by this signal.
    pub(crate) fn stop_by(mut self, signal: Signal) {
        let asked = Instant::now();
        self.signal(signal);
        let status = self.wait();
        assert!(asked.elapsed() < Duration::from_secs(3), "a slow stop");
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// Ends the process without a warning, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id() as i32), signal).unwrap();
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let lines = self.log.lines.lock().unwrap();
        let waited = self
            .log
            .more
            .wait_timeout_while(lines, DEADLINE, |log| !log.closed);
        assert!(waited.unwrap().0.closed, "the server does not end");
        self.child.wait().unwrap()
    }

    /// The process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most that ever was resident, in KiB.
    pub(crate) fn peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Threads that run.
    pub(crate) fn threads(&self) -> usize {
        self.status("Threads:")
    }

    /// Names of these threads.
    pub(crate) fn thread_names(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm"));
        tasks.filter_map(|task| name(task.unwrap()).ok()).collect()
    }

    /// Threads of a role, by their names.
    pub(crate) fn threads_of(&self, role: &str) -> usize {
        let prefix = format!("{role}-");
        let names = self.thread_names();
        names
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .count()
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id()))
            .unwrap()
            .count()
    }

    /// Processor time so far, of all its threads (proc(5): fields 14 and 15, in 1/100 s).
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let (_, fields) = text.rsplit_once(')').unwrap();
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    fn status(&self, key: &str) -> usize {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            let log = self.log.lines.lock().unwrap();
            let tail = log.lines.len().saturating_sub(40);
            let text = log.lines[tail..].join("\n  ");
            show(&format!(
                "server {}, end of log:\n  {text}",
                self.child.id()
            ));
        }
    }
}

/// One for all servers of this test process: those of another may have the same port, in another
/// network namespace. Those of processes that are gone are removed.
fn runtime_directory() -> &'static Path {
    const PREFIX: &str = "srs-lite-servers-";
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        // Not of this user: who is root in a user namespace of its own is not the root of /tmp.
        let above = env::temp_dir();
        let ours = above.join(format!("{PREFIX}{}", process::id()));
        // A process with our number may have been killed.
        let _absent = fs::remove_dir_all(&ours);
        fs::create_dir_all(&ours).unwrap();
        for entry in fs::read_dir(&above).unwrap().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                let _another_does = fs::remove_dir_all(entry.path());
            }
        }
        ours
    })
}

/// Whether the line says why the connection from `peer` ended.
fn is_end(line: &str, peer: SocketAddr) -> bool {
    line.contains(&format!(" {peer}: ")) && line.contains(" ended after ")
}

/// Writes what only someone who looks for it, or at a failure, is to see.
#[expect(clippy::print_stderr, reason = "libtest shows it beside the failure")]
pub(crate) fn show(text: &str) {
    eprintln!("{text}");
}

/// The configuration of an edge on `listen`.
pub(crate) fn edge_config(listen: &str, origins: &[SocketAddr], more: &str) -> String {
    let origins: Vec<String> = origins
        .iter()
        .map(|origin| format!("\"{origin}\""))
        .collect();
    let origins = origins.join(", ");
    format!("listen = \"{listen}\"\n[cluster]\nmode = \"remote\"\norigin = [{origins}]\n{more}")
}
