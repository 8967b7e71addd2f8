//! The edge's side of a conversation with an origin, message by message.
#![cfg(test)]

use bytes::Bytes;
use srs_lite::session::client::{ClientRequest, ClientSession, Event, Purpose};
use srs_lite::session::error::SessionError;
use srs_lite::session::media::MediaKind;
use srs_lite::session::server::Via;
use srs_lite::wire::amf0::Value;
use srs_lite::wire::command::{self, Command, string};
use srs_lite::wire::control::Control;
use srs_lite::wire::flv::TagKind;
use srs_lite::wire::message::{RawMessage, type_id};

const BOTH: [Purpose; 2] = [Purpose::Publish, Purpose::Play];

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Connecting,
    Creating,
    Asking,
    Granted,
}

/// A session, and what it wants to happen.
struct Edge {
    session: ClientSession,
    events: Vec<Event>,
}

impl Edge {
    fn new(purpose: Purpose) -> Self {
        let mut events = Vec::new();
        let request = ClientRequest {
            vhost: None,
            purpose,
            host: "origin:1935".to_owned(),
            app: "live?token=1".to_owned(),
            stream: "name?key=2".to_owned(),
            via: Via {
                hops: 3,
                coworker: false,
            },
        };
        let session = ClientSession::new(request, &mut events);
        Self { session, events }
    }

    /// A session that a friendly origin has brought to `stage`.
    fn at(stage: Stage, purpose: Purpose) -> Self {
        let mut edge = Self::new(purpose);
        if stage != Stage::Connecting {
            edge.answers("_result", 1.0, Value::Null);
        }
        if matches!(stage, Stage::Asking | Stage::Granted) {
            edge.answers("_result", 4.0, Value::Number(1.0));
        }
        if stage == Stage::Granted {
            edge.status("status", start(purpose));
            assert_eq!(edge.events.last(), Some(&Event::Granted(1)));
        }
        edge.events.clear();
        edge
    }

    fn hear(&mut self, message: RawMessage) {
        self.session.handle(message, &mut self.events).unwrap();
    }

    fn answers(&mut self, name: &str, id: f64, value: Value) {
        self.hear(command::encode(0, name, id, &[Value::Null, value]));
    }

    fn status(&mut self, level: &str, code: &str) {
        self.hear(command::on_status(level, code, "why"));
    }

    /// What it says, and nothing else happens: messages in one chunk, read off the bytes.
    fn says(&mut self) -> Vec<RawMessage> {
        let events = std::mem::take(&mut self.events);
        let read = |event| {
            let Event::Send(bytes) = event else {
                panic!("{event:?}");
            };
            message(&bytes)
        };
        events.into_iter().map(read).collect()
    }

    /// The commands it says: name, id and arguments.
    fn calls(&mut self) -> Vec<(String, f64, Vec<Value>)> {
        let call = |message: &RawMessage| {
            let command = Command::decode(message).unwrap().unwrap();
            (command.name, command.transaction_id, command.arguments)
        };
        self.says().iter().map(call).collect()
    }
}

fn message(bytes: &Bytes) -> RawMessage {
    assert_eq!(bytes[0] & 0xc0, 0, "type 0");
    RawMessage {
        type_id: bytes[7],
        timestamp: u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]),
        message_stream_id: u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
        payload: bytes.slice(12..),
    }
}

fn of_stream(type_id: u8, payload: &'static [u8]) -> RawMessage {
    RawMessage {
        type_id,
        timestamp: 40,
        message_stream_id: 1,
        payload: Bytes::from_static(payload),
    }
}

const fn start(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Publish => "NetStream.Publish.Start",
        Purpose::Play => "NetStream.Play.Start",
    }
}

fn call(name: &str, id: f64, arguments: &[Value]) -> (String, f64, Vec<Value>) {
    (name.to_owned(), id, arguments.to_vec())
}

