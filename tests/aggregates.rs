#![cfg(test)]
//! Aggregate messages [RTMP §7.1.6]: each of their messages counts for itself.

mod support;

use support::amf::Value;
use support::media::{self, Kind};
use support::peer::{publish, publishing};
use support::server::Server;

const AGGREGATE: u8 = 22;

/// One message of an aggregate, without its back pointer.
fn part(kind: Kind, number: u32, length: u32) -> Vec<u8> {
    let mut part = vec![kind.type_id()];
    part.extend(&length.to_be_bytes()[1..]);
    part.extend([0; 7]);
    part.extend(media::frame(kind, number, 20));
    part
}

/// Of each, a frame of 20 bytes is kept in the group of pictures, and must not keep the rest.
#[test]
fn a_frame_does_not_keep_its_aggregate() {
    let server = Server::origin("");
    let mut publisher = publishing(server.address(), "junk");
    publisher.connection.set_chunk_size(4_000_000);
    publisher.send_frame(Kind::Key, 1, 0, 20);
    let before = server.resident();
    let mut payload = part(Kind::Inter, 2, 20);
    payload.extend(31_u32.to_be_bytes());
    payload.resize(4_000_000, 0xFF);
    for time in 1..=150 {
        publisher.send(AGGREGATE, time, &payload);
    }
    // The answer says that everything before has been read.
    let call = publisher
        .connection
        .call(0, "releaseStream", &[Value::Null, "junk".into()]);
    publisher.connection.answer(call).unwrap();
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB for 151 frames of 20 bytes");
}

/// Its publisher has been taken over: that is said once, not for every message.
#[test]
fn an_aggregate_is_refused_once() {
    let server = Server::origin("[publish]\nrepublish = \"takeover\"");
    let mut first = publishing(server.address(), "once");
    let _second = publish(server.address(), "live", "once").unwrap();
    let mut payload = Vec::new();
    for number in 1..=5 {
        payload.extend(part(Kind::Audio, number, 20));
        payload.extend(31_u32.to_be_bytes());
    }
    first.send(AGGREGATE, 40, &payload);
    let (messages, _) = first.connection.drain();
    let told: Vec<_> = messages
        .iter()
        .filter_map(|message| message.status())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].code, "NetStream.Publish.BadName");
}
