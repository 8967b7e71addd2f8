//! C1 to C12: chunks.

use srs_lite::limits;

use crate::stage::{Stage, assert_ends, assert_goes_on, message, send_all, watched};
use crate::support::bystander::Bystander;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::Connection;
use crate::support::media::{self, Kind};
use crate::support::peer::Publisher;

const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;
const USER_CONTROL: u8 = 4;

/// A type that means nothing: whatever is in it, nothing comes of it.
const UNKNOWN: u8 = 99;

/// Some bytes of a message of `length`, in the first chunk of its chunk stream.
fn begin(csid: u32, length: usize, bytes: usize) -> Vec<u8> {
    let whole = Message {
        csid,
        type_id: UNKNOWN,
        payload: vec![0; length],
        ..Message::default()
    };
    let basic = match csid {
        ..64 => 1,
        64..320 => 2,
        _ => 3,
    };
    let how = Cut {
        basic,
        ..Cut::plain(bytes)
    };
    cut(&whole, how).swap_remove(0)
}

/// A numbered frame as a message of `publisher`.
fn frame(publisher: &Publisher, csid: u32, kind: Kind, number: u32, size: usize) -> Message {
    Message {
        csid,
        type_id: kind.type_id(),
        timestamp: number * 20,
        stream: publisher.stream,
        payload: media::frame(kind, number, size),
    }
}

fn send_raw(connection: &mut Connection, bytes: &[u8]) {
    // The server may have closed before it was all written.
    let _closed = connection.send_raw(bytes);
}

#[test]
fn c1_chunk_sizes() {
    let bystander = Bystander::start("");
    let at = &bystander;
    for stage in [Stage::Early, Stage::Idle, Stage::Publishing, Stage::Playing] {
        for size in [0, 1, 127, 0x8000_0000, u32::MAX] {
            let why = format!("chunk size {size} out of range");
            assert_ends(at, stage, &why, |peer| {
                peer.send_control(SET_CHUNK_SIZE, &size.to_be_bytes());
            });
        }
        for length in 0..4 {
            let why = format!("control message of {length} bytes");
            assert_ends(at, stage, &why, |peer| {
                peer.send_control(SET_CHUNK_SIZE, &[0, 0, 1][..length]);
            });
        }
    }
    for size in [128, 0xFF_FFFF, 0x100_0000, 0x7FFF_FFFF] {
        for stage in Stage::CONNECTED {
            assert_goes_on(at, stage, |peer| peer.set_chunk_size(size));
        }
    }
    let peak = bystander.peak();
    assert!(peak < 8 * 1024, "{peak} KiB");
    bystander.end("C1 | chunk sizes 0, 1, 127, bit 31, short | closed; 128 to 2^31-1 go on");
}

#[test]
fn c2_the_smallest_chunks_of_the_longest_messages() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    publisher.connection.set_chunk_size(128);
    let before = bystander.server.processor_time();
    for number in 2..=4 {
        publisher.send_frame(Kind::Inter, number, number * 20, limits::MAX_MESSAGE_LENGTH);
        assert_eq!(player.frame().0, number);
    }
    let took = bystander.server.processor_time() - before;
    // 98,304 chunks; without optimisation.
    assert!(took.as_secs() < 3, "{took:?}");
    drop((publisher, player));
    bystander.end(&format!(
        "C2 | 12 MiB in chunks of 128 bytes (1 is refused) | passed on in {} ms of a core",
        took.as_millis()
    ));
}

#[test]
fn c3_lengths_that_are_only_announced() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let longest = 0xFF_FFFF;
    for stage in [Stage::Early, Stage::Idle, Stage::Publishing, Stage::Playing] {
        let why = "message of 16777215 bytes is too long";
        assert_ends(at, stage, why, |peer| {
            send_raw(peer, &begin(4, longest, longest)[..12]);
        });
    }
    // As much as may be announced, and a chunk of it.
    let mut peers = Vec::new();
    for _ in 0..20 {
        for (stage, length) in [
            (Stage::Idle, limits::MAX_MESSAGE_LENGTH_EARLY),
            (Stage::Publishing, limits::MAX_MESSAGE_LENGTH),
        ] {
            let mut peer = stage.reach(at);
            peer.set_chunk_size(128);
            send_raw(&mut peer, &begin(4, length, 128));
            bystander.assert_goes_on(&mut peer);
            peers.push(peer);
        }
    }
    let peak = bystander.peak();
    // Threads and buffers of 40 connections.
    assert!(peak < 8 * 1024, "{peak} KiB");
    drop(peers);
    bystander.end(&format!(
        "C3 | 16 MiB announced; 20 × 4 MiB and 20 × 16 KiB begun | closed; peak RSS +{peak} KiB"
    ));
}

