//! `srs-lite-load`: publishes and plays many streams, and says what came of it. The way to find out
//! what a machine can carry. Nothing of it is in the server.

mod floor;
mod flv;
mod http;
mod play;
mod publish;
mod report;
mod rtmp;
mod stamp;
mod ts;
mod url;
mod watch;

use std::ffi::OsString;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use lexopt::{Arg, ValueExt};
use srs_lite::server::capacity::raised_files;

use crate::flv::File;
use crate::play::{Plan, Shared, Worker};
use crate::report::{Report, Server, Stats};
use crate::url::{Protocol, Url};

const HELP: &str = "\
srs-lite-load measures what an RTMP server carries, this one or another.

  srs-lite-load publish FILE.flv rtmp://HOST/APP/STREAM [options]
  srs-lite-load play URL [options]
  srs-lite-load floor FILE.flv IP:PORT [--merge MS] [--seconds S]

publish sends the file in real time, again and again, and stamps each frame of H.264 and AAC, in a
way that decoders skip. play takes rtmp://HOST/APP/STREAM, http://HOST/APP/STREAM.flv or ….m3u8,
throws the media away, and reads the stamps: latency is known if both run on one machine. floor is
no server, but the least that one could do: it writes the file to whoever asks for it as HTTP-FLV.

  -n N           so many publishers or players (1)
  --streams M    the players are spread over M streams (1); `{}` in the URL is the stream's number,
                 from 1, for publishers as well
  --ramp N       so many players begin in a second (1000); 0: all at once
  --seconds S    measure for S seconds, from when all have begun (10)
  --slow KBIT    each player reads at most so many kbit/s (no limit)
  --churn        a player leaves after its first frame, and comes again
  --threads N    threads that play (1)
  --merge MS     floor writes once in so many milliseconds (350)
  --pid PID      tell CPU time and memory of this process, the server
  --json         print the result as a JSON object

Exit status: 0 done, 1 nobody got or gave media, 2 wrong usage.
";

/// For publishers and players to begin.
const BEGIN: Duration = Duration::from_secs(60);

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Options {
    words: Vec<String>,
    count: usize,
    streams: usize,
    ramp: u64,
    seconds: u64,
    slow: Option<usize>,
    churn: bool,
    threads: usize,
    merge: u64,
    pid: Option<u32>,
    json: bool,
}

/// Why it was for nothing.
#[derive(Debug)]
enum Failure {
    /// What it was told cannot be done.
    Usage(String),
    /// It could not be done.
    Run(String),
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Run(error)
    }
}

