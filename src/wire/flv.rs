//! Audio and video messages as far as a relay looks into them [FLV E.4.2.1, E.4.3.1, E-RTMP v2].
//!
//! The bodies are relayed untouched. All that is decided here is what a message means to fan-out:
//! can a decoder start from it, must a player that joins later see it, and which older one it
//! replaces.

use super::reader::Reader;
use crate::limits;

/// What a message means to fan-out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TagKind {
    /// An audio sequence header: kept for players that join later.
    AudioHeader,
    /// A video sequence header, or colour information: kept for players that join later.
    VideoHeader,
    /// Video that a decoder can start from.
    RandomAccess,
    /// Video that needs what came before it, or says nothing to a decoder that starts.
    Dependent,
    /// Coded audio.
    Audio,
}

/// The meaning of one audio or video message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag {
    /// What it means to fan-out.
    pub kind: TagKind,
    /// Of a header: it replaces the last one of its kind with the same slot (packet type and
    /// track), and slots in ascending order are the order to repeat them in. Else 0.
    pub slot: u16,
}

/// In a slot: colour information or a channel layout, which comes after the sequence header.
const SLOT_SUPPLEMENT: u16 = 0x200;
/// In a slot: one message for many tracks. Its own slot, or it would displace a header of its first
/// track alone, and be displaced by it, other tracks included.
const SLOT_MANY_TRACKS: u16 = 0x100;

/// Second byte of AVC video and of AAC audio [FLV E.4.2.1, E.4.3.1].
const SEQUENCE_HEADER: u8 = 0;
const NALU: u8 = 1;

const AAC: u8 = 10;
const EX_AUDIO: u8 = 9;
const EX_VIDEO: u8 = 0x80;

const KEY_FRAME: u8 = 1;
const COMMAND_FRAME: u8 = 5;

/// Packet types of Enhanced RTMP. Audio and video count apart.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const VIDEO_METADATA: u8 = 4;
const VIDEO_MPEG2TS_SEQUENCE_START: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTICHANNEL_CONFIG: u8 = 4;
const AUDIO_MULTITRACK: u8 = 5;
const MOD_EX: u8 = 7;

/// Classifies the payload of an audio message [RTMP §7.1.4].
///
/// `None`: empty or malformed, to be dropped.
pub fn audio(payload: &[u8]) -> Option<Tag> {
    let mut reader = Reader::new(payload);
    let first = reader.u8()?;
    match first >> 4 {
        AAC => Some(match reader.u8()? {
            SEQUENCE_HEADER => Tag::header(TagKind::AudioHeader, 0),
            _ => Tag::coded(TagKind::Audio),
        }),
        EX_AUDIO => {
            let packet_type = mod_ex(first & 0x0f, &mut reader)?;
            let inner = Inner::decode(packet_type, AUDIO_MULTITRACK, &mut reader)?;
            Some(match inner.packet_type {
                SEQUENCE_START => Tag::header(TagKind::AudioHeader, inner.slot),
                AUDIO_MULTICHANNEL_CONFIG => {
                    Tag::header(TagKind::AudioHeader, inner.slot | SLOT_SUPPLEMENT)
                }
                _ => Tag::coded(TagKind::Audio),
            })
        }
        _ => Some(Tag::coded(TagKind::Audio)),
    }
}

/// Classifies the payload of a video message [RTMP §7.1.5].
///
/// `None`: empty or malformed, to be dropped.
pub fn video(payload: &[u8]) -> Option<Tag> {
    let mut reader = Reader::new(payload);
    let first = reader.u8()?;
    let kind = match (first >> 4) & 0x07 {
        KEY_FRAME => TagKind::RandomAccess,
        _ => TagKind::Dependent,
    };
    let command = (first >> 4) & 0x07 == COMMAND_FRAME;
    match first & 0x0f {
        packet_type if first & EX_VIDEO != 0 => ex_video(packet_type, kind, command, &mut reader),
        _ if command => Some(Tag::coded(TagKind::Dependent)),
        // AVC. Deviation: and HEVC and AV1 as some encoders send them without Enhanced RTMP.
        7 | 12 | 13 => match reader.u8()? {
            SEQUENCE_HEADER => reader
                .take(3)
                .map(|_composition_time| Tag::header(TagKind::VideoHeader, 0)),
            NALU => reader.take(3).map(|_composition_time| Tag::coded(kind)),
            _ => Some(Tag::coded(TagKind::Dependent)),
        },
        _ => Some(Tag::coded(kind)),
    }
}

