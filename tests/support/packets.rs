//! Packets of a recording, as ffmpeg sees them, compared with those of its source.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The samples have a keyframe in each second of 25 frames.
const GROUP: usize = 25;

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Of {
    /// Every packet as it was sent.
    Packets,
    /// The pictures, if a player packs the video anew, and the packets of the audio.
    Pictures,
}

/// Sizes and checksums, by kind of stream.
#[derive(Debug)]
pub(crate) struct Packets(HashMap<String, Vec<String>>);

impl Packets {
    /// Those of a file.
    pub(crate) fn read(file: &Path, of: Of) -> Self {
        let codecs: &[_] = match of {
            Of::Packets => &["-c", "copy"],
            Of::Pictures => &["-c:a", "copy"],
        };
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(codecs)
            .args(["-f", "framemd5", "-"])
            .stdin(Stdio::null())
            .output()
            .expect("needs ffmpeg");
        Self::parse(&String::from_utf8(output.stdout).unwrap())
    }

    /// Those in the output of ffmpeg's muxer framemd5.
    pub(crate) fn parse(text: &str) -> Self {
        let mut kinds = HashMap::new();
        let mut packets: HashMap<String, Vec<String>> = HashMap::new();
        for line in text.lines() {
            if let Some(stream) = line.strip_prefix("#media_type ") {
                let (index, kind) = stream.split_once(": ").unwrap();
                kinds.insert(index.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let columns: Vec<_> = line.split(',').map(str::trim).collect();
                let kind = kinds[columns[0]].clone();
                let packet = format!("{} {}", columns[4], columns[5]);
                packets.entry(kind).or_default().push(packet);
            }
        }
        Self(packets)
    }

    /// The same without the last packets of each stream: a player that is killed cuts one, and
    /// some pictures may need it.
    pub(crate) fn without_end(mut self) -> Self {
        for packets in self.0.values_mut() {
            packets.truncate(packets.len().saturating_sub(4));
        }
        self
    }

    /// Checks that audio and video are a part of `source` each, without a gap, more than a group
    /// long, and that the video begins with a keyframe.
    pub(crate) fn assert_part_of(&self, source: &Self, what: &str) {
        for kind in ["video", "audio"] {
            let part = self.0.get(kind).map_or(&[][..], Vec::as_slice);
            assert!(part.len() > GROUP, "{what}: {} {kind} packets", part.len());
            let mut windows = source.0[kind].windows(part.len());
            let first = windows.position(|window| window == part);
            let first = first.unwrap_or_else(|| panic!("{what}: {kind} was changed"));
            assert!(
                kind == "audio" || first.is_multiple_of(GROUP),
                "{what}: the video starts at {first}"
            );
        }
    }
}
