//! Rows M2 and M8: timestamps that no encoder sends.

use std::fs::{self};

use crate::support::eventually;
use crate::support::hls::{Playlist, Watch, files};
use crate::support::media::AVC_HEADER;
use crate::support::peer::publishing;
use crate::support::segments::{AVC, picture};
use crate::support::temp::TempDir;
use crate::support::ts::demux;

use super::media::{Victim, recording};

/// Timestamps of the frames by their index; how many segments and discontinuities there will be.
type Times = (&'static str, fn(u32) -> u32, [usize; 2]);

const HALF: u32 = 1 << 31;

/// What has no duration is not in a playlist.
const TIMES: &[Times] = &[
    ("constant", |_| 1000, [0, 0]),
    ("backward", |index| 900_000 - index * 40, [0, 0]),
    ("to_and_fro", |index| index % 2 * HALF, [0, 0]),
    (
        "half_on",
        |index| ((index / 50).wrapping_mul(HALF - 1)).wrapping_add(index * 40),
        [10, 4],
    ),
    (
        "half_back",
        |index| (index / 50).wrapping_mul(HALF + 1).wrapping_add(index * 40),
        [10, 4],
    ),
    ("wrap", |index| (index * 40).wrapping_sub(5000), [10, 0]),
];

#[test]
fn m2_timestamps_that_stand_still_or_leap() {
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let server = &bystander.server;
    for (name, at, [segments, breaks]) in TIMES {
        let watch = Watch::new(directory.path(), name);
        let mut victim = Victim::new(server, name);
        victim.pass(9, at(0), &AVC_HEADER);
        for index in 0..250_u32 {
            let payload = picture(index % 25 == 0, 0, &index.to_be_bytes().repeat(500));
            victim.pass(9, at(index), &payload);
        }
        victim.recorded(directory.path());
        let seen = watch.seen();
        assert_eq!(seen.segments.len(), *segments, "{name}");
        let last = seen.playlists.last();
        assert_eq!(
            last.map_or(0, Playlist::discontinuities),
            *breaks,
            "{name}: {last:?}"
        );
        assert_eq!(server.count_log(&format!("[WARN] live/{name}")), 0);
    }
    bystander.end("M2 | 6 kinds of timestamps | relayed as sent; playlists valid");
}

/// A frame of two megabytes, again and again at the same time: the file may not grow for ever.
#[test]
fn m2_a_segment_that_never_ends() {
    const MOST: u64 = 128 << 20;
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let mut publisher = publishing(bystander.server.address(), "large");
    let size = || {
        let files = files(&directory.path().join("live/large"));
        files
            .iter()
            .filter_map(|file| fs::metadata(file).ok())
            .map(|file| file.len())
            .sum::<u64>()
    };
    let frame = picture(true, 0, &[1; 2 << 20]);
    let (mut largest, mut last) = (0, 0);
    let frames = (0..70).find(|_| {
        publisher.send(9, 1000, &frame);
        // All of a frame is written before the next one is looked at.
        eventually("it is written", || size() != last && size() % 188 == 0);
        last = size();
        largest = largest.max(last);
        last < largest
    });
    assert!(frames.is_some(), "it grew to {largest} bytes");
    assert!(
        largest > MOST - (3 << 20) && largest < MOST + (3 << 20),
        "{largest} bytes"
    );
    drop(publisher);
    bystander.end(&format!(
        "M2 | a segment of one moment | given up at {} MiB",
        largest >> 20
    ));
}

#[test]
fn m8_composition_times_of_24_bits() {
    const OFFSETS: [i32; 8] = [0, 80, -1, -40, -8_388_608, 8_388_607, 0x8000, -0x8000];
    let directory = TempDir::new();
    let bystander = recording(directory.path());
    let mut victim = Victim::new(&bystander.server, "cts");
    victim.pass(9, 0, &AVC_HEADER);
    for (index, offset) in OFFSETS.into_iter().cycle().take(80).enumerate() {
        let time = 10_000_000 + index as u32 * 40;
        victim.pass(9, time, &picture(index % 10 == 0, offset, &[1; 50]));
    }
    let playlist = victim.recorded(directory.path()).unwrap();
    let mut count = 0;
    let mut begin = None;
    for entry in playlist.entries {
        let segment = demux(&fs::read(directory.path().join("live").join(entry.uri)).unwrap());
        for unit in &segment.stream(AVC).unwrap().units {
            let offset = i64::from(OFFSETS[count % OFFSETS.len()]);
            let shown = (count as i64 * 40 + offset) * 90;
            let since = unit.pts as i64 - *begin.get_or_insert(unit.pts) as i64;
            assert_eq!((since - shown).rem_euclid(1 << 33), 0, "picture {count}");
            count += 1;
        }
    }
    assert_eq!(count, 80);
    bystander.end("M8 | offsets from -8,388,608 to 8,388,607 ms | 80 pictures, each at its time");
}
