//! Timestamps: absolute and delta, extended, repeated or not, across both wraps.

use crate::chunks::{cut, message, messages, payload, timestamps, type0, type1, type2, type3};

const AUDIO: (u8, u32) = (8, 1);

/// 0xFFFFFF itself is not a timestamp: it says that the extended one follows [RTMP §5.3.1.3].
#[test]
fn absolute_timestamps_are_extended_from_0xffffff_on() {
    for timestamp in [
        0,
        0xff_fffe,
        0xff_ffff,
        0x0100_0000,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
    ] {
        let chunks = [type0(4, timestamp, 2, AUDIO, b"hi")];
        assert_eq!(timestamps(b"hi", &chunks), [timestamp]);
        let long = message(9, timestamp, &payload(400));
        assert_eq!(messages(&cut(4, &long, 128)), [long]);
    }
}

/// What is extended is the delta, not the timestamp. (SRS takes it for the timestamp.)
#[test]
fn deltas_are_extended_as_deltas() {
    for delta in [0xff_fffe, 0xff_ffff, 0x0123_4567, u32::MAX] {
        let chunks = [
            type0(4, 100, 2, AUDIO, b"hi"),
            type1(4, delta, 2, 8, b"hi"),
            type2(4, delta, b"hi"),
        ];
        let sum = |times: u32| delta.wrapping_mul(times).wrapping_add(100);
        assert_eq!(timestamps(b"hi", &chunks), [sum(0), sum(1), sum(2)]);
    }
}

#[test]
fn deltas_carry_timestamps_across_both_wraps() {
    for start in [0xff_fff0, u32::MAX - 15] {
        let chunks = [
            type0(4, start, 1, AUDIO, b"x"),
            type1(4, 15, 1, 8, b"x"),
            type2(4, 1, b"x"),
            type3(4, None, b"x"),
            type3(4, None, b"x"),
        ];
        let expected = [0, 15, 16, 17, 18].map(|passed| start.wrapping_add(passed));
        assert_eq!(timestamps(b"x", &chunks), expected);
    }
}

/// Deviation: by the letter of [RTMP §5.3.1.2.4] it would add the absolute timestamp.
#[test]
fn type_3_begins_a_message_with_the_last_delta_and_after_type_0_with_none() {
    let chunks = [
        type0(4, 1000, 1, AUDIO, b"x"),
        type3(4, None, b"x"),
        type1(4, 20, 1, 8, b"x"),
        type3(4, None, b"x"),
        type2(4, 7, b"x"),
        type3(4, None, b"x"),
        type0(4, 5, 1, AUDIO, b"x"),
        type3(4, None, b"x"),
    ];
    let expected = [1000, 1000, 1020, 1040, 1047, 1054, 5, 5];
    assert_eq!(timestamps(b"x", &chunks), expected);
}

/// The continuation of a message adds nothing.
#[test]
fn type_3_inside_a_message_adds_no_delta() {
    let body = payload(300);
    let chunks = [
        type0(4, 10, 300, (9, 1), &body[..128]),
        type3(4, None, &body[128..256]),
        type3(4, None, &body[256..]),
        type2(4, 40, &body[..128]),
        type3(4, None, &body[128..256]),
        type3(4, None, &body[256..]),
        type3(4, None, &body[..128]),
        type3(4, None, &body[128..256]),
        type3(4, None, &body[256..]),
    ];
    assert_eq!(timestamps(&body, &chunks), [10, 50, 90]);
}

/// Messages of every length around the chunk size, so that the last chunk holds less than the four
/// bytes of a copy too; with the copy that the specification asks for, and without it as old
/// librtmp sends.
#[test]
fn extended_timestamps_are_read_with_and_without_copies() {
    for extended in [0xff_ffff_u32, 0x0102_0304, u32::MAX] {
        for length in (129..=136).chain(255..=262) {
            let body = vec![0x5a; length];
            for copy in [Some(extended), None] {
                let absolute = type0(4, extended, length, (9, 1), &body[..128]);
                let delta = type1(4, extended, length, 9, &body[..128]);
                let mut chunks = Vec::new();
                for first in [absolute, delta] {
                    chunks.push(first);
                    let rest = body[128..].chunks(128);
                    chunks.extend(rest.map(|part| type3(4, copy, part)));
                }
                // What follows decides in the cases that could be either.
                chunks.push(type0(5, 1, length, AUDIO, &body[..128]));
                chunks.extend(body[128..].chunks(128).map(|part| type3(5, None, part)));
                let expected = [extended, extended.wrapping_mul(2), 1];
                assert_eq!(timestamps(&body, &chunks), expected, "{length} {copy:?}");
            }
        }
    }
}

/// Also on the type 3 chunk that begins a message, which then adds the extended delta.
#[test]
fn type_3_that_begins_a_message_may_repeat_the_extended_timestamp() {
    let delta = 0x0100_0000;
    for copy in [Some(delta), None] {
        for body in [&b"x"[..], b"some", b"longer"] {
            let chunks = [
                type0(4, 1, body.len(), AUDIO, body),
                type2(4, delta, body),
                type3(4, copy, body),
                type3(4, copy, body),
                type0(5, 0, body.len(), AUDIO, body),
            ];
            let expected = [1, 1 + delta, 1 + 2 * delta, 1 + 3 * delta, 0];
            assert_eq!(timestamps(body, &chunks), expected, "{copy:?}");
        }
    }
}

/// A later header without extended timestamp ends the copies.
#[test]
fn a_plain_timestamp_ends_the_copies() {
    let body = [&0x0100_0000_u32.to_be_bytes()[..]; 64].concat();
    let chunks = [
        type0(4, 0x0100_0000, 1, AUDIO, b"x"),
        type1(4, 20, 256, 9, &body[..128]),
        type3(4, None, &body[128..]), // looks like copies, but is data
        type3(4, None, &body[..128]),
        type3(4, None, &body[128..]),
    ];
    let all = messages(&chunks);
    assert_eq!(
        all[1..],
        [20, 40].map(|passed| message(9, 0x0100_0000 + passed, &body))
    );
}

/// Chunk streams count time apart from each other.
#[test]
fn each_chunk_stream_has_its_own_time() {
    let chunks = [
        type0(4, 100, 1, AUDIO, b"x"),
        type0(5, 0x0100_0000, 1, AUDIO, b"x"),
        type1(4, 1, 1, 8, b"x"),
        type1(5, 2, 1, 8, b"x"),
        type3(4, None, b"x"),
        type3(5, None, b"x"),
    ];
    let expected = [100, 0x0100_0000, 101, 0x0100_0002, 102, 0x0100_0004];
    assert_eq!(timestamps(b"x", &chunks), expected);
}
