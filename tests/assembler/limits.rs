//! Every `ChunkError`: the bound is reached without it and passed with it.

use bytes::BytesMut;
use srs_lite::limits;
use srs_lite::session::assembler::Assembler;
use srs_lite::session::error::ChunkError;

use crate::chunks::{
    Outcome, abort, assemble, cut, feed, message, payload, set_chunk_size, type0, type3,
};

const LARGE: u32 = 0x7fff_ffff;

fn trusted() -> Assembler {
    let mut assembler = Assembler::default();
    assembler.trust();
    assembler
}

fn run(assembler: &mut Assembler, chunks: &[Vec<u8>]) -> Outcome {
    feed(assembler, chunks.iter().map(Vec::as_slice))
}

#[test]
fn chunk_sizes_are_legal_from_the_policy_bound_to_31_bits() {
    for size in [0, 1, 127, 0x8000_0000, 0x8000_1000, u32::MAX] {
        let outcome = assemble(&[set_chunk_size(size)]);
        assert_eq!(outcome, (vec![], Err(ChunkError::ChunkSize(size))));
    }
    for size in [128, 129, 0xff_ffff, 0x0100_0000, LARGE] {
        let long = message(9, 0, &payload(300));
        let mut chunks = vec![set_chunk_size(size)];
        chunks.extend(cut(4, &long, usize::try_from(size).unwrap()));
        assert_eq!(assemble(&chunks), (vec![long], Ok(())), "{size}");
    }
}

#[test]
fn a_control_message_has_four_bytes() {
    for type_id in [1, 2] {
        for length in 0..4 {
            let outcome = assemble(&[type0(2, 0, length, (type_id, 0), &payload(length))]);
            assert_eq!(outcome, (vec![], Err(ChunkError::ControlLength(length))));
        }
        let longer = [0, 0, 1, 0, 99];
        let outcome = assemble(&[type0(2, 0, 5, (type_id, 0), &longer)]);
        assert_eq!(outcome, (vec![], Ok(())));
    }
}

#[test]
fn a_message_is_as_long_as_the_limit_and_no_longer() {
    for (mut assembler, limit) in [
        (Assembler::default(), limits::MAX_MESSAGE_LENGTH_EARLY),
        (trusted(), limits::MAX_MESSAGE_LENGTH),
    ] {
        let longest = message(9, 0, &payload(limit));
        let mut chunks = vec![set_chunk_size(60_000)];
        chunks.extend(cut(4, &longest, 60_000));
        assert!(run(&mut assembler, &chunks) == (vec![longest], Ok(())));
        for length in [limit + 1, 0xff_ffff] {
            let error = ChunkError::MessageTooLong(length);
            // The header alone is enough: no byte of the body is waited for.
            let header = type0(5, 0, length, (9, 1), b"");
            assert_eq!(run(&mut assembler, &[header]), (vec![], Err(error)));
        }
    }
}

#[test]
fn as_many_chunk_streams_as_the_limit_and_no_more() {
    let count = u32::try_from(limits::MAX_CHUNK_STREAMS).unwrap();
    let mut chunks: Vec<_> = (0..count)
        .map(|n| type0(1000 + n, n, 1, (8, 1), b"x"))
        .collect();
    // The known ones go on.
    chunks.extend((0..count).map(|n| type3(1000 + n, None, b"x")));
    assert_eq!(assemble(&chunks).0.len(), 2 * limits::MAX_CHUNK_STREAMS);
    chunks.push(type0(5, 0, 1, (8, 1), b"x"));
    let (messages, result) = assemble(&chunks);
    assert_eq!(messages.len(), 2 * limits::MAX_CHUNK_STREAMS);
    assert_eq!(result, Err(ChunkError::TooManyChunkStreams));
}

const MEBIBYTE: usize = 1024 * 1024;

/// Adds to each chunk stream's unfinished message, the longest there is, so many mebibytes.
fn partials(assembler: &mut Assembler, streams: &[(u32, usize)]) {
    let mebibyte = vec![7; MEBIBYTE];
    let mut chunks = vec![set_chunk_size(1024 * 1024)];
    for &(id, count) in streams {
        chunks.push(type0(id, 0, limits::MAX_MESSAGE_LENGTH, (9, 1), &mebibyte));
        chunks.extend((1..count).map(|_| type3(id, None, &mebibyte)));
    }
    assert_eq!(run(assembler, &chunks), (vec![], Ok(())));
}