fn refused(code: &str) -> Event {
    Event::Refused(code.to_owned(), "why".to_owned())
}

/// The URL carries the query, for origins that check tokens; and the hops, for edges that are in a
/// loop. What we can forward is said, or origins of Enhanced RTMP would refuse.
#[test]
fn it_begins_with_connect() {
    for purpose in BOTH {
        let said = Edge::new(purpose).says();
        assert_eq!(said.len(), 2);
        let size = Control::decode(&said[0]);
        assert_eq!(size, Some(Control::SetChunkSize(60_000)));
        assert_eq!(said[1].message_stream_id, 0);
        let connect = Command::decode(&said[1]).unwrap().unwrap();
        assert_eq!((&*connect.name, connect.transaction_id), ("connect", 1.0));
        let text = |name| connect.property(0, name).and_then(Value::as_str);
        assert_eq!(text("app"), Some("live?token=1"));
        assert_eq!(text("tcUrl"), Some("rtmp://origin:1935/live?token=1"));
        let publishes = purpose == Purpose::Publish;
        assert_eq!(text("type"), publishes.then_some("nonprivate"));
        let number = |name| connect.property(0, name).and_then(Value::as_number);
        assert_eq!(number("srsLiteHops"), Some(3.0));
        assert_eq!(number("capsEx"), Some(15.0));
        let codecs = Value::StrictArray(vec![string("*")]);
        assert_eq!(connect.property(0, "fourCcList"), Some(&codecs));
    }
}

#[test]
fn it_publishes() {
    let mut edge = Edge::at(Stage::Connecting, Purpose::Publish);
    edge.answers("_result", 1.0, Value::Null);
    let name = [Value::Null, string("name?key=2")];
    let expected = [
        call("releaseStream", 2.0, &name),
        call("FCPublish", 3.0, &name),
        call("createStream", 4.0, &[Value::Null]),
    ];
    assert_eq!(edge.calls(), expected);
    // Only some origins know the first two: what they answer means nothing.
    edge.answers("_error", 2.0, Value::Null);
    edge.answers("_error", 3.0, Value::Null);
    edge.status("status", "NetStream.FCPublish.Start");
    assert_eq!(edge.events, []);
    edge.answers("_result", 4.0, Value::Number(5.0));
    let said = edge.says();
    assert_eq!((said.len(), said[0].message_stream_id), (1, 5));
    let publish = Command::decode(&said[0]).unwrap().unwrap();
    assert_eq!((&*publish.name, publish.transaction_id), ("publish", 5.0));
    assert_eq!(publish.arguments, [&name[..], &[string("live")]].concat());
    edge.status("status", "NetStream.Publish.Start");
    assert_eq!(edge.events, [Event::Granted(5)]);
    edge.events.clear();

    edge.session.unpublish(&mut edge.events);
    let expected = [
        call("FCUnpublish", 6.0, &name),
        call("deleteStream", 7.0, &[Value::Null, Value::Number(5.0)]),
    ];
    assert_eq!(edge.calls(), expected);
}

#[test]
fn it_plays() {
    let mut edge = Edge::at(Stage::Connecting, Purpose::Play);
    edge.answers("_result", 1.0, Value::Null);
    assert_eq!(edge.calls(), [call("createStream", 4.0, &[Value::Null])]);
    edge.answers("_result", 4.0, Value::Number(1.0));
    let arguments = [Value::Null, string("name?key=2"), Value::Number(-2000.0)];
    assert_eq!(edge.calls(), [call("play", 5.0, &arguments)]);
    edge.hear(Control::StreamBegin(1).encode());
    edge.status("status", "NetStream.Play.Reset");
    edge.hear(of_stream(type_id::AUDIO, b"\xaf\x01\x21"));
    assert_eq!(edge.events, [], "too early");
    edge.status("status", "NetStream.Play.Start");
    assert_eq!(edge.events, [Event::Granted(1)]);
}

