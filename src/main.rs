//! The command line.

use core::fmt::Display;
use core::time::Duration;
use std::ffi::OsString;
use std::io::{Write, stderr, stdout};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use lexopt::Arg;
use srs_lite::config::{self, Config, ListenAddress};
use srs_lite::server::features;
use srs_lite::server::log::Log;
use srs_lite::server::notify::Notifier;
use srs_lite::server::pid::PidFile;
use srs_lite::server::port::Protocol;
use srs_lite::server::privileges::{Identity, PrivilegeError};
use srs_lite::server::reload::{Source, create_directories};
use srs_lite::server::siblings::Siblings;
use srs_lite::server::siblings::run_dir::{self, RunDir};
use srs_lite::server::signals::{Event, Signals};
use srs_lite::server::{self, Running, allocator, port};

const HELP: &str = "\
srs-lite, a small RTMP relay: edges and origins that share one port.

  srs-lite -c FILE       run with the configuration of FILE, in the foreground
  srs-lite -t -c FILE    test FILE, and neither run nor bind a port
  srs-lite --status [-c FILE]
                         show what runs with FILE, or with the default configuration
  srs-lite --from-srs FILE
                         say a configuration of SRS in the words of srs-lite
  srs-lite -v            show the version
  srs-lite -h            show this help

conf/full.conf lists every key of a configuration.
SIGINT and SIGTERM stop it; SIGQUIT stops it when its connections have ended, or after
`grace_final_wait`; SIGHUP reads FILE again; SIGUSR1 opens the log file again. Exit status: 0 stopped on request, 1 could
not start, 2 wrong usage.
";