#[test]
fn c4_the_longest_message_and_one_byte_more() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let early = limits::MAX_MESSAGE_LENGTH_EARLY;
    let longer = |length| format!("message of {length} bytes is too long");
    for stage in [Stage::Idle, Stage::Playing] {
        assert_goes_on(at, stage, |peer| {
            send_all(peer, &[message(UNKNOWN, &vec![0; early])]);
        });
        assert_ends(at, stage, &longer(early + 1), |peer| {
            send_all(peer, &[message(UNKNOWN, &vec![0; early + 1])]);
        });
    }
    let longest = limits::MAX_MESSAGE_LENGTH;
    let (mut publisher, mut player) = watched(at);
    publisher.send_frame(Kind::Key, 2, 40, longest);
    assert_eq!(player.frame().0, 2);
    let peer = publisher.connection.socket().local_addr().unwrap();
    let frame = media::frame(Kind::Inter, 3, longest + 1);
    let _closed = publisher.try_send(9, 60, &frame);
    bystander.assert_ended(peer, &longer(longest + 1));
    drop((publisher, player));
    bystander.end("C4 | 16 KiB early, 4 MiB from a publisher; one byte more | goes on; closed");
}

#[test]
fn c5_partial_messages_on_every_chunk_stream() {
    let bystander = Bystander::start("");
    let at = &bystander;
    for stage in [Stage::Early, Stage::Idle, Stage::Publishing, Stage::Playing] {
        assert_ends(at, stage, "too many chunk streams", |peer| {
            peer.set_chunk_size(128);
            let begun: Vec<_> = (1000..=65_599).map(|csid| begin(csid, 200, 128)).collect();
            send_raw(peer, &begun.concat());
        });
        let length = match stage {
            Stage::Publishing => limits::MAX_MESSAGE_LENGTH,
            _ => limits::MAX_MESSAGE_LENGTH_EARLY,
        };
        assert_ends(at, stage, "too many bytes of unfinished messages", |peer| {
            // Each would be whole with one byte more.
            peer.set_chunk_size(length as u32 - 1);
            for csid in [20, 21, 22] {
                send_raw(peer, &begin(csid, length, length - 1));
            }
        });
    }
    // All that there may be.
    assert_goes_on(at, Stage::Idle, |peer| {
        // Besides 2 and 3.
        let begun: Vec<_> = (1000..1000 + limits::MAX_CHUNK_STREAMS as u32 - 2)
            .map(|csid| begin(csid, 200, 128))
            .collect();
        peer.set_chunk_size(128);
        send_raw(peer, &begun.concat());
    });
    let peak = bystander.peak();
    // One publisher's two longest messages.
    assert!(peak < 32 * 1024, "{peak} KiB");
    bystander.end(&format!(
        "C5 | 64,600 chunk streams; 3 longest messages at a time | closed; peak RSS +{peak} KiB"
    ));
}

#[test]
fn c6_a_header_in_the_middle_of_a_message() {
    let bystander = Bystander::start("");
    let at = &bystander;
    for stage in [Stage::Early, Stage::Idle, Stage::Publishing, Stage::Playing] {
        for format in 0..3 {
            // Another length, and the same.
            for length in [1, 200, 4000] {
                let again = Message {
                    csid: 40,
                    type_id: UNKNOWN,
                    payload: vec![0; length],
                    ..Message::default()
                };
                let how = Cut {
                    format,
                    ..Cut::plain(128)
                };
                assert_ends(at, stage, "new header inside a message", |peer| {
                    peer.set_chunk_size(128);
                    send_raw(peer, &begin(40, 200, 128));
                    send_raw(peer, &cut(&again, how).concat());
                });
            }
        }
    }
    bystander.end("C6 | headers of type 0, 1, 2 within a message, other lengths | closed");
}

#[test]
fn c7_the_first_header_of_a_chunk_stream() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let ping = Message {
        csid: 2,
        type_id: USER_CONTROL,
        payload: [&[0, 6][..], &7_u32.to_be_bytes()].concat(),
        ..Message::default()
    };
    let first = |format| {
        let how = Cut {
            format,
            ..Cut::plain(128)
        };
        cut(&ping, how).concat()
    };
    // As librtmp begins.
    assert_goes_on(at, Stage::Early, |peer| {
        send_raw(peer, &first(1));
        let answer = peer.receive().unwrap();
        assert_eq!(answer.user_control(), Some((7, 7)));
        peer.connect("live").unwrap();
    });
    for format in [2, 3] {
        let why = "first header is not type 0 or 1";
        assert_ends(at, Stage::Early, why, |peer| {
            send_raw(peer, &first(format));
        });
    }
    bystander.end("C7 | a chunk stream begins with type 1; with 2, 3 | goes on; closed");
}

#[test]
fn c8_every_form_of_a_chunk_stream_id() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    publisher.connection.set_chunk_size(128);
    let mut number = 2;
    // Id, and bytes of the basic headers of a message's chunks in turn.
    for (csid, forms) in [
        (63, [1, 1]),
        (64, [2, 3]),
        (64, [3, 2]),
        (319, [3, 2]),
        (319, [2, 2]),
        (320, [3, 3]),
        (65_599, [3, 3]),
    ] {
        let frame = frame(&publisher, csid, Kind::Inter, number, 1000);
        let cuts = forms.map(|basic| {
            let how = Cut {
                basic,
                ..Cut::plain(128)
            };
            cut(&frame, how)
        });
        for index in 0..cuts[0].len() {
            let chunk = &cuts[index % 2][index];
            publisher.connection.send_raw(chunk).unwrap();
        }
        assert_eq!(player.frame().0, number, "{csid} {forms:?}");
        number += 1;
    }
    drop((publisher, player));
    bystander.end("C8 | ids 63 to 65,599 in 1, 2 and 3 bytes, mixed within a message | passed on");
}