fn main() -> ExitCode {
    let options = match options(std::env::args_os()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            // Without standard output there is nobody to help.
            let _ = stdout().write_all(HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => return complain(&format!("{error}; `srs-lite-load -h` shows the usage"), 2),
    };
    let words: Vec<_> = options.words.iter().map(String::as_str).collect();
    let result = match *words {
        ["publish", file, url] => publish(&options, file, url),
        ["play", url] => play(&options, url),
        ["floor", file, address] => floor(&options, file, address),
        _ => {
            return complain(
                "publish, play or floor? `srs-lite-load -h` shows the usage",
                2,
            );
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => complain(&error, 2),
        Err(Failure::Run(error)) => complain(&error, 1),
    }
}

fn options(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        words: Vec::new(),
        count: 1,
        streams: 1,
        ramp: 1000,
        seconds: 10,
        slow: None,
        churn: false,
        threads: 1,
        merge: 350,
        pid: None,
        json: false,
    };
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Short('n') => options.count = parser.value()?.parse()?,
            Arg::Long("streams") => options.streams = parser.value()?.parse()?,
            Arg::Long("ramp") => options.ramp = parser.value()?.parse()?,
            Arg::Long("seconds") => options.seconds = parser.value()?.parse()?,
            Arg::Long("slow") => options.slow = Some(parser.value()?.parse()?),
            Arg::Long("churn") => options.churn = true,
            Arg::Long("threads") => options.threads = parser.value()?.parse()?,
            Arg::Long("merge") => options.merge = parser.value()?.parse()?,
            Arg::Long("pid") => options.pid = Some(parser.value()?.parse()?),
            Arg::Long("json") => options.json = true,
            Arg::Value(word) => options.words.push(word.string()?),
            Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    if options.count == 0 || options.streams == 0 || options.threads == 0 {
        return Err("-n, --streams and --threads begin with 1".into());
    }
    Ok(Some(options))
}

fn publish(options: &Options, file: &str, url: &str) -> Result<(), Failure> {
    let url = target(url, options.count)?;
    if url.protocol != Protocol::Rtmp {
        let error = format!("`{url}`: only rtmp:// can be published to");
        return Err(Failure::Usage(error));
    }
    let file = read(file)?;
    let address = resolve(&url.host)?;
    // If it cannot be raised, connections fail, and say so.
    let _ = raised_files();
    let shared = Arc::new(Shared::default());
    thread::scope(|scope| {
        scope.spawn(|| publish::run(&file, &url, address, options.count, &shared));
        measure(options, core::slice::from_ref(&shared))
    })
    .map_err(Failure::Run)
}

fn play(options: &Options, url: &str) -> Result<(), Failure> {
    let url = target(url, options.streams)?;
    let address = resolve(&url.host)?;
    // If it cannot be raised, connections fail, and say so.
    let _ = raised_files();
    let threads = u64::try_from(options.threads).unwrap_or(1);
    let pace = 1_000_000_u64
        .saturating_mul(threads)
        .checked_div(options.ramp)
        .unwrap_or(0);
    let plan = Plan {
        url,
        address,
        streams: options.streams,
        churn: options.churn,
        pace,
        slow: options.slow.map(|kbit| {
            let bytes = play::SWEEP.checked_div(8000).unwrap_or(0);
            kbit.saturating_mul(usize::try_from(bytes).unwrap_or(0))
                .max(1)
        }),
    };
    let mut workers = Vec::new();
    let mut all = Vec::new();
    for _ in 0..options.threads {
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(plan.clone(), Arc::clone(&shared));
        workers.push(worker.map_err(|error| format!("epoll: {error}"))?);
        all.push(shared);
    }
    thread::scope(|scope| {
        for (first, worker) in workers.into_iter().enumerate() {
            let numbers = (first..options.count).step_by(options.threads);
            scope.spawn(move || worker.run(numbers));
        }
        measure(options, &all)
    })
    .map_err(Failure::Run)
}

/// The URL of so many streams.
fn target(url: &str, streams: usize) -> Result<Url, Failure> {
    let url = Url::parse(url).map_err(Failure::Usage)?;
    if streams > 1 && !url.is_pattern() {
        let error = format!("`{url}`: `{{}}` must be in it, to name {streams} streams");
        return Err(Failure::Usage(error));
    }
    Ok(url)
}

fn floor(options: &Options, file: &str, address: &str) -> Result<(), Failure> {
    let address: SocketAddr = address
        .parse()
        .map_err(|error| Failure::Usage(format!("`{address}`: {error}; IP:PORT")))?;
    let file = read(file)?;
    // If it cannot be raised, connections fail, and say so.
    let _ = raised_files();
    let merge = Duration::from_millis(options.merge);
    let seconds = Duration::from_secs(options.seconds);
    floor::run(&file, address, merge, seconds)
        .map_err(|error| Failure::Run(format!("{address}: {error}")))
}

/// Waits until all have begun, measures, and reports.
fn measure(options: &Options, all: &[Arc<Shared>]) -> Result<(), String> {
    let result = wait(options, all);
    for shared in all {
        shared.stop.store(true, Ordering::Relaxed);
    }
    result
}

fn wait(options: &Options, all: &[Arc<Shared>]) -> Result<(), String> {
    let look = || options.pid.map(Server::look).transpose();
    let look = || look().map_err(|error| format!("--pid: {error}"));
    let begun = Instant::now();
    let count = u64::try_from(options.count).unwrap_or(u64::MAX);
    loop {
        let stats = sum(all);
        let started = all
            .iter()
            .all(|shared| shared.begun.load(Ordering::Relaxed));
        let settled = options.churn || stats.live.saturating_add(stats.ended()) >= count;
        if (started && settled) || begun.elapsed() >= BEGIN {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let before = look()?;
    let begun = Instant::now();
    for shared in all {
        shared.stats().restart();
    }
    let end = Duration::from_secs(options.seconds);
    // With nobody left there is nothing to wait for.
    let nobody = |stats: &Stats| stats.live == 0 && stats.ended() >= count;
    let mut stats = sum(all);
    while !nobody(&stats)
        && let Some(rest) = end.checked_sub(begun.elapsed())
    {
        thread::sleep(rest.min(PROGRESS));
        stats = sum(all);
        if !options.json && !nobody(&stats) {
            // Progress that nobody sees is no reason to stop.
            let _ = writeln!(stderr(), "{}", stats.progress(begun.elapsed()));
        }
    }
    let (seconds, after) = (begun.elapsed().as_secs_f64(), look()?);
    let servers = before.zip(after).map(|(before, after)| [before, after]);
    let report = Report::new(&stats, count, seconds, servers);
    report
        .write(options.json)
        .map_err(|error| format!("standard output: {error}"))?;
    if stats.live == 0 && stats.served == 0 {
        let reasons = stats.reasons();
        let colon = if reasons.is_empty() { "" } else { ": " };
        return Err(format!("no media went either way{colon}{reasons}"));
    }
    Ok(())
}

fn sum(all: &[Arc<Shared>]) -> Stats {
    let mut sum = Stats::default();
    for shared in all {
        sum.merge(&shared.stats());
    }
    sum
}

fn read(path: &str) -> Result<File, String> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    File::parse(&bytes).map_err(|error| format!("{path}: {error}"))
}

fn resolve(host: &str) -> Result<SocketAddr, String> {
    let mut addresses = host
        .to_socket_addrs()
        .map_err(|error| format!("{host}: {error}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("{host}: no address"))
}

fn complain(error: &str, status: u8) -> ExitCode {
    // Without standard error, the status has to be enough.
    let _ = writeln!(stderr(), "srs-lite-load: {error}");
    ExitCode::from(status)
}
