//! What a publisher sends, told apart for the fan-out.

use bytes::Bytes;
use srs_lite::limits;
use srs_lite::session::media::{Media, MediaKind};
use srs_lite::wire::amf0::Value;
use srs_lite::wire::command::{self, string};
use srs_lite::wire::flv::TagKind;
use srs_lite::wire::message::{RawMessage, type_id};

use crate::peer::{
    Peer, asking_to_publish, awaiting_connect, closed, delivered, idle, message, playing,
    publishing,
};

/// What becomes of `message` while publishing; it is one.
fn deliver(peer: &mut Peer, message: RawMessage) -> Media {
    let actions = peer.hear(message).unwrap();
    assert_eq!(actions.len(), 1);
    delivered(&actions).remove(0)
}

/// What is ignored of `message`, which must be all of it.
fn drops(peer: &mut Peer, message: RawMessage) -> u64 {
    let before = peer.session.dropped();
    assert_eq!(peer.hear(message), Ok(vec![]));
    peer.session.dropped() - before
}

fn encoded(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.encode(&mut out));
    out
}

fn data(payload: Vec<u8>) -> RawMessage {
    let payload = Bytes::from(payload);
    RawMessage {
        payload,
        ..message(type_id::DATA_AMF0, b"")
    }
}

#[test]
fn audio_and_video_are_delivered_untouched() {
    let mut peer = publishing();
    for (type_id, payload, kind) in [
        (8, &b"\xaf\0\x12\x10"[..], TagKind::AudioHeader),
        (8, b"\xaf\x01\x21", TagKind::Audio),
        (9, b"\x17\0\0\0\0\x01", TagKind::VideoHeader),
        (9, b"\x17\x01\0\0\0\x01", TagKind::RandomAccess),
        (9, b"\x27\x01\0\0\0\x01", TagKind::Dependent),
        (9, b"\x90hvc1\x01", TagKind::VideoHeader),
        (9, b"\x91hvc1\0\0\0", TagKind::RandomAccess),
    ] {
        let media = deliver(&mut peer, message(type_id, payload));
        let expected = Media {
            kind: MediaKind::Tag(kind),
            slot: 0,
            type_id,
            timestamp: 40,
            payload: Bytes::from_static(payload),
        };
        assert_eq!(media, expected);
    }
    assert_eq!(peer.session.dropped(), 0);
}

#[test]
fn nothing_is_delivered_unless_it_was_granted() {
    let aggregate = b"\x08\0\0\x03\0\0\0\0\0\0\0\xaf\x01\x21\0\0\0\x0e";
    for make in [awaiting_connect, idle, asking_to_publish, playing, closed] {
        let mut peer = make();
        for (type_id, payload) in [
            (8, &b"\xaf\x01\x21"[..]),
            (9, b"\x17\x01\0\0\0\x01"),
            (18, b"\x02\0\x0aonMetaData\x05"),
            (15, b"\0\x02\0\x0aonMetaData\x05"),
            (22, aggregate),
        ] {
            assert_eq!(drops(&mut peer, message(type_id, payload)), 1);
        }
    }
    let mut peer = publishing();
    peer.call_with("FCUnpublish", "name").unwrap();
    assert_eq!(drops(&mut peer, message(8, b"\xaf\x01\x21")), 1);
}

/// Audio and video belong to the stream; some encoders send metadata on the connection.
#[test]
fn another_message_stream_is_ignored_except_for_data() {
    let mut peer = publishing();
    for message_stream_id in [0, 2, u32::MAX] {
        let on = |message| RawMessage {
            message_stream_id,
            ..message
        };
        assert_eq!(drops(&mut peer, on(message(8, b"\xaf\x01\x21"))), 1);
        assert_eq!(drops(&mut peer, on(message(9, b"\x17\x01\0\0\0\x01"))), 1);
        let media = deliver(&mut peer, on(message(18, b"\x02\0\x0aonMetaData\x05")));
        assert_eq!(media.kind, MediaKind::Metadata);
    }
}

#[test]
fn malformed_media_is_dropped_and_counted() {
    let mut peer = publishing();
    for (type_id, payload) in [
        (8, &b"\xaf"[..]),
        (9, b"\x17"),
        (9, b"\x17\x01\0"),
        (9, b"\x90hv"),
        (15, b"\0"),
        (18, b"\x02\0\x0aonMetaData\x11"),
        (18, b"\x02\0\x0d@setDataFrame"),
    ] {
        assert_eq!(
            drops(&mut peer, message(type_id, payload)),
            1,
            "{payload:?}"
        );
    }
    // Shared objects and unknown types are nobody's fault.
    for type_id in [16, 19, 99] {
        assert_eq!(drops(&mut peer, message(type_id, b"x")), 0);
    }
    deliver(&mut peer, message(8, b"\xaf\x01\x21"));
}

