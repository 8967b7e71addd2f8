//! Every seed and every past crasher of every fuzz target, on stable.
#![cfg(test)]

use std::fs;
use std::path::Path;

use srs_lite::fuzzing;

/// A fuzz target's name and body.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("aac", fuzzing::aac),
    ("amf0", fuzzing::amf0),
    ("avc", fuzzing::avc),
    ("chunk", fuzzing::chunk),
    ("chunk_differential", fuzzing::chunk_differential),
    ("chunk_roundtrip", fuzzing::chunk_roundtrip),
    ("client_session", fuzzing::client_session),
    ("command", fuzzing::command),
    ("config", fuzzing::config),
    ("flv", fuzzing::flv),
    ("handshake", fuzzing::handshake),
    ("http", fuzzing::http),
    ("mpegts", fuzzing::mpegts),
    ("names", fuzzing::names),
    ("playlist", fuzzing::playlist),
    ("segmenter", fuzzing::segmenter),
    ("session", fuzzing::session),
    #[cfg(feature = "from-srs")]
    ("srs_conf", fuzzing::srs_conf),
    ("sps", fuzzing::sps),
];

#[test]
fn corpora_replay() {
    for &(name, target) in TARGETS {
        let dir = Path::new("fuzz/corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&dir).unwrap() {
            target(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{}: empty corpus", dir.display());
    }
}

#[test]
fn every_target_is_replayed() {
    for entry in fs::read_dir("fuzz/fuzz_targets").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap();
        if name == "srs_conf" && cfg!(not(feature = "from-srs")) {
            continue;
        }
        let replayed = TARGETS.iter().any(|&(target, _)| target == name);
        assert!(replayed, "{} is not in TARGETS", path.display());
    }
}
