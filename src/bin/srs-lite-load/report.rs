//! What was measured, and how it is told.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// Counts of microseconds, exact to 3 %: 32 steps for each power of two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&mut self, microseconds: u64) {
        let shift = microseconds.checked_ilog2().unwrap_or(0).saturating_sub(5);
        let step = (microseconds >> shift) << shift;
        let count = self.counts.entry(step).or_default();
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// Counts all that another one has.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (&step, &more) in &other.counts {
            let count = self.counts.entry(step).or_default();
            *count = count.saturating_add(more);
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// Milliseconds that `percent` of the values do not exceed; none of no values.
    pub(crate) fn percentile(&self, percent: u64) -> Option<f64> {
        let rank = self.total.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u64;
        let reaches = |&(_, count): &(&u64, &u64)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        };
        let (&step, _) = self.counts.iter().find(reaches)?;
        Some(Duration::from_micros(step).as_secs_f64() * 1000.0)
    }
}

/// What one worker has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Bytes that were delivered.
    pub(crate) bytes: u64,
    /// Audio and video frames that were delivered.
    pub(crate) frames: u64,
    /// Frames that were missing between two that came.
    pub(crate) missing: u64,
    /// Players, or publishers, that get or give media now.
    pub(crate) live: u64,
    /// Players that had their first media and were let go (`--churn`).
    pub(crate) served: u64,
    /// Why others ended, and how many.
    pub(crate) failed: BTreeMap<String, u64>,
    /// From the beginning of the connection to its first keyframe.
    pub(crate) first: Histogram,
    /// From the publisher to the player, of frames that were sent after the player began.
    pub(crate) latency: Histogram,
}

impl Stats {
    /// Begins to measure: forgets what belongs to the ramp, but not what went wrong.
    pub(crate) fn restart(&mut self) {
        self.bytes = 0;
        self.frames = 0;
        self.served = 0;
        self.latency = Histogram::default();
    }

    /// Counts all that another one has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.frames = self.frames.saturating_add(other.frames);
        self.missing = self.missing.saturating_add(other.missing);
        self.live = self.live.saturating_add(other.live);
        self.served = self.served.saturating_add(other.served);
        for (why, more) in &other.failed {
            let count = self.failed.entry(why.clone()).or_default();
            *count = count.saturating_add(*more);
        }
        self.first.merge(&other.first);
        self.latency.merge(&other.latency);
    }

    /// Counts one that ended, and why.
    pub(crate) fn fail(&mut self, why: &str) {
        let count = self.failed.entry(why.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    /// Why they ended, in one line.
    pub(crate) fn reasons(&self) -> String {
        let reasons = self
            .failed
            .iter()
            .map(|(why, count)| format!("{count} × {why}"));
        reasons.collect::<Vec<_>>().join(", ")
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.failed
            .values()
            .fold(0, |all, &n| all.saturating_add(n))
    }

    /// One line for whoever waits.
    pub(crate) fn progress(&self, passed: Duration) -> String {
        let seconds = passed.as_secs_f64().max(0.001);
        let mut line = format!(
            "{seconds:.0} s: {} live, {} ended, {:.1} Mbit/s, {} frames missing",
            self.live,
            self.ended(),
            float(self.bytes) * 8.0 / 1e6 / seconds,
            self.missing,
        );
        for (name, histogram) in [("first keyframe", &self.first), ("latency", &self.latency)] {
            if let (Some(p50), Some(p99)) = (histogram.percentile(50), histogram.percentile(99)) {
                line.push_str(&format!(", {name} p50 {p50:.1} ms p99 {p99:.1} ms"));
            }
        }
        line
    }
}

/// CPU time and memory of the server, from `/proc` (proc(5)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    cpu: f64,
    resident: u64,
    threads: u64,
    tcp: u64,
}

impl Server {
    /// Looks now.
    ///
    /// # Errors
    ///
    /// There is no such process.
    pub(crate) fn look(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // What stands behind the name begins with the third field; user and system time are the
        // 14th and the 15th.
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
        let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            cpu: float(ticks) / float(u64::try_from(hertz).unwrap_or(100)),
            resident: value("VmRSS:"),
            threads: value("Threads:"),
            tcp: tcp_memory().unwrap_or(0),
        })
    }
}

