//! The four message headers and the three basic headers.

use srs_lite::session::error::ChunkError;
use srs_lite::wire::chunk::ChunkStreamId;

use crate::chunks::{
    abort, assemble, basic_of, cut, message, messages, payload, set_chunk_size, type0, type1,
    type2, type3,
};

/// What a header leaves out is as it was in the chunk before.
#[test]
fn each_type_inherits_what_it_does_not_say() {
    let chunks = [
        type0(4, 1000, 3, (8, 5), b"one"),
        type1(4, 20, 4, 9, b"four"),
        type2(4, 30, b"five"),
        type3(4, None, b"six!"),
        type0(4, 7, 0, (18, 6), b""),
        type1(4, 1, 1, 8, b"x"),
    ];
    let said: Vec<_> = messages(&chunks)
        .into_iter()
        .map(|m| (m.type_id, m.message_stream_id, m.timestamp, m.payload))
        .collect();
    let expected: [(u8, u32, u32, &[u8]); 6] = [
        (8, 5, 1000, b"one"),
        (9, 5, 1020, b"four"),
        (9, 5, 1050, b"five"),
        (9, 5, 1080, b"six!"),
        (18, 6, 7, b""),
        (8, 6, 8, b"x"),
    ];
    assert_eq!(said.len(), expected.len());
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!((said.0, said.1, said.2, &said.3[..]), expected);
    }
}

/// Message stream ids are little-endian, and all of their bytes count [RTMP §5.3.1.2.5].
#[test]
fn a_message_stream_id_has_four_bytes() {
    let chunks = [type0(4, 0, 1, (8, 0x0403_0201), b"x")];
    assert_eq!(messages(&chunks)[0].message_stream_id, 0x0403_0201);
}

/// One id in two forms is one chunk stream: a message may go on in another form.
#[test]
fn every_form_of_an_id_is_the_same_chunk_stream() {
    let long = payload(300);
    for (id, forms) in [
        (2, &[1][..]),
        (63, &[1]),
        (64, &[2, 3]),
        (65, &[2, 3]),
        (319, &[2, 3]),
        (320, &[3]),
        (65_599, &[3]),
    ] {
        for &first in forms {
            for &second in forms {
                let header = [0, 0, 9, 0, 1, 44, 9, 1, 0, 0, 0];
                let chunks = [
                    [&basic_of(first, 0, id), &header[..], &long[..128]].concat(),
                    [&basic_of(second, 3, id), &long[128..256]].concat(),
                    [&basic_of(first, 3, id), &long[256..]].concat(),
                ];
                assert_eq!(messages(&chunks), [message(9, 9, &long)], "{id}");
            }
        }
    }
}

/// Ids that differ in one byte only are different chunk streams.
#[test]
fn ids_are_not_mixed_up() {
    let ids = [2, 3, 63, 64, 65, 319, 320, 321, 65_343, 65_599];
    let (first, mut second): (Vec<_>, Vec<_>) = ids
        .iter()
        .zip(1_u8..)
        .map(|(&id, number)| {
            let body = vec![number; 130];
            let mut chunks = cut(id, &message(9, u32::from(number), &body), 128);
            (chunks.remove(0), chunks.remove(0))
        })
        .unzip();
    second.reverse();
    let all = messages(&[first, second].concat());
    assert_eq!(all.len(), ids.len());
    for message in all {
        assert_eq!(message.payload, vec![message.payload[0]; 130]);
        assert_eq!(message.timestamp, u32::from(message.payload[0]));
    }
}

/// librtmp opens its ping's chunk stream with type 1; types 2 and 3 have nothing to go by.
#[test]
fn a_chunk_stream_may_begin_with_type_1_but_not_with_2_or_3() {
    let fresh = [type1(2, 5, 6, 4, b"\0\x06\0\0\0\x07")];
    let ping = messages(&fresh);
    assert_eq!((ping[0].timestamp, ping[0].message_stream_id), (5, 0));
    for (id, chunk) in [(3, type2(3, 0, b"")), (70, type3(70, None, b""))] {
        let error = ChunkError::NoPrecedingChunk(ChunkStreamId(id));
        let known = type0(4, 0, 1, (8, 1), b"x");
        assert_eq!(assemble(&[known, chunk]).1, Err(error));
    }
}