#[test]
fn what_is_played_is_delivered() {
    let mut edge = Edge::at(Stage::Granted, Purpose::Play);
    let access = b"\x02\0\x11|RtmpSampleAccess\x01\x01\x01\x01";
    edge.hear(of_stream(type_id::DATA_AMF0, access));
    assert_eq!(edge.events, [], "it is for this connection only");
    for (type_id, payload, kind) in [
        (
            18,
            &b"\x02\0\x0aonMetaData\x05\0\0\x09"[..],
            MediaKind::Metadata,
        ),
        (9, b"\x17\0\0\0\0\x01", MediaKind::Tag(TagKind::VideoHeader)),
        (
            9,
            b"\x17\x01\0\0\0\x01",
            MediaKind::Tag(TagKind::RandomAccess),
        ),
        (8, b"\xaf\x01\x21", MediaKind::Tag(TagKind::Audio)),
        (18, b"\x02\0\x05other", MediaKind::Data),
    ] {
        edge.hear(of_stream(type_id, payload));
        let Some(Event::Deliver(media)) = edge.events.pop() else {
            panic!("{payload:?}");
        };
        assert_eq!((media.kind, &media.payload[..]), (kind, payload));
        assert_eq!((media.type_id, media.timestamp), (type_id, 40));
    }
    for (type_id, payload) in [(8, &b""[..]), (9, b"\x17"), (3, b"\0\0\0\x01"), (99, b"x")] {
        edge.hear(of_stream(type_id, payload));
    }
    assert_eq!(edge.events, [], "malformed, or no media");
    let mut edge = Edge::at(Stage::Granted, Purpose::Publish);
    edge.hear(of_stream(type_id::AUDIO, b"\xaf\x01\x21"));
    assert_eq!(edge.events, [], "whom we publish to has none for us");
}

/// By an `_error` to the call that the conversation hangs on, or by a status; and nothing that
/// comes after it counts.
#[test]
fn an_origin_refuses_at_every_stage() {
    let stages = [
        (Stage::Connecting, 1.0),
        (Stage::Creating, 4.0),
        (Stage::Asking, 5.0),
    ];
    for purpose in BOTH {
        for (stage, id) in stages {
            let info = command::status_object("error", "Some.Code", "why");
            let mut by_error = Edge::at(stage, purpose);
            by_error.answers("_error", id, info);
            let mut by_status = Edge::at(stage, purpose);
            by_status.status("error", "Some.Code");
            for mut edge in [by_error, by_status] {
                assert_eq!(edge.events, [refused("Some.Code")], "{stage:?}");
                edge.events.clear();
                edge.answers("_result", 1.0, Value::Null);
                edge.answers("_result", 4.0, Value::Number(1.0));
                edge.status("status", start(purpose));
                edge.status("error", "Some.Other");
                assert_eq!(edge.events, [], "it is over");
            }
        }
    }
}

/// Some origins refuse on level "status".
#[test]
fn some_codes_refuse_whatever_their_level() {
    for code in ["NetStream.Play.StreamNotFound", "NetStream.Publish.BadName"] {
        for purpose in BOTH {
            let mut edge = Edge::at(Stage::Asking, purpose);
            edge.status("status", code);
            assert_eq!(edge.events, [refused(code)]);
        }
    }
}

/// The information object of SRS's "RTMP 302".
fn redirection(ex: &[(&str, Value)]) -> Value {
    command::object(&[
        ("level", string("error")),
        ("code", string("NetConnection.Connect.Rejected")),
        ("description", string("RTMP 302 Redirect")),
        ("ex", command::object(ex)),
    ])
}