#[test]
fn c9_two_messages_interleaved_in_every_way() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    publisher.connection.set_chunk_size(128);
    let mut number = 2;
    // A bit for each chunk: whose it is.
    for turns in (0_u32..1 << 9).filter(|turns| turns.count_ones() == 3) {
        let video = frame(&publisher, 6, Kind::Inter, number, 700);
        let audio = frame(&publisher, 4, Kind::Audio, number + 1, 300);
        let mut chunks = [&video, &audio].map(|frame| cut(frame, Cut::plain(128)).into_iter());
        let mixed: Vec<_> = (0..9)
            .map(|turn| chunks[usize::from(turns >> turn & 1 == 1)].next().unwrap())
            .collect();
        publisher.connection.send_raw(&mixed.concat()).unwrap();
        let mut got = [player.frame().0, player.frame().0];
        got.sort_unstable();
        assert_eq!(got, [number, number + 1], "{turns:b}");
        number += 2;
    }
    drop((publisher, player));
    bystander.end("C9 | 84 interleavings of 6 and 3 chunks | both whole each time");
}

#[test]
fn c10_extended_timestamps() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    publisher.connection.set_chunk_size(128);
    let mut number = 2;
    let plain = Cut::plain(128);
    // Header type, timestamp field, and what it amounts to.
    for (format, field, timestamp) in [
        (0, 0xFF_FFFE, 0xFF_FFFE),
        (0, 0xFF_FFFF, 0xFF_FFFF),
        (1, 0xFF_FFFF, 0x1FF_FFFE),
        (2, 0x100_0000, 0x2FF_FFFE),
        (3, 0x100_0000, 0x3FF_FFFE),
        (0, 0x7FFF_FFFF, 0x7FFF_FFFF),
        (0, 0xFFFF_FFF0, 0xFFFF_FFF0),
        (1, 0x20, 0x10),
    ] {
        for repeat_extended in [true, false] {
            // Types 1 to 3 would add up.
            if format > 0 && !repeat_extended {
                continue;
            }
            let mut frame = frame(&publisher, 6, Kind::Inter, number, 500);
            frame.timestamp = field;
            let how = Cut {
                format,
                delta: field,
                repeat_extended,
                ..plain
            };
            let chunks = cut(&frame, how).concat();
            publisher.connection.send_raw(&chunks).unwrap();
            let (got, message) = player.frame();
            assert_eq!(
                (got, message.timestamp),
                (number, timestamp),
                "type {format}"
            );
            number += 1;
        }
    }
    drop((publisher, player));
    bystander.end("C10 | extended timestamps, repeated or not, deltas, past 2^32 | passed on");
}

#[test]
fn c11_abort() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let abort = |peer: &mut Connection, csid: u32| {
        peer.send_control(ABORT, &csid.to_be_bytes());
    };
    let (mut publisher, mut player) = watched(at);
    publisher.connection.set_chunk_size(128);
    for number in 2..10 {
        let frame = frame(&publisher, 6, Kind::Inter, number, 300);
        publisher
            .connection
            .send_raw(&cut(&frame, Cut::plain(128))[0])
            .unwrap();
        for csid in [6, 2, 6, 50_000, u32::MAX, 0] {
            abort(&mut publisher.connection, csid);
        }
        publisher.connection.send(&frame).unwrap();
        assert_eq!(player.frame().0, number);
    }
    drop((publisher, player));
    // 1.2 MB in all, of which 32 KiB may be held.
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| {
            peer.set_chunk_size(12_000);
            for _ in 0..100 {
                send_raw(peer, &begin(40, 16_000, 12_000));
                abort(peer, 40);
            }
        });
        assert_ends(at, stage, "control message of 3 bytes", |peer| {
            peer.send_control(ABORT, &[0, 0, 6]);
        });
    }
    bystander
        .end("C11 | Abort of known, unknown and its own chunk stream | dropped, room given back");
}

#[test]
fn c12_messages_without_a_body() {
    let bystander = Bystander::start("");
    let at = &bystander;
    // Without one, Set Chunk Size and Abort cannot be followed: C1, C11.
    let types = (0..=u8::MAX).filter(|id| ![SET_CHUNK_SIZE, ABORT].contains(id));
    let empty: Vec<_> = types.map(|id| message(id, b"")).collect();
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| send_all(peer, &empty));
    }
    let (mut publisher, mut player) = watched(at);
    for type_id in [8, 9, 18, 22] {
        publisher.send(type_id, 20, b"");
    }
    publisher.send_frame(Kind::Inter, 2, 40, 100);
    assert_eq!(player.frame().0, 2);
    drop((publisher, player));
    bystander.end("C12 | empty messages of 254 types | ignored");
}