#[test]
fn a_new_header_in_the_middle_of_a_message_is_an_error() {
    let data = payload(200);
    for header in [
        type0(4, 0, 200, (9, 1), &data),
        type1(4, 0, 200, 9, &data),
        type2(4, 0, &data),
    ] {
        let chunks = [type0(4, 0, 200, (9, 1), &data[..128]), header];
        let error = ChunkError::InterruptedMessage(ChunkStreamId(4));
        assert_eq!(assemble(&chunks), (vec![], Err(error)));
    }
}

/// They are whole at once, whatever the type, and the chunk stream goes on after them.
#[test]
fn messages_may_be_empty() {
    for type_id in [3, 4, 5, 6, 8, 9, 15, 17, 18, 20, 22, 99] {
        let chunks = [
            type0(4, 5, 0, (type_id, 1), b""),
            type2(4, 1, b""),
            type3(4, None, b""),
            type1(4, 2, 1, type_id, b"x"),
        ];
        let expected = [(5, &b""[..]), (6, b""), (7, b""), (9, b"x")]
            .map(|(timestamp, body)| message(type_id, timestamp, body));
        assert_eq!(messages(&chunks), expected);
    }
}

/// Chunks are at most as long as announced; the one in the middle of whose message the size
/// changes is cut to the new size from then on.
#[test]
fn a_chunk_size_holds_from_the_next_chunk_of_any_message() {
    let long = payload(1000);
    for (size, rest) in [
        (128, vec![128; 6]),
        (200, vec![200, 200, 200, 200]),
        (999, vec![872]),
    ] {
        let mut chunks = vec![
            type0(4, 0, 1000, (9, 1), &long[..128]),
            set_chunk_size(size),
        ];
        let mut at = 128;
        for length in rest {
            let end = (at + length).min(1000);
            chunks.push(type3(4, None, &long[at..end]));
            at = end;
        }
        if at < 1000 {
            chunks.push(type3(4, None, &long[at..]));
        }
        chunks.extend(cut(
            6,
            &message(8, 3, &long),
            usize::try_from(size).unwrap(),
        ));
        let expected = [message(9, 0, &long), message(8, 3, &long)];
        assert_eq!(messages(&chunks), expected, "{size}");
    }
}

#[test]
fn an_abort_drops_the_unfinished_message_of_its_chunk_stream_only() {
    let (a, b) = (message(9, 10, &payload(300)), message(8, 20, &payload(200)));
    let (a, b) = (cut(4, &a, 128), cut(5, &b, 128));
    let chunks = [
        a[0].clone(),
        b[0].clone(),
        a[1].clone(),
        abort(4),
        abort(99), // unknown: nothing happens
        abort(2),  // its own: it is complete
        type2(4, 5, &payload(300)[..128]),
        type3(4, None, &payload(300)[128..256]),
        b[1].clone(),
        type3(4, None, &payload(300)[256..]),
    ];
    let expected = [message(8, 20, &payload(200)), message(9, 15, &payload(300))];
    assert_eq!(messages(&chunks), expected);
}

/// Aborted and unknown chunk streams cost nothing: an abort makes none.
#[test]
fn aborts_make_no_chunk_streams() {
    let mut chunks: Vec<_> = (100..200).map(abort).collect();
    chunks.push(type0(5, 0, 1, (8, 1), b"x"));
    assert_eq!(messages(&chunks).len(), 1);
    let chunks = [abort(100), type3(100, None, b"")];
    let error = ChunkError::NoPrecedingChunk(ChunkStreamId(100));
    assert_eq!(assemble(&chunks).1, Err(error));
}