#[test]
fn metadata_loses_its_envelope() {
    let array = Value::EcmaArray(vec![("width".to_owned(), Value::Number(1.0))]);
    let metadata = encoded(&[string("onMetaData"), array]);
    let framed = [encoded(&[string("@setDataFrame")]), metadata.clone()].concat();
    let amf3 = |payload: &[u8]| RawMessage {
        type_id: type_id::DATA_AMF3,
        ..data([b"\0", payload].concat())
    };
    let mut peer = publishing();
    for message in [
        data(metadata.clone()),
        data(framed.clone()),
        amf3(&metadata),
        amf3(&framed),
    ] {
        let media = deliver(&mut peer, message);
        assert_eq!((media.kind, media.type_id), (MediaKind::Metadata, 18));
        assert_eq!(media.payload, metadata);
        assert_eq!(media.timestamp, 40);
    }
    let text = encoded(&[string("onTextData"), Value::Null]);
    let media = deliver(&mut peer, data(text.clone()));
    assert_eq!(
        (media.kind, &media.payload[..]),
        (MediaKind::Data, &text[..])
    );
    let framed = [encoded(&[string("@setDataFrame")]), text.clone()].concat();
    assert_eq!(deliver(&mut peer, data(framed)).payload, text);
}

/// ffmpeg does not play what lacks the end marker.
#[test]
fn metadata_without_an_end_gets_one() {
    for object in [
        Value::EcmaArray(vec![("width".to_owned(), Value::Number(1.0))]),
        command::object(&[("encoder", string("x"))]),
    ] {
        let whole = encoded(&[string("onMetaData"), object]);
        let cut = whole[..whole.len() - 3].to_vec();
        let media = deliver(&mut publishing(), data(cut));
        assert_eq!(
            (media.kind, &media.payload[..]),
            (MediaKind::Metadata, &whole[..])
        );
    }
}

/// What is kept for players that join later has a bound: metadata and sequence headers.
#[test]
fn what_is_kept_is_as_long_as_the_limit_and_no_longer() {
    let limit = limits::MAX_METADATA_BYTES;
    let mut peer = publishing();
    let long = |start: &[u8], length| {
        let payload = Bytes::from([start, &vec![b'x'; length - start.len()]].concat());
        (payload, length <= limit)
    };
    for length in [limit, limit + 1] {
        for (type_id, start) in [(8, &b"\xaf\0"[..]), (9, b"\x17\0\0\0\0"), (9, b"\x90hvc1")] {
            let (payload, fits) = long(start, length);
            let message = RawMessage {
                payload,
                ..message(type_id, b"")
            };
            let actions = peer.hear(message).unwrap();
            assert_eq!(delivered(&actions).len(), usize::from(fits), "{start:?}");
        }
        // What is not kept may be longer.
        let (payload, _) = long(b"\x17\x01\0\0\0", length);
        deliver(
            &mut peer,
            RawMessage {
                payload,
                ..message(9, b"")
            },
        );
    }
    let text = |length: usize| encoded(&[string("onMetaData"), string(&"x".repeat(length))]);
    let around = text(0).len();
    for (length, count) in [(limit - around, 1), (limit - around + 1, 0)] {
        let text = text(length);
        let actions = peer.hear(data(text)).unwrap();
        assert_eq!(delivered(&actions).len(), count, "{length}");
    }
}

/// Each message in it is one of its own, at its own time.
#[test]
fn an_aggregate_is_split() {
    let mut payload = Vec::new();
    for (type_id, timestamp, body) in [
        (8, 100, &b"\xaf\x01\x21"[..]),
        (9, 110, b"\x17\x01\0\0\0\x01"),
        (9, 115, b""),
        (18, 120, b"\x02\0\x0aonMetaData\x05"),
        (99, 125, b"x"),
    ] {
        let length = u8::try_from(body.len()).unwrap();
        payload.extend([type_id, 0, 0, length, 0, 0, timestamp, 0, 0, 0, 0]);
        payload.extend(body);
        payload.extend([0, 0, 0, length + 11]);
    }
    let mut peer = publishing();
    let actions = peer.hear(RawMessage {
        timestamp: u32::MAX,
        payload: Bytes::from(payload),
        ..message(type_id::AGGREGATE, b"")
    });
    let media = delivered(&actions.unwrap());
    let said: Vec<_> = media.iter().map(|m| (m.type_id, m.timestamp)).collect();
    assert_eq!(said, [(8, u32::MAX), (9, 9), (18, 19)]);
    assert_eq!(peer.session.dropped(), 1, "the empty one");
}