/// Goes on after the first byte of an `ExVideoTagHeader`.
fn ex_video(packet_type: u8, kind: TagKind, command: bool, reader: &mut Reader<'_>) -> Option<Tag> {
    let packet_type = mod_ex(packet_type, reader)?;
    if command && packet_type != VIDEO_METADATA {
        return Some(Tag::coded(TagKind::Dependent));
    }
    let inner = Inner::decode(packet_type, VIDEO_MULTITRACK, reader)?;
    Some(match inner.packet_type {
        // The two are mutually exclusive, so they share a slot.
        SEQUENCE_START | VIDEO_MPEG2TS_SEQUENCE_START => {
            Tag::header(TagKind::VideoHeader, inner.slot)
        }
        VIDEO_METADATA => Tag::header(TagKind::VideoHeader, inner.slot | SLOT_SUPPLEMENT),
        // Everybody gets every track. Track 0 is the default one: where it starts, a player starts.
        CODED_FRAMES | CODED_FRAMES_X if inner.track == 0 => Tag::coded(kind),
        _ => Tag::coded(TagKind::Dependent),
    })
}

/// Follows modifiers (`ModEx`) to the packet type that they modify.
fn mod_ex(mut packet_type: u8, reader: &mut Reader<'_>) -> Option<u8> {
    for _ in 0..limits::MAX_MOD_EX {
        if packet_type != MOD_EX {
            return Some(packet_type);
        }
        // The length minus one; 255 says that it is in two more bytes.
        let length = match reader.u8()? {
            0xff => usize::from(reader.u16()?),
            length => usize::from(length),
        };
        reader.take(length.checked_add(1)?)?;
        packet_type = reader.u8()? & 0x0f;
    }
    (packet_type != MOD_EX).then_some(packet_type)
}

/// What an enhanced header holds, after its modifiers and its multitrack header if it has one.
struct Inner {
    packet_type: u8,
    /// The first track of a message for many tracks: they share a packet and a frame type.
    track: u8,
    slot: u16,
}

impl Inner {
    fn decode(packet_type: u8, multitrack: u8, reader: &mut Reader<'_>) -> Option<Self> {
        if packet_type != multitrack {
            reader.take(4)?; // FourCC
            return Some(Self {
                packet_type,
                track: 0,
                slot: 0,
            });
        }
        let second = reader.u8()?;
        let packet_type = second & 0x0f;
        if packet_type == multitrack || packet_type == MOD_EX {
            return None;
        }
        reader.take(4)?; // FourCC, before the first track or of all tracks
        let track = reader.u8()?;
        let many = match second >> 4 {
            0 => 0,
            1 | 2 => {
                let length = reader.u24()?;
                reader.take(usize::try_from(length).ok()?)?;
                SLOT_MANY_TRACKS
            }
            _ => return None, // reserved: nobody knows where its tracks begin
        };
        Some(Self {
            packet_type,
            track,
            slot: many | u16::from(track),
        })
    }
}

impl Tag {
    const fn header(kind: TagKind, slot: u16) -> Self {
        Self { kind, slot }
    }