/// KiB that the kernel holds for the TCP connections of the whole machine, both ends of those on the
/// loopback: `mem` of `/proc/net/sockstat`, in pages (proc(5)).
fn tcp_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = line
        .split_whitespace()
        .skip_while(|word| *word != "mem")
        .nth(1)?
        .parse()
        .ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    pages
        .checked_mul(u64::try_from(page).ok()?)?
        .checked_div(1024)
}

/// The end of a run: its numbers by name, in the order in which they are told.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, f64)>, Vec<(String, u64)>);

impl Report {
    /// What was measured in `seconds`; `wanted` of them should be live.
    pub(crate) fn new(
        stats: &Stats,
        wanted: u64,
        seconds: f64,
        servers: Option<[Server; 2]>,
    ) -> Self {
        let mut numbers = vec![
            ("seconds", seconds),
            ("wanted", float(wanted)),
            ("live", float(stats.live)),
            ("ended", float(stats.ended())),
            ("served", float(stats.served)),
            ("bytes", float(stats.bytes)),
            (
                "mbit_per_second",
                float(stats.bytes) * 8.0 / 1e6 / seconds.max(0.001),
            ),
            ("frames", float(stats.frames)),
            ("frames_missing", float(stats.missing)),
        ];
        for (names, histogram) in [
            (
                [
                    "first_keyframe_ms_p50",
                    "first_keyframe_ms_p90",
                    "first_keyframe_ms_p99",
                    "first_keyframe_ms_max",
                ],
                &stats.first,
            ),
            (
                [
                    "latency_ms_p50",
                    "latency_ms_p90",
                    "latency_ms_p99",
                    "latency_ms_max",
                ],
                &stats.latency,
            ),
        ] {
            for (name, percent) in names.into_iter().zip([50, 90, 99, 100]) {
                numbers.extend(histogram.percentile(percent).map(|value| (name, value)));
            }
        }
        if let Some([before, after]) = servers {
            let cpu = after.cpu - before.cpu;
            numbers.push(("server_cpu_seconds", cpu));
            numbers.push((
                "server_cpu_seconds_per_gb",
                cpu / (float(stats.bytes.max(1)) / 1e9),
            ));
            numbers.push(("server_rss_kib", float(after.resident)));
            numbers.push(("server_threads", float(after.threads)));
            numbers.push(("machine_tcp_kib", float(after.tcp)));
        }
        Self(numbers, stats.failed.clone().into_iter().collect())
    }

    /// Writes it, as one JSON object or as lines for people.
    ///
    /// # Errors
    ///
    /// Standard output takes nothing.
    pub(crate) fn write(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !json {
            for (name, value) in &self.0 {
                writeln!(out, "{name:26} {}", number(*value))?;
            }
            for (why, count) in &self.1 {
                writeln!(out, "ended: {count} × {why}")?;
            }
            return Ok(());
        }
        let numbers = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", number(*value)));
        let failed = self
            .1
            .iter()
            .map(|(why, count)| format!("{}:{count}", quoted(why)));
        let failed = failed.collect::<Vec<_>>().join(",");
        let all: Vec<_> = numbers
            .chain([format!("\"failed\":{{{failed}}}")])
            .collect();
        writeln!(out, "{{{}}}", all.join(","))
    }
}

/// A number of JSON; whole ones without a point.
fn number(value: f64) -> String {
    if !value.is_finite() {
        "null".to_owned()
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push('?'),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Exact below 2^53: days of any count here.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "std has no other way"
)]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_three_percent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        for value in 1..=1000 {
            histogram.add(value * 1000);
        }
        for (percent, expected) in [(1, 10.0), (50, 500.0), (99, 990.0), (100, 1000.0)] {
            let found = histogram.percentile(percent).unwrap();
            assert!(
                (expected * 0.97..=expected).contains(&found),
                "{percent}: {found}"
            );
        }
    }

    #[test]
    fn a_restart_keeps_what_went_wrong() {
        let mut stats = Stats {
            bytes: 5,
            missing: 2,
            live: 1,
            ..Stats::default()
        };
        stats.fail("gone");
        stats.restart();
        assert_eq!(
            (stats.bytes, stats.missing, stats.live, stats.ended()),
            (0, 2, 1, 1)
        );
    }

    #[test]
    fn text_of_others_is_quoted() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c?""#);
    }
}