/// How often a draining server is asked whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let command = match command(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return complain(&format!("{error}; `srs-lite -h` shows the usage"), 2),
    };
    let result = match command {
        Command::Help => say(HELP),
        Command::Version => say(concat!("srs-lite ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Test(path) => Config::load(&path)
            .map_err(said)
            .and_then(|_| say(&format!("{}: ok\n", path.display()))),
        Command::Status(path) => status(path).and_then(|text| say(&text)),
        #[cfg(feature = "from-srs")]
        Command::FromSrs(path) => srs_lite::from_srs::convert_file(&path)
            .map_err(said)
            .and_then(|toml| say(&toml)),
        Command::Run(path) => {
            allocator::tune();
            Source::open(path).map_err(said).and_then(run)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

enum Command {
    Help,
    Version,
    Test(PathBuf),
    Status(Option<PathBuf>),
    #[cfg(feature = "from-srs")]
    FromSrs(PathBuf),
    Run(PathBuf),
}

fn command(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut file = None;
    let (mut is_test, mut is_status) = (false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('v' | 'V') | Arg::Long("version") => return Ok(Command::Version),
            #[cfg(feature = "from-srs")]
            Arg::Long("from-srs") => return Ok(Command::FromSrs(parser.value()?.into())),
            Arg::Short('t') => is_test = true,
            Arg::Long("status") => is_status = true,
            Arg::Short('c') if file.is_none() => file = Some(PathBuf::from(parser.value()?)),
            Arg::Short('c') => return Err("`-c` is there twice".into()),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    match file {
        file if is_status => Ok(Command::Status(file)),
        Some(file) if is_test => Ok(Command::Test(file)),
        Some(file) => Ok(Command::Run(file)),
        None => Err("`-c FILE` is missing".into()),
    }
}

/// Runs the server until it is told to stop.
fn run((mut source, mut config): (Source, Config)) -> Result<(), String> {
    let log = Log::install(&config.log).map_err(said)?;
    let signals = Signals::block().map_err(said)?;
    let _pid = config
        .pid
        .as_deref()
        .map(PidFile::lock)
        .transpose()
        .map_err(said)?;
    let mut listeners = port::bind(Protocol::Rtmp, &config.listen).map_err(said)?;
    if let Some(http) = &config.http_server {
        listeners.extend(port::bind(Protocol::Http, &http.listen).map_err(said)?);
    }
    if let Some(api) = &config.http_api {
        listeners.extend(port::bind(Protocol::Api, &api.listen).map_err(said)?);
    }
    let identity = identity(&config).map_err(said)?;
    let bound = listeners.iter().filter(|at| at.protocol == Protocol::Rtmp);
    let bound = bound.map(|at| at.address);
    let meeting = run_dir(&config, bound, identity.as_ref());
    if let Some(path) = &meeting {
        RunDir::create(path, identity.as_ref()).map_err(said)?;
    }
    if let Some(identity) = identity {
        drop_privileges(&config, &identity).map_err(said)?;
    }
    let siblings = meeting.map(|path| Siblings::join(&path)).transpose();
    let siblings = siblings.map_err(said)?;
    create_directories(&config)?;
    let allowed = source.allow(&mut config);
    let per_address = config.connections_per_address();
    let events = signals.receive().map_err(said)?;
    let (version, process) = (env!("CARGO_PKG_VERSION"), std::process::id());
    log::info!("srs-lite {version}, process {process}");
    log::info!(
        "at most {} connections, {per_address} of one address, and {} MiB of memory, {} MiB of \
         them for streams",
        allowed.connections,
        allowed.memory >> 20,
        allowed.budget >> 20
    );
    let ports: Vec<_> = listeners
        .iter()
        .map(|at| (at.protocol, at.address))
        .collect();
    if let Some(siblings) = &siblings {
        listeners.push(siblings.listen().map_err(said)?);
    }
    warn_of_open_api(&config, &ports);
    let running = server::start(config, listeners, siblings, &allowed).map_err(said)?;
    let mut notifier = Notifier::from_environment();
    notifier.ready();
    // While we serve: it takes longer than all the rest.
    port::warn_of_other_forms(&ports);
    for (protocol, address) in ports {
        log::info!("listening on {protocol} {address}");
    }
    let running = wait(running, &events, &log, &mut source, &mut notifier);
    notifier.stopping(Duration::ZERO);
    running.stop();
    log::info!("stopped");
    Ok(())
}

/// What the processes say that run with a configuration.
fn status(path: Option<PathBuf>) -> Result<String, String> {
    let status =
        features::STATUS.ok_or("this build has no api: build it with the feature `api`")?;
    let config = match path {
        Some(path) => Config::load(&path),
        None => Config::parse("", ""),
    };
    let config = config.map_err(said)?;
    let configured = identity(&config).map_err(said)?;
    let of_unit = Identity::owner(Path::new(run_dir::OF_UNIT));
    // On a machine without IPv6, a port alone is one of IPv4.
    let every = [IpAddr::from([0; 16]), IpAddr::from([0; 4])];
    let meeting = [configured, of_unit].iter().find_map(|user| {
        every.into_iter().find_map(|every| {
            let bound = |at: &ListenAddress| SocketAddr::new(at.ip.unwrap_or(every), at.port);
            let path = run_dir(&config, config.listen.iter().map(bound), user.as_ref());
            path.filter(|path| path.exists())
        })
    });
    let meeting = meeting.ok_or("no process runs: there is no run_dir")?;
    // It is theirs alone.
    if let Some(user) = Identity::owner(&meeting) {
        user.assume().map_err(said)?;
    }
    status(&Siblings::join(&meeting).map_err(said)?)
}

/// Whoever reaches the API may end clients.
fn warn_of_open_api(config: &Config, ports: &[(Protocol, SocketAddr)]) {
    let is_guarded = config
        .http_api
        .as_ref()
        .is_some_and(|api| api.auth.is_some());
    for (protocol, address) in ports {
        let is_reachable = !address.ip().to_canonical().is_loopback();
        if *protocol == Protocol::Api && is_reachable && !is_guarded {
            log::warn!("the API at {address} asks nobody for a password: set [http_api.auth]");
        }
    }
}

/// Whom the process becomes, if that is configured.
fn identity(config: &Config) -> Result<Option<Identity>, PrivilegeError> {
    let user = config.user.as_deref();
    let find = |user| Identity::find(user, config.group.as_deref());
    user.map(find).transpose()
}

/// Where the processes of our port meet, if they do.
fn run_dir(
    config: &Config,
    bound: impl Iterator<Item = SocketAddr>,
    identity: Option<&Identity>,
) -> Option<PathBuf> {
    match &config.run_dir {
        config::RunDir::Nowhere => None,
        config::RunDir::At(path) => Some(path.clone()),
        config::RunDir::Auto => Some(run_dir::default_path(Identity::uid(identity), bound.min()?)),
    }
}

/// Becomes the configured user, who must be able to open the log and empty the pid file.
fn drop_privileges(config: &Config, identity: &Identity) -> Result<(), PrivilegeError> {
    for path in [&config.log.file, &config.pid].into_iter().flatten() {
        identity.own(path)?;
    }
    identity.assume()
}

/// Acts upon events until one of them is to stop, or until all have ended, or have had their time, since
/// one was to drain.
fn wait(
    mut running: Running,
    events: &Receiver<Event>,
    log: &Log,
    source: &mut Source,
    notifier: &mut Notifier,
) -> Running {
    let mut drained: Option<Instant> = None;
    loop {
        let grace = running.config().grace_final_wait;
        if let Some(since) = drained {
            if running.is_idle() {
                return running;
            }
            if since.elapsed() >= grace {
                log::info!("not all have ended within `grace_final_wait`: they are stopped");
                return running;
            }
        }
        notifier.beat(&running);
        let poll = drained.map_or(Duration::MAX, |_| DRAIN_POLL);
        let poll = notifier.wait().map_or(poll, |beat| beat.min(poll));
        match events.recv_timeout(poll) {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return running,
            Ok(Event::Drain) if drained.is_none() => {
                let seconds = grace.as_secs_f64();
                log::info!(
                    "draining: no new connections, and the end when all have ended, or in {seconds} s"
                );
                drained = Some(Instant::now());
                notifier.stopping(grace);
                running.drain();
            }
            Ok(Event::ReopenLog) => match log.reopen() {
                Ok(()) => log::info!("the log is opened again"),
                Err(error) => log::error!("{error}"),
            },
            Ok(Event::Reload) => {
                notifier.reloading();
                source.reload(&running);
                notifier.ready();
            }
            Ok(Event::Drain) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn say(text: &str) -> Result<(), String> {
    let written = stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| format!("standard output: {error}"))
}

fn complain(error: &str, status: u8) -> ExitCode {
    // Without standard error, the status has to be enough.
    let _ = writeln!(stderr(), "srs-lite: {error}");
    ExitCode::from(status)
}
