//! A slow decoder, written from the specification alone, against which ours is compared.

use std::collections::BTreeMap;

use bytes::Bytes;
use srs_lite::session::assembler::Assembler;
use srs_lite::wire::message::RawMessage;

use crate::chunks::{abort, feed, set_chunk_size, type0, type1, type2, type3};

/// What is known of a chunk stream [RTMP §5.3.1.2].
#[derive(Default)]
struct Stream {
    timestamp: u64,
    delta: u64,
    is_extended: bool,
    length: usize,
    type_id: u8,
    message_stream_id: u32,
    body: Vec<u8>,
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, &byte| sum * 256 + u64::from(byte))
}

/// Takes `count` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

/// All messages in `bytes`, by the letter. Anything that is not valid panics.
fn decode(mut bytes: &[u8]) -> Vec<RawMessage> {
    let mut chunk_size = 128;
    let mut streams = BTreeMap::<u64, Stream>::new();
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let first = take(&mut bytes, 1)[0];
        let id = match first % 64 {
            0 => number(take(&mut bytes, 1)) + 64,
            1 => {
                let two = take(&mut bytes, 2);
                u64::from(two[1]) * 256 + u64::from(two[0]) + 64
            }
            id => u64::from(id),
        };
        let stream = streams.entry(id).or_default();
        let is_new = stream.body.is_empty();
        let format = first / 64;
        read_header(format, is_new, stream, &mut bytes);
        let due = (stream.length - stream.body.len()).min(chunk_size);
        stream.body.extend(take(&mut bytes, due));
        if stream.body.len() < stream.length {
            continue;
        }
        let body = std::mem::take(&mut stream.body);
        match stream.type_id {
            1 => chunk_size = usize::try_from(number(&body)).unwrap(),
            2 => {
                if let Some(aborted) = streams.get_mut(&number(&body)) {
                    aborted.body.clear();
                }
            }
            type_id => messages.push(RawMessage {
                type_id,
                timestamp: u32::try_from(stream.timestamp % (1 << 32)).unwrap(),
                message_stream_id: stream.message_stream_id,
                payload: Bytes::from(body),
            }),
        }
    }
    messages
}

fn read_header(format: u8, is_new: bool, stream: &mut Stream, bytes: &mut &[u8]) {
    assert!(is_new || format == 3, "a header inside a message");
    let mut time = 0;
    if format < 3 {
        time = number(take(bytes, 3));
        stream.is_extended = time == 0xff_ffff;
    }
    if format < 2 {
        stream.length = usize::try_from(number(take(bytes, 3))).unwrap();
        stream.type_id = take(bytes, 1)[0];
    }
    if format == 0 {
        let id = take(bytes, 4);
        stream.message_stream_id = u32::from_le_bytes([id[0], id[1], id[2], id[3]]);
    }
    if stream.is_extended {
        time = number(take(bytes, 4));
    }
    match format {
        0 => (stream.timestamp, stream.delta) = (time, time),
        1 | 2 => {
            stream.delta = time;
            stream.timestamp += time;
        }
        _ if is_new => stream.timestamp += stream.delta,
        _ => {}
    }
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u64::try_from(choices.len()).unwrap();
        choices[usize::try_from(self.below(count)).unwrap()]
    }

    fn time(&mut self) -> u32 {
        let near = u32::try_from(self.below(4)).unwrap();
        let far = u32::try_from(self.below(1 << 32)).unwrap();
        self.one_of(&[0, near, 40, 0xff_fffd + near, far, u32::MAX - near])
    }
}

/// What the sender knows of a chunk stream.
#[derive(Clone, Default)]
struct Sent {
    begun: bool,
    /// Type 3 may begin a message: what it adds is beyond doubt.
    has_delta: bool,
    extended: Option<u32>,
    length: usize,
    rest: usize,
}

/// A valid sequence of chunks that uses everything that the specification has.
fn sequence(seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random(seed | 1 << 40);
    let mut ids = [3, 63, 64, 319, 320, 65_599].map(|id| (id, Sent::default()));
    let mut chunk_size = 128;
    let mut chunks = Vec::new();
    for _ in 0..60 {
        let at = usize::try_from(random.below(6)).unwrap();
        match random.below(12) {
            0 => {
                chunk_size = random.one_of(&[128, 129, 200, 1000]);
                chunks.push(set_chunk_size(u32::try_from(chunk_size).unwrap()));
            }
            1 => {
                chunks.push(abort(ids[at].0));
                ids[at].1.rest = 0;
            }
            _ => chunks.push(chunk(&mut random, ids[at].0, &mut ids[at].1, chunk_size)),
        }
    }
    for (id, sent) in &mut ids {
        while sent.rest > 0 {
            chunks.push(chunk(&mut random, *id, sent, chunk_size));
        }
    }
    chunks
}

/// The next chunk of chunk stream `id`.
fn chunk(random: &mut Random, id: u32, sent: &mut Sent, chunk_size: usize) -> Vec<u8> {
    let format = match (sent.rest > 0, sent.begun, sent.has_delta) {
        (true, ..) => 3,
        (false, false, _) => 0,
        (false, true, false) => random.below(3),
        (false, true, true) => random.below(4),
    };
    if sent.rest == 0 {
        if format < 2 {
            sent.length = random.one_of(&[0, 1, 127, 128, 129, 256, 500]);
        }
        sent.rest = sent.length;
    }
    let part = sent.rest.min(chunk_size);
    sent.rest -= part;
    let data: Vec<u8> = (0..part)
        .map(|_| u8::try_from(random.below(256)).unwrap())
        .collect();
    if format == 3 {
        return type3(id, sent.extended, &data);
    }
    sent.begun = true;
    let time = random.time();
    sent.extended = (time >= 0xff_ffff).then_some(time);
    sent.has_delta = format > 0 || time == 0;
    let type_id = random.one_of(&[4, 8, 9, 18, 20, 22]);
    match format {
        0 => type0(id, time, sent.length, (type_id, time ^ 7), &data),
        1 => type1(id, time, sent.length, type_id, &data),
        _ => type2(id, time, &data),
    }
}

#[test]
fn ours_agrees_with_the_specification_on_random_sequences() {
    let mut count = 0;
    for seed in 1..=1500 {
        let bytes = sequence(seed).concat();
        let expected = decode(&bytes);
        let mut random = Random(seed);
        let mut reads = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = random.one_of(&[1, 20, 400]);
            let length = usize::try_from(1 + random.below(most)).unwrap();
            let (read, later) = rest.split_at(length.min(rest.len()));
            reads.push(read);
            rest = later;
        }
        let ours = feed(&mut Assembler::default(), reads);
        assert!(ours == (expected, Ok(())), "seed {seed}");
        count += ours.0.len();
    }
    assert!(count > 15_000, "{count} messages only");
}
