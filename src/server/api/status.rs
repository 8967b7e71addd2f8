//! `srs-lite --status`: processes and their streams as tables for a terminal.

use core::fmt::Write as _;

use super::gather;
use crate::config::DEFAULT_VHOST;
use crate::limits;
use crate::server::overview::{Overview, StreamView};
use crate::server::siblings::Siblings;
use crate::wire::codec::Video;

/// Characters of a stream's path that are shown, so that a line fits in a hundred.
const SHOWN: usize = 24;

/// What all processes say that meet where `siblings` do.
///
/// # Errors
///
/// Nobody runs.
pub fn of_all(siblings: &Siblings) -> Result<String, String> {
    // Nobody names us: any number will do.
    let patience = limits::SIBLING_OVERVIEW_DEADLINE;
    let (overviews, _) = gather::ask(siblings, siblings.others(), patience, || 0);
    if overviews.is_empty() {
        return Err("no process runs, or none has an API".to_owned());
    }
    Ok(tables(&overviews))
}

fn tables(overviews: &[Overview]) -> String {
    let header = [
        "PROCESS",
        "UPTIME",
        "CONNECTIONS",
        "KBPS-IN",
        "KBPS-OUT",
        "SKIPPED",
        "VERSION",
    ];
    let processes = overviews.iter().map(|one| {
        [
            one.process.to_string(),
            time(Some(one.uptime)),
            format!("{}/{}", one.connections, one.max_connections),
            one.received_kbps.to_string(),
            one.sent_kbps.to_string(),
            one.skipped.to_string(),
            one.version.clone(),
        ]
    });
    let mut text = table(header, processes.collect());
    let streams = overviews.iter().flat_map(|one| {
        let streams = one.streams.iter();
        streams.map(|stream| row(one, stream))
    });
    let streams: Vec<_> = streams.collect();
    if !streams.is_empty() {
        let header = [
            "STREAM", "PROCESS", "UPTIME", "VIDEO", "AUDIO", "PLAYERS", "KBPS-IN", "KBPS-OUT",
            "SKIPPED",
        ];
        text.push('\n');
        text.push_str(&table(header, streams));
    }
    text
}

fn row(process: &Overview, stream: &StreamView) -> [String; 9] {
    let StreamView {
        vhost, app, name, ..
    } = stream;
    let path = match vhost.as_str() {
        DEFAULT_VHOST => format!("{app}/{name}"),
        vhost => format!("{vhost}/{app}/{name}"),
    };
    let video = |video: &Video| {
        let Video {
            codec,
            width,
            height,
            ..
        } = video;
        format!("{codec} {width}x{height} {:.0}", stream.fps)
    };
    let audio = stream.audio.as_ref();
    [
        shortened(path),
        process.process.to_string(),
        time(stream.live),
        stream.video.as_ref().map(video).unwrap_or_default(),
        audio.map(|audio| audio.codec.clone()).unwrap_or_default(),
        stream.players.to_string(),
        stream.received_kbps.to_string(),
        stream.sent_kbps.to_string(),
        stream.skipped.to_string(),
    ]
}

/// The end of a path, which tells more than its beginning.
fn shortened(path: String) -> String {
    let length = path.chars().count();
    if length <= SHOWN {
        return path;
    }
    let left_out = length.saturating_sub(SHOWN).saturating_add(1);
    core::iter::once('…')
        .chain(path.chars().skip(left_out))
        .collect()
}

/// `1d 2h`, `3h 04m`, `5m 06s`; nothing if it is not live.
fn time(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "-".to_owned();
    };
    let seconds = std::time::Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else {
        format!("{minutes}m {:02}s", seconds % 60)
    }
}

/// Columns as wide as what is in them: the first to the left, the others to the right.
fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut rows = rows;
    rows.insert(0, header.map(str::to_owned));
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match index {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, " {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_say_what_there_is() {
        let stream = StreamView {
            vhost: "long.vhost.example".to_owned(),
            app: "live".to_owned(),
            name: "x".repeat(128),
            live: Some(86_400.0 * 400.0),
            players: 999_999,
            received_kbps: 100_000,
            sent_kbps: 10_000_000,
            fps: 60.0,
            skipped: 9_999_999,
            video: Some(Video {
                codec: "H264".to_owned(),
                width: 1920,
                height: 1080,
                ..Video::default()
            }),
            ..StreamView::default()
        };
        let overview = Overview {
            process: 4_194_304,
            uptime: 61.0,
            streams: vec![stream],
            ..Overview::default()
        };
        let text = tables(&[overview]);
        assert_eq!(text.lines().count(), 5);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        assert!(text.contains("4194304 1m 01s"), "{text}");
        assert!(text.contains("…xxx") && text.contains("H264 1920x1080 60"));
        assert!(text.contains("400d 0h"), "{text}");
    }

    #[test]
    fn times() {
        for (seconds, expected) in [(0.9, "0m 00s"), (3725.0, "1h 02m"), (90_000.0, "1d 1h")] {
            assert_eq!(time(Some(seconds)), expected);
        }
        assert_eq!(time(None), "-");
    }
}