/// One byte more is refused.
fn assert_full(mut assembler: Assembler) {
    let error = (vec![], Err(ChunkError::TooManyPartialBytes));
    let one_more = type0(7, 0, 1, (8, 1), b"x");
    assert_eq!(run(&mut assembler, &[one_more]), error);
}

#[test]
fn unfinished_messages_hold_as_much_as_the_limit_and_no_more() {
    assert_eq!(limits::MAX_PARTIAL_BYTES, 8 * MEBIBYTE);
    let mut assembler = trusted();
    partials(&mut assembler, &[(4, 3), (5, 3), (6, 2)]);
    assert_full(assembler);
}

/// Of a peer that may not publish or play yet, much less.
#[test]
fn unfinished_messages_of_a_stranger_hold_little() {
    assert_eq!(limits::MAX_PARTIAL_BYTES_EARLY, 32 * 1024);
    let mut assembler = Assembler::default();
    let most = vec![7; 8 * 1024];
    let mut chunks = vec![set_chunk_size(8 * 1024)];
    for id in 4..8 {
        chunks.push(type0(
            id,
            0,
            limits::MAX_MESSAGE_LENGTH_EARLY,
            (9, 1),
            &most,
        ));
    }
    assert_eq!(run(&mut assembler, &chunks), (vec![], Ok(())));
    let error = (vec![], Err(ChunkError::TooManyPartialBytes));
    let one_more = type0(8, 0, 1, (8, 1), b"x");
    assert_eq!(run(&mut assembler, &[one_more]), error);
}

/// What was aborted or has become whole makes room for exactly as much.
#[test]
fn the_budget_of_unfinished_messages_is_given_back() {
    let mut assembler = trusted();
    partials(&mut assembler, &[(4, 3), (5, 3), (6, 1)]);
    let chunks = [abort(6), type3(4, None, &vec![7; MEBIBYTE])];
    let (messages, result) = run(&mut assembler, &chunks);
    assert_eq!((messages.len(), result), (1, Ok(())));
    partials(&mut assembler, &[(4, 3), (6, 2)]);
    assert_full(assembler);
}

/// How the bytes of an unfinished chunk came does not matter: they stay in the input.
#[test]
fn an_unfinished_chunk_stays_in_the_input() {
    let mut assembler = Assembler::default();
    let chunk = type0(4, 0x0100_0000, 20, (8, 1), &payload(20));
    for end in 0..chunk.len() {
        let mut input = BytesMut::from(&chunk[..end]);
        assert_eq!(assembler.next_message(&mut input), Ok(None));
        assert_eq!(input.len(), end, "a part was taken");
    }
    let mut input = BytesMut::from(&[&chunk[..], b"\x44"].concat()[..]);
    assert!(assembler.next_message(&mut input).unwrap().is_some());
    assert_eq!(&input[..], b"\x44");
}

/// Memory follows the bytes that came, at most twice; not what a header announces, and not what
/// was finished long ago.
#[test]
fn unfinished_messages_hold_no_more_memory_than_came() {
    let ids = 4..4 + u32::try_from(limits::MAX_CHUNK_STREAMS).unwrap();
    let limit = limits::MAX_MESSAGE_LENGTH;
    let mut assembler = trusted();
    let announced: Vec<_> = ids
        .clone()
        .map(|id| type0(id, 0, limit, (9, 1), &payload(128)))
        .collect();
    assert_eq!(run(&mut assembler, &announced), (vec![], Ok(())));
    assert!((8192..=2 * 8192).contains(&assembler.held()));

    let mut assembler = trusted();
    let whole = message(9, 0, &payload(200_000));
    for id in ids {
        let (messages, result) = run(&mut assembler, &cut(id, &whole, 128));
        assert_eq!((messages, result), (vec![whole.clone()], Ok(())));
        assert_eq!(assembler.held(), 0);
    }
}
