//! Messages of several chunk streams, interleaved in every way.

use srs_lite::session::assembler::Assembler;
use srs_lite::wire::message::RawMessage;

use crate::chunks::{assemble, cut, feed, message, payload};

/// Every order in which the chunks of messages with `left` chunks each can come, as indices of
/// the messages.
fn orders(left: &mut [usize], order: &mut Vec<usize>, each: &mut impl FnMut(&[usize])) {
    if left.iter().all(|&left| left == 0) {
        each(order);
    }
    for index in 0..left.len() {
        if left[index] > 0 {
            left[index] -= 1;
            order.push(index);
            orders(left, order, each);
            order.pop();
            left[index] += 1;
        }
    }
}

/// The chunks of `all` in `order`, and the messages in the order in which they become whole.
fn interleave(all: &[(u32, RawMessage)], order: &[usize]) -> (Vec<Vec<u8>>, Vec<RawMessage>) {
    let mut cuts: Vec<_> = all
        .iter()
        .map(|(id, message)| cut(*id, message, 128).into_iter())
        .collect();
    let mut chunks = Vec::new();
    let mut whole = Vec::new();
    for &index in order {
        chunks.push(cuts[index].next().unwrap());
        if cuts[index].len() == 0 {
            whole.push(all[index].1.clone());
        }
    }
    (chunks, whole)
}

#[test]
fn two_messages_interleave_at_every_chunk_boundary_and_split() {
    let all = [
        (6, message(9, 0x0100_0000, &payload(500))),
        (400, message(8, 20, &payload(384))),
    ];
    let mut count = 0;
    orders(&mut [4, 3], &mut Vec::new(), &mut |order| {
        let (chunks, expected) = interleave(&all, order);
        assert_eq!(assemble(&chunks), (expected, Ok(())), "{order:?}");
        count += 1;
    });
    assert_eq!(count, 35);
}

#[test]
fn three_messages_interleave_at_every_chunk_boundary() {
    let all = [
        (6, message(9, 7, &payload(300))),
        (64, message(8, 0xff_ffff, &payload(380))),
        (3, message(18, u32::MAX, &payload(257))),
    ];
    let mut count = 0;
    orders(&mut [3, 3, 3], &mut Vec::new(), &mut |order| {
        let (chunks, expected) = interleave(&all, order);
        let bytes = chunks.concat();
        let outcome = feed(&mut Assembler::default(), [&bytes[..]]);
        assert_eq!(outcome, (expected, Ok(())), "{order:?}");
        let bytewise = feed(&mut Assembler::default(), bytes.chunks(1));
        assert_eq!(bytewise, outcome, "{order:?}");
        count += 1;
    });
    assert_eq!(count, 1680);
}
