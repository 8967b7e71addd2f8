//! What the kernel says of the process and the machine, in the words of SRS.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

use crate::server::Server;

/// Fields of `/proc/self/stat` from the fourth on (proc(5)), as SRS calls them.
const STAT: &[&str] = &[
    "ppid",
    "pgrp",
    "session",
    "tty_nr",
    "tpgid",
    "flags",
    "minflt",
    "cminflt",
    "majflt",
    "cmajflt",
    "utime",
    "stime",
    "cutime",
    "cstime",
    "priority",
    "nice",
    "num_threads",
    "itrealvalue",
    "starttime",
    "vsize",
    "rss",
    "rsslim",
    "startcode",
    "endcode",
    "startstack",
    "kstkesp",
    "kstkeip",
    "signal",
    "blocked",
    "sigignore",
    "sigcatch",
    "wchan",
    "nswap",
    "cnswap",
    "exit_signal",
    "processor",
    "rt_priority",
    "policy",
    "delayacct_blkio_ticks",
    "guest_time",
    "cguest_time",
];

/// `/api/v1/self_proc_stats`.
pub(super) fn self_proc_stats(server: &Server) -> Value {
    let text = read("/proc/self/stat");
    // A name may hold anything, also brackets.
    let (before, after) = text.rsplit_once(") ").unwrap_or_default();
    let comm = before.split_once('(').map_or("", |(_, comm)| comm);
    let (state, rest) = after.split_once(' ').unwrap_or_default();
    let mut reply = super::object([
        ("ok", (!text.is_empty()).into()),
        ("sample_time", milliseconds_now().into()),
        ("percent", processor_share(server).into()),
        ("pid", std::process::id().into()),
        ("comm", comm.into()),
        ("state", state.into()),
    ]);
    for (name, field) in STAT.iter().zip(rest.split_whitespace()) {
        reply.insert((*name).to_owned(), integer(field));
    }
    reply.into()
}

/// `/api/v1/rusages`. What Linux does not count is 0, as with SRS.
pub(super) fn rusages() -> Value {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let of = |field: fn(&Usage) -> i64| usage.as_ref().map_or(0, field);
    json!({
        "ok": usage.is_some(),
        "sample_time": milliseconds_now(),
        "ru_utime": of(|usage| usage.user_time().num_seconds()),
        "ru_stime": of(|usage| usage.system_time().num_seconds()),
        "ru_maxrss": of(Usage::max_rss),
        "ru_ixrss": 0,
        "ru_idrss": 0,
        "ru_isrss": 0,
        "ru_minflt": of(Usage::minor_page_faults),
        "ru_majflt": of(Usage::major_page_faults),
        "ru_nswap": 0,
        "ru_inblock": of(Usage::block_reads),
        "ru_oublock": of(Usage::block_writes),
        "ru_msgsnd": 0,
        "ru_msgrcv": 0,
        "ru_nsignals": 0,
        "ru_nvcsw": of(Usage::voluntary_context_switches),
        "ru_nivcsw": of(Usage::involuntary_context_switches),
    })
}

/// `/api/v1/summaries`. SRS has the disks and the network's connections, too.
pub(super) fn summaries(server: &Server) -> Value {
    let memory = read("/proc/meminfo");
    let kib = |name| line_number(&memory, name);
    let resident = resident_bytes() / 1024;
    let total = kib("MemTotal:");
    let share = |part: u64, whole: u64| match whole {
        0 => 0.0,
        whole => to_float(part) / to_float(whole),
    };
    let used = total.saturating_sub(kib("MemAvailable:"));
    let swap = kib("SwapTotal:");
    let swapped = swap.saturating_sub(kib("SwapFree:"));
    let counts = server.totals.counts();
    let directory = std::env::current_dir().unwrap_or_default();
    let (uptime, idle) = pair("/proc/uptime");
    let load = read("/proc/loadavg");
    let mut loads = load.split_whitespace().map(float);
    let mut next_load = || loads.next().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    json!({
        "ok": true,
        "now_ms": milliseconds_now(),
        "self": {
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "ppid": nix::unistd::getppid().as_raw(),
            "argv": std::env::args_os().map(|one| one.to_string_lossy().into_owned())
                .collect::<Vec<_>>().join(" "),
            "cwd": directory.to_string_lossy(),
            "mem_kbyte": resident,
            "mem_percent": share(resident, total),
            "cpu_percent": processor_share(server),
            "srs_uptime": server.since.elapsed().as_secs(),
        },
        "system": {
            "mem_ram_kbyte": total,
            "mem_ram_percent": share(used, total),
            "mem_swap_kbyte": swap,
            "mem_swap_percent": share(swapped, swap),
            "cpus": processors,
            "cpus_online": processors,
            "uptime": uptime,
            "ilde_time": idle,
            "load_1m": next_load(),
            "load_5m": next_load(),
            "load_15m": next_load(),
            "srs_sample_time": milliseconds_now(),
            "srs_recv_bytes": counts.received,
            "srs_send_bytes": counts.sent,
            "conn_srs": server.connections.count(),
        },
    })
}

/// Processor time of the process per time since it started: 1 is a whole processor.
fn processor_share(server: &Server) -> f64 {
    processor_seconds() / server.since.elapsed().as_secs_f64().max(1.0)
}

/// Seconds of processor time that the process has used.
pub(super) fn processor_seconds() -> f64 {
    let milliseconds = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let (user, system) = (usage.user_time(), usage.system_time());
        let user = user.num_milliseconds();
        user.saturating_add(system.num_milliseconds())
    });
    to_float(milliseconds.try_into().unwrap_or_default()) / 1000.0
}

/// Bytes of memory that the process has resident.
pub(super) fn resident_bytes() -> u64 {
    line_number(&read("/proc/self/status"), "VmRSS:").saturating_mul(1024)
}

/// Threads that run.
pub(super) fn threads() -> u64 {
    line_number(&read("/proc/self/status"), "Threads:")
}

/// Descriptors that are open, but for that of the look at them.
pub(super) fn open_files() -> u64 {
    let count = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(count).unwrap_or_default().saturating_sub(1)
}

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "replies say when they were made, as with SRS"
)]
pub(super) fn milliseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or_default()
    })
}

/// The nearest there is.
pub(super) fn to_float(number: u64) -> f64 {
    let (high, low) = (number >> 32, number & u64::from(u32::MAX));
    let part = |part| u32::try_from(part).map_or(0.0, f64::from);
    part(high).mul_add(4_294_967_296.0, part(low))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number in the line that begins so.
fn line_number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn pair(path: &str) -> (f64, f64) {
    let text = read(path);
    let mut numbers = text.split_whitespace().map(float);
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next())
}

fn float(text: &str) -> f64 {
    text.parse().unwrap_or_default()
}

fn integer(text: &str) -> Value {
    let signed = text.parse::<i64>().map(Value::from);
    let unsigned = || text.parse::<u64>().map_or(Value::Null, Value::from);
    signed.unwrap_or_else(|_| unsigned())
}