/// SRS says it on message stream 0, by a status, at whatever stage it is.
#[test]
fn an_origin_redirects_at_every_stage() {
    let code = ("code", Value::Number(302.0));
    let whole = ("redirect2", string("rtmp://a:1935/live/name?key=2"));
    let app = ("redirect", string("rtmp://a:1935/live"));
    let stages = [
        (Stage::Connecting, Some(1.0)),
        (Stage::Creating, Some(4.0)),
        (Stage::Asking, Some(5.0)),
        (Stage::Granted, None),
    ];
    for (ex, expected) in [
        (vec![code.clone(), app.clone(), whole.clone()], &whole),
        (vec![code.clone(), app.clone()], &app),
        (vec![code, ("redirect2", Value::Null), app.clone()], &app),
    ] {
        let expected = expected.1.as_str().unwrap().to_owned();
        for (stage, id) in stages {
            for purpose in BOTH {
                let mut answers = vec![("onStatus", 0.0)];
                // Of a stream that was granted no call is left to be answered.
                answers.extend(id.map(|id| ("_error", id)));
                for (name, id) in answers {
                    let mut edge = Edge::at(stage, purpose);
                    edge.answers(name, id, redirection(&ex));
                    let redirect = Event::Redirect(expected.clone());
                    assert_eq!(edge.events, [redirect], "{stage:?}");
                    edge.events.clear();
                    edge.answers("onStatus", 0.0, redirection(&ex));
                    edge.status("status", start(purpose));
                    assert_eq!(edge.events, [], "it is over");
                }
            }
        }
    }
}

#[test]
fn what_names_no_other_place_is_a_refusal() {
    let (code, url) = (("code", Value::Number(302.0)), string("rtmp://a/live"));
    for ex in [
        vec![],
        vec![code.clone()],
        vec![("redirect2", url.clone())],
        vec![("code", Value::Number(301.0)), ("redirect2", url.clone())],
        vec![("code", string("302")), ("redirect2", url)],
        vec![code, ("redirect2", Value::Number(1.0))],
    ] {
        let mut edge = Edge::at(Stage::Asking, Purpose::Play);
        edge.answers("onStatus", 0.0, redirection(&ex));
        let (code, why) = ("NetConnection.Connect.Rejected", "RTMP 302 Redirect");
        let refused = Event::Refused(code.to_owned(), why.to_owned());
        assert_eq!(edge.events, [refused], "{ex:?}");
    }
}

/// Everything goes on until the edge has another connection.
#[test]
fn an_origin_asks_to_reconnect() {
    const REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
    for purpose in BOTH {
        let mut edge = Edge::at(Stage::Connecting, purpose);
        edge.status("status", REQUEST);
        assert_eq!(edge.events, [Event::Reconnect]);
        edge.answers("_result", 1.0, Value::Null);
        edge.status("status", REQUEST);
        edge.answers("_result", 4.0, Value::Number(1.0));
        edge.status("status", REQUEST);
        edge.status("status", start(purpose));
        edge.status("status", REQUEST);
        edge.events.retain(|event| !matches!(event, Event::Send(_)));
        let [first, second, granted, third] = &edge.events[1..] else {
            panic!("{:?}", edge.events);
        };
        assert_eq!([first, second, third], [&Event::Reconnect; 3]);
        assert_eq!(granted, &Event::Granted(1));
        edge.events.clear();
        edge.status("error", "Some.Code");
        edge.status("status", REQUEST);
        assert_eq!(edge.events, [refused("Some.Code")], "it is over");
    }
}

/// An answer to another call, or one that comes at the wrong time, is none.
#[test]
fn answers_are_told_apart_by_their_id() {
    for purpose in BOTH {
        for (stage, id) in [(Stage::Connecting, 1.0), (Stage::Creating, 4.0)] {
            for other in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN] {
                if id != other {
                    let mut edge = Edge::at(stage, purpose);
                    edge.answers("_result", other, Value::Number(1.0));
                    assert_eq!(edge.events, [], "{stage:?} {other}");
                }
            }
        }
        for stage in [Stage::Connecting, Stage::Creating] {
            let mut edge = Edge::at(stage, purpose);
            edge.status("status", start(purpose));
            assert_eq!(edge.events, [], "granted what was not asked");
        }
    }
}