    const fn coded(kind: TagKind) -> Self {
        Self { kind, slot: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tag(kind: TagKind, slot: u16) -> Option<Tag> {
        Some(Tag { kind, slot })
    }
    const KEY: Option<Tag> = tag(TagKind::RandomAccess, 0);
    const DEPENDENT: Option<Tag> = tag(TagKind::Dependent, 0);
    const AUDIO: Option<Tag> = tag(TagKind::Audio, 0);
    const fn video_header(slot: u16) -> Option<Tag> {
        tag(TagKind::VideoHeader, slot)
    }
    const fn audio_header(slot: u16) -> Option<Tag> {
        tag(TagKind::AudioHeader, slot)
    }

    type Case = (&'static [u8], Option<Tag>, &'static str);
    const LEGACY_VIDEO: &[Case] = &[
        (b"", None, "empty"),
        (b"\x17\0\0\0\0\x01", video_header(0), "avcC"),
        (b"\x17\0\0\0\0", video_header(0), "empty avcC"),
        (b"\x17\0\0\0", None, "avcC without composition time"),
        (b"\x17\x01\0\0\0", KEY, "AVC key frame"),
        (b"\x17\x01\0\0", None, "AVC key frame cut short"),
        (b"\x17", None, "AVC without packet type"),
        (b"\x27\x01\0\0\0", DEPENDENT, "AVC inter frame"),
        (b"\x27\0\0\0\0", video_header(0), "avcC in an inter frame"),
        (b"\x17\x02\0\0\0", DEPENDENT, "AVC end of sequence"),
        (b"\x17\x03\0\0\0", DEPENDENT, "AVC, unknown packet type"),
        (b"\x1c\0\0\0\0", video_header(0), "hvcC under id 12"),
        (b"\x1c\x01\0\0\0", KEY, "HEVC key frame under id 12"),
        (b"\x1d\0\0\0\0", video_header(0), "av1C under id 13"),
        (b"\x12", KEY, "Sorenson H.263 key frame"),
        (b"\x22", DEPENDENT, "Sorenson H.263 inter frame"),
        (b"\x57\0", DEPENDENT, "command frame"),
        (b"\x47\x01\0\0\0", DEPENDENT, "generated key frame"),
    ];
    const ENHANCED_VIDEO: &[Case] = &[
        (b"\x90hvc1", video_header(0), "SequenceStart"),
        (b"\x90hvc", None, "FourCC cut short"),
        (b"\x91hvc1\0\0\0", KEY, "CodedFrames, key"),
        (b"\xa1hvc1\0\0\0", DEPENDENT, "CodedFrames, inter"),
        (b"\x93av01", KEY, "CodedFramesX, key"),
        (b"\xa3av01", DEPENDENT, "CodedFramesX, inter"),
        (b"\x92hvc1", DEPENDENT, "SequenceEnd"),
        (b"\x94hvc1", video_header(0x200), "Metadata"),
        (
            b"\xd4hvc1",
            video_header(0x200),
            "Metadata ignores frame type",
        ),
        (b"\xd0\0", DEPENDENT, "enhanced command frame has no FourCC"),
        (b"\x95av01", video_header(0), "MPEG2TSSequenceStart"),
        (b"\x98hvc1", DEPENDENT, "reserved packet type"),
        (b"\x96\x00avc1\x02", video_header(2), "header of track 2"),
        (b"\x96\x04avc1\x02", video_header(0x202), "its Metadata"),
        (b"\x96\x01avc1\x00", KEY, "key frame of track 0"),
        (b"\x96\x01avc1\x02", DEPENDENT, "key frame of track 2"),
        (b"\x96\x00avc1", None, "track id cut off"),
        (
            b"\x96\x10avc1\0\0\0\x01x",
            video_header(0x100),
            "ManyTracks",
        ),
        (b"\x96\x11avc1\0\0\0\x01x", KEY, "ManyTracks, key frame"),
        (
            b"\x96\x11avc1\0\0\0\x02x",
            None,
            "ManyTracks, first track cut short",
        ),
        (b"\x96\x21avc1\0\0\0\0", KEY, "ManyTracksManyCodecs"),
        (b"\x96\x31avc1\0\0\0\0", None, "reserved multitrack type"),
        (b"\x96\x06avc1\0", None, "multitrack in multitrack"),
        (b"\x96\x07avc1\0", None, "ModEx in multitrack"),
        (b"\x97\x02\0\0\x01\x01hvc1", KEY, "ModEx, then CodedFrames"),
        (
            b"\x97\x02\0\0\x01\x06\x00hvc1\x03",
            video_header(3),
            "ModEx, track",
        ),
        (b"\x97\xff\0\x01ab\x01hvc1", KEY, "ModEx of 16-bit length"),
        (
            b"\x97\xff\xff\xffab\x01hvc1",
            None,
            "ModEx longer than the message",
        ),
    ];

    const AUDIO_CASES: &[Case] = &[
        (b"", None, "empty"),
        (b"\xaf\0\x12\x10", audio_header(0), "AudioSpecificConfig"),
        (b"\xaf\x01\x21", AUDIO, "AAC"),
        (b"\xaf", None, "AAC without packet type"),
        (b"\x2f", AUDIO, "MP3"),
        (b"\x90Opus", audio_header(0), "SequenceStart"),
        (b"\x91Opus", AUDIO, "CodedFrames"),
        (b"\x92Opus", AUDIO, "SequenceEnd"),
        (b"\x94Opus", audio_header(0x200), "MultichannelConfig"),
        (b"\x91Opu", None, "FourCC cut short"),
        (b"\x95\x00Opus\x01", audio_header(1), "header of track 1"),
        (
            b"\x95\x04Opus\x01",
            audio_header(0x201),
            "its MultichannelConfig",
        ),
        (b"\x95\x01Opus\x01", AUDIO, "track 1"),
        (b"\x95\x05Opus\x01", None, "multitrack in multitrack"),
        (b"\x97\0\0\x00Opus", audio_header(0), "ModEx, SequenceStart"),
    ];

    #[test]
    fn cases_mean_what_the_specifications_say() {
        for &(payload, expected, name) in LEGACY_VIDEO.iter().chain(ENHANCED_VIDEO) {
            assert_eq!(video(payload), expected, "{name}");
        }
        for &(payload, expected, name) in AUDIO_CASES {
            assert_eq!(audio(payload), expected, "{name}");
        }
    }

    #[test]
    fn every_prefix_has_a_meaning_or_none() {
        for &(payload, ..) in [LEGACY_VIDEO, ENHANCED_VIDEO, AUDIO_CASES].concat().iter() {
            for length in 0..payload.len() {
                video(&payload[..length]);
                audio(&payload[..length]);
            }
        }
    }

    #[test]
    fn modifiers_are_followed_up_to_the_limit() {
        for (count, expected) in [(limits::MAX_MOD_EX, KEY), (limits::MAX_MOD_EX + 1, None)] {
            let mut payload = vec![0x97];
            for _ in 1..count {
                payload.extend_from_slice(&[0, 0xaa, 0x07]);
            }
            payload.extend_from_slice(b"\0\xaa\x01hvc1");
            assert_eq!(video(&payload), expected, "{count} modifiers");
        }
    }
}
