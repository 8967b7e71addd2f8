//! Aggregate messages: several messages in the payload of one [RTMP §7.1.6].

use bytes::Bytes;

use super::message::type_id::AGGREGATE;
use super::reader::Reader;
use crate::limits;

/// Splits the payload of an aggregate message that was sent at `timestamp` [RTMP §7.1.6].
///
/// Ends at the first message that is malformed or itself an aggregate, and after
/// [`limits::MAX_AGGREGATE_MESSAGES`].
pub fn split(timestamp: u32, payload: &Bytes) -> Aggregate {
    Aggregate {
        rest: payload.clone(),
        timestamp,
        offset: None,
        left: limits::MAX_AGGREGATE_MESSAGES,
    }
}

/// The messages in an aggregate message: type id, timestamp, payload. See [`split`].
#[derive(Clone, Debug)]
pub struct Aggregate {
    rest: Bytes,
    timestamp: u32,
    /// Once the first message is seen: from the timestamps inside to those of the connection.
    offset: Option<u32>,
    left: usize,
}

impl Iterator for Aggregate {
    type Item = (u8, u32, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(&self.rest);
        let type_id = reader.u8().filter(|&type_id| type_id != AGGREGATE)?;
        let length = reader.u24()?;
        // The high byte comes last, as in an FLV tag [FLV E.4.1].
        let timestamp = u32::from_be_bytes(reader.array()?).rotate_right(8);
        reader.take(3)?; // message stream id
        // Copied: a frame that is kept would keep the whole aggregate with it.
        let payload = Bytes::copy_from_slice(reader.take(usize::try_from(length).ok()?)?);
        reader.take(4); // back pointer; a sender may leave out the last
        self.rest = self.rest.slice_ref(reader.rest());

        let offset = *self
            .offset
            .get_or_insert_with(|| self.timestamp.wrapping_sub(timestamp));
        Some((type_id, timestamp.wrapping_add(offset), payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of an aggregate message: stream id 0, some back pointer.
    fn message(type_id: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let [high, middle, low, last] = timestamp.to_be_bytes();
        let length = u8::try_from(payload.len()).unwrap();
        let header = [type_id, 0, 0, length, middle, low, last, high, 0, 0, 0];
        [&header, payload, b"back"].concat()
    }

    fn messages(timestamp: u32, payload: Vec<u8>) -> Vec<(u8, u32, Bytes)> {
        split(timestamp, &Bytes::from(payload)).collect()
    }

    #[test]
    fn an_aggregate_starts_at_its_own_timestamp() {
        let first = message(8, 0x0102_0304, b"ab");
        let second = message(9, 0x0102_0304 + 40, b"c");
        let whole = [first.clone(), second.clone()].concat();
        let a = (8, u32::MAX - 9, Bytes::from_static(b"ab"));
        let b = (9, 30, Bytes::from_static(b"c"));
        assert_eq!(
            messages(u32::MAX - 9, whole.clone()),
            [a.clone(), b.clone()]
        );
        for length in 0..whole.len() {
            // Without its back pointer a message is still whole.
            let expected = match length {
                0..13 => vec![],
                13..29 => vec![a.clone()],
                _ => vec![a.clone(), b.clone()],
            };
            let prefix = whole[..length].to_vec();
            assert_eq!(messages(u32::MAX - 9, prefix), expected, "{length} bytes");
        }
        let nested = [first, message(AGGREGATE, 0, b""), second].concat();
        assert_eq!(messages(u32::MAX - 9, nested), [a]);
    }

    #[test]
    fn an_aggregate_is_split_up_to_the_limit() {
        let limit = limits::MAX_AGGREGATE_MESSAGES;
        for count in [limit, limit + 1] {
            assert_eq!(messages(0, message(8, 0, b"").repeat(count)).len(), limit);
        }
    }
}
