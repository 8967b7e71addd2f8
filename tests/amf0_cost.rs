//! AMF0 of any shape costs time and memory in proportion to its bytes.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

use std::time::Duration;

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use srs_lite::limits::{MAX_AMF0_DEPTH, MAX_AMF0_VALUES};
use srs_lite::session::server::ServerSession;
use srs_lite::wire::amf0::{Value, decode_all};
use srs_lite::wire::message::{RawMessage, type_id};

/// Bytes of a `connect` before its object, and after that its application.
const CONNECT: &[u8] = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03";
const APP: &[u8] = b"\0\x03app\x02\0\x04live";

/// A `connect` whose object has this, `count` times, and last what we look for.
fn connect(property: &[u8], count: usize) -> Vec<u8> {
    [CONNECT, &property.repeat(count), APP].concat()
}

/// Messages of about four times the bytes, for each `size`, in many shapes.
fn shapes(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let few = size * (MAX_AMF0_VALUES - 100) / 4;
    let bytes = size * 64 * 1024;
    let text = |byte: u8| {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&b"\0\0\x0c"[..], &length, &vec![byte; bytes]].concat()
    };
    let key = |byte: u8| [&b"\x3f\xff"[..], &[byte; 0x3fff], b"\x05"].concat();
    let deep = b"\0\x01a\x03".repeat(MAX_AMF0_DEPTH - 2);
    let levels = [&deep[..], &b"\0\0\x09".repeat(MAX_AMF0_DEPTH - 2)].concat();
    let mut array = b"\0\x01a\x0a".to_vec();
    array.extend(u32::try_from(few).unwrap().to_be_bytes());
    vec![
        ("long text", connect(&text(b'a'), 1)),
        ("text that is not UTF-8", connect(&text(0xff), 1)),
        ("long names", connect(&key(b'a'), size * 4)),
        ("names that are not UTF-8", connect(&key(0xff), size * 4)),
        ("many properties", connect(b"\0\x01a\x05", few)),
        ("empty names", connect(b"\0\0\x05", few)),
        ("objects that nest", connect(&levels, size * 16)),
        (
            "arrays that nest",
            connect(b"\0\0\x08\xff\xff\xff\xff\0\0\x0a\0\0\0\0\0\0\x09", few / 2),
        ),
        (
            "an array",
            connect(&[array, b"\x05".repeat(few)].concat(), 1),
        ),
    ]
}

/// Processor time that this thread takes for `work`, at best.
fn time(work: impl Fn()) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let once = || {
        let begun = now();
        (0..5).for_each(|_| work());
        now() - begun
    };
    (0..8).map(|_| once()).min().unwrap()
}

/// Bytes that a value holds beside itself.
fn held(value: &Value) -> usize {
    match value {
        Value::String(text) => text.capacity(),
        Value::Object(properties) | Value::EcmaArray(properties) => {
            let own = properties.capacity() * size_of::<(String, Value)>();
            let each = properties
                .iter()
                .map(|(name, value)| name.capacity() + held(value));
            own + each.sum::<usize>()
        }
        Value::StrictArray(values) => {
            let own = values.capacity() * size_of::<Value>();
            own + values.iter().map(held).sum::<usize>()
        }
        Value::Number(_)
        | Value::Boolean(_)
        | Value::Null
        | Value::Undefined
        | Value::Date(_)
        | Value::Unsupported => 0,
    }
}

#[test]
fn four_times_the_bytes_take_four_times_the_time() {
    let work = |payload: Vec<u8>| {
        let message = RawMessage {
            type_id: type_id::COMMAND_AMF0,
            timestamp: 0,
            message_stream_id: 0,
            payload: Bytes::from(payload),
        };
        time(move || {
            let mut actions = Vec::new();
            let mut session = ServerSession::default();
            session.handle(message.clone(), &mut actions).unwrap();
            assert_eq!(actions.len(), 5, "accepted");
        })
    };
    for ((shape, small), (_, large)) in shapes(1).into_iter().zip(shapes(4)) {
        assert!(large.len() > small.len() * 3, "{shape}");
        let (small, large) = (work(small), work(large));
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        // In proportion to the square it would be 16.
        assert!(
            ratio < 9.0,
            "{shape}: {small:?}, four times as much {large:?}"
        );
    }
}

/// Names and texts are not larger than they came. Of values there is a bound, and the least that a
/// vector takes is four places.
#[test]
fn what_is_held_follows_what_came() {
    let all_places = size_of::<(String, Value)>() * 4 * MAX_AMF0_VALUES;
    for size in 1..=4 {
        for (shape, payload) in shapes(size) {
            let values = decode_all(&payload).unwrap();
            let held: usize = values.iter().map(held).sum();
            let most = payload.len() + all_places.min(64 * payload.len());
            assert!(held <= most, "{shape}: {held} of {}", payload.len());
        }
    }
}