#[test]
fn media_goes_to_the_stream_that_was_created() {
    for (id, expected) in [
        (Value::Number(1.0), 1),
        (Value::Number(9.0), 9),
        (Value::Number(4_294_967_295.0), u32::MAX),
        (Value::Number(0.0), 1),
        (Value::Number(1.5), 1),
        (Value::Number(4_294_967_296.0), 1),
        (Value::Number(f64::NAN), 1),
        (Value::Null, 1),
    ] {
        let mut edge = Edge::at(Stage::Creating, Purpose::Publish);
        edge.answers("_result", 4.0, id.clone());
        assert_eq!(edge.says()[0].message_stream_id, expected, "{id:?}");
        edge.status("status", "NetStream.Publish.Start");
        assert_eq!(edge.events, [Event::Granted(expected)]);
    }
}

#[test]
fn the_stream_ends_once() {
    let notify = |code| command::on_status("status", code, "over");
    for end in [
        Control::StreamEof(1).encode(),
        notify("NetStream.Play.UnpublishNotify"),
        notify("NetStream.Play.Stop"),
    ] {
        let mut edge = Edge::at(Stage::Granted, Purpose::Play);
        edge.hear(end.clone());
        assert_eq!(edge.events, [Event::Ended]);
        edge.hear(end.clone());
        edge.hear(Control::StreamEof(1).encode());
        edge.hear(of_stream(type_id::AUDIO, b"\xaf\x01\x21"));
        assert_eq!(edge.events, [Event::Ended], "media after the end");
        // Before the beginning it ends nothing.
        let mut edge = Edge::at(Stage::Asking, Purpose::Play);
        edge.hear(end);
        assert_eq!(edge.events, []);
    }
    let mut edge = Edge::at(Stage::Granted, Purpose::Publish);
    edge.status("error", "NetStream.Publish.BadName");
    assert_eq!(edge.events, [refused("NetStream.Publish.BadName")]);
}

#[test]
fn a_ping_is_answered_at_every_stage() {
    for stage in [
        Stage::Connecting,
        Stage::Creating,
        Stage::Asking,
        Stage::Granted,
    ] {
        let mut edge = Edge::at(stage, Purpose::Play);
        edge.hear(Control::PingRequest(77).encode());
        let pong = Control::decode(&edge.says()[0]);
        assert_eq!(pong, Some(Control::PingResponse(77)));
    }
}

/// An origin's own calls (`onBWDone`, `onFCPublish`, …) and empty messages ask for nothing.
#[test]
fn calls_of_the_origin_are_ignored() {
    for name in [
        "onBWDone",
        "onFCPublish",
        "onFCSubscribe",
        "close",
        "neverHeardOf",
    ] {
        let mut edge = Edge::at(Stage::Granted, Purpose::Play);
        edge.answers(name, 0.0, Value::Number(8192.0));
        assert_eq!(edge.events, [], "{name}");
    }
    for type_id in [4, 8, 9, 15, 17, 18, 20, 22] {
        let mut edge = Edge::at(Stage::Granted, Purpose::Play);
        edge.hear(of_stream(type_id, b""));
        assert_eq!(edge.events, [], "an empty message of type {type_id}");
    }
}

#[test]
fn commands_must_be_amf0_with_a_name_and_an_id() {
    for payload in [
        &b"\x05"[..],
        b"\x02\0\x07_result",
        b"\x02\0\x07_res",
        b"\x11",
    ] {
        let mut edge = Edge::at(Stage::Connecting, Purpose::Play);
        let message = of_stream(type_id::COMMAND_AMF0, payload);
        let error = edge.session.handle(message, &mut edge.events).unwrap_err();
        let expected = matches!(error, SessionError::MalformedCommand | SessionError::Amf(_));
        assert!(expected && edge.events.is_empty(), "{error:?}");
    }
}
