//! Random sequences of everything that the specification has, and what the slow decoder makes of them.

use srs_lite::fuzzing::reference;
use srs_lite::session::assembler::Assembler;

use crate::chunks::{abort, feed, set_chunk_size, type0, type1, type2, type3};

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
        let expected = reference::decode(&bytes, usize::MAX);
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
        assert!(ours.1.is_ok() && ours == expected, "seed {seed}");
        count += ours.0.len();
    }
    assert!(count > 15_000, "{count} messages only");
}
