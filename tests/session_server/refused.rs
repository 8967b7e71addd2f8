//! What does not belong in a state, and what is told no.

use srs_lite::limits;
use srs_lite::session::action::Action;
use srs_lite::session::error::SessionError;
use srs_lite::wire::amf0::{AmfError, Value};
use srs_lite::wire::command::{self, string};
use srs_lite::wire::control::Control;
use srs_lite::wire::message::type_id;

use crate::peer::{
    Peer, asking_to_play, asking_to_publish, assert_refused, awaiting_connect, closed, commands,
    failed, idle, message, playing, publishing,
};

const COMMANDS: &[&str] = &[
    "connect",
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "publish",
    "play",
    "pause",
    "receiveAudio",
    "receiveVideo",
    "seek",
    "getStreamLength",
    "_checkbw",
    "closeStream",
    "deleteStream",
    "neverHeardOf",
];

/// Every call of `refused` is an error in the state that `make` brings about, and ends it.
fn refuses(make: fn() -> Peer, state: &'static str, refused: &[&str], what: Option<&'static str>) {
    for &name in refused {
        let mut peer = make();
        let error = peer.call_with(name, "name").unwrap_err();
        let SessionError::Unexpected { message, state: at } = error else {
            panic!("{name} while {state}: {error:?}");
        };
        assert_eq!((message, at), (what.unwrap_or(message), state), "{name}");
        assert!(
            peer.call_with("_checkbw", "").is_err(),
            "{name}: it goes on"
        );
    }
}

#[test]
fn only_connect_comes_first() {
    let what = Some("a command");
    refuses(awaiting_connect, "awaiting connect", &COMMANDS[1..], what);
}

#[test]
fn connect_comes_once() {
    let what = Some("connect");
    refuses(idle, "idle", &["connect"], what);
    refuses(publishing, "publishing", &["connect"], what);
    refuses(playing, "playing", &["connect"], what);
}

#[test]
fn a_publisher_neither_plays_nor_publishes_twice() {
    refuses(publishing, "publishing", &["publish"], Some("publish"));
    refuses(publishing, "publishing", &["play"], Some("play"));
}

#[test]
fn nothing_is_asked_while_the_hub_is_asked() {
    let what = Some("a command");
    refuses(asking_to_publish, "awaiting the hub", COMMANDS, what);
    refuses(asking_to_play, "awaiting the hub", COMMANDS, what);
}

#[test]
fn nothing_is_asked_after_the_end() {
    refuses(closed, "closed", COMMANDS, None);
    refuses(failed, "failed", COMMANDS, None);
}

/// After an error every message is one: also media, pings and what is ignored otherwise.
#[test]
fn a_failed_session_accepts_nothing() {
    for type_id in 0..=u8::MAX {
        for payload in [&b""[..], b"\xaf\x01\x21", b"\0\x06\0\0\0\x07"] {
            let result = failed().hear(message(type_id, payload));
            assert!(result.is_err(), "{type_id} {payload:?}");
        }
    }
}

#[test]
fn commands_must_be_amf0_with_a_name_and_an_id() {
    let truncated = SessionError::Amf(AmfError::Truncated);
    let marker = SessionError::Amf(AmfError::Marker(0x11));
    for make in [awaiting_connect, idle, publishing, playing] {
        for (payload, expected) in [
            (&b"\x05"[..], SessionError::MalformedCommand),
            (b"\x02\0\x04play", SessionError::MalformedCommand),
            (b"\x02\0\x04play\x05", SessionError::MalformedCommand),
            (b"\x02\0\x04pla", truncated),
            (b"\x02\0\x04play\0\0\0", truncated),
            (b"\x11\x06", marker),
        ] {
            let mut peer = make();
            let result = peer.hear(message(type_id::COMMAND_AMF0, payload));
            assert_eq!(result, Err(expected), "{payload:?}");
            assert!(peer.call_with("_checkbw", "").is_err());
        }
    }
}

#[test]
fn streams_are_created_up_to_the_limit() {
    for make in [idle, publishing, playing] {
        let mut peer = make();
        for _ in 1..limits::MAX_CREATE_STREAMS {
            peer.call("createStream", &[Value::Null]).unwrap();
        }
        let result = peer.call("createStream", &[Value::Null]);
        assert_eq!(result, Err(SessionError::TooManyStreams));
    }
}

/// An encoder that makes a stream anew for each of its broadcasts is not one that makes many.
#[test]
fn a_deleted_stream_is_given_back() {
    let mut peer = idle();
    for _ in 0..=limits::MAX_CREATE_STREAMS {
        peer.call("createStream", &[Value::Null]).unwrap();
        peer.call("deleteStream", &[Value::Null, Value::Number(1.0)])
            .unwrap();
    }
}

#[test]
fn connect_needs_an_application() {
    for app in [
        None,
        Some(string("")),
        Some(string("//")),
        Some(Value::Null),
    ] {
        let mut peer = awaiting_connect();
        let properties: Vec<_> = app.into_iter().map(|app| ("app", app)).collect();
        let actions = peer
            .call("connect", &[command::object(&properties)])
            .unwrap();
        assert_refused(&actions, "NetConnection.Connect.Rejected");
        assert_eq!(crate::peer::names(&actions), [("_error".to_owned(), 1.0)]);
    }
    let actions = awaiting_connect().call("connect", &[]).unwrap();
    assert_refused(&actions, "NetConnection.Connect.Rejected");
}

#[test]
fn a_stream_passes_as_many_edges_as_the_limit_and_no_more() {
    let limit = f64::from(limits::MAX_EDGE_HOPS);
    for (hops, known) in [(None, 0), (Some(-1.0), 0), (Some(0.0), 0), (Some(limit), 8)] {
        let mut peer = awaiting_connect();
        let property = hops.map(|hops| ("srsLiteHops", Value::Number(hops)));
        peer.connect(property.as_slice());
        assert_eq!(peer.session.via().hops, known);
    }
    for hops in [limit + 0.5, limit + 1.0, f64::INFINITY, f64::NAN] {
        let actions = awaiting_connect().connect(&[("srsLiteHops", Value::Number(hops))]);
        assert_refused(&actions, "NetConnection.Connect.Rejected");
    }
}

#[test]
fn bad_names_are_refused() {
    let long = "x".repeat(limits::MAX_NAME_LENGTH + 1);
    for name in [
        "", "?token", "..", "a/b", ".a", "a b", "a\n", "a.m3u8", &long,
    ] {
        for (call, code) in [
            ("publish", "NetStream.Publish.BadName"),
            ("play", "NetStream.Play.StreamNotFound"),
        ] {
            assert_refused(&idle().call_with(call, name).unwrap(), code);
            assert_refused(&idle().call(call, &[]).unwrap(), code);
        }
    }
}

#[test]
fn create_stream_comes_before_publish_and_play() {
    for (call, code) in [
        ("publish", "NetStream.Publish.BadName"),
        ("play", "NetStream.Play.StreamNotFound"),
    ] {
        let mut peer = awaiting_connect();
        peer.connect(&[]);
        assert_refused(&peer.call_with(call, "name").unwrap(), code);
    }
}

/// What the hub refuses, the peer hears; what is over, too.
#[test]
fn a_refusal_is_sent_and_then_the_connection_ends() {
    for make in [asking_to_publish, asking_to_play, publishing] {
        let mut peer = make();
        let mut actions = Vec::new();
        peer.session.refuse("Some.Code", "why", &mut actions);
        assert_refused(&actions, "Some.Code");
        let audio = message(type_id::AUDIO, b"\xaf\x01\x21");
        assert_eq!(peer.hear(audio), Ok(vec![]), "on the way before it heard");
        assert_eq!(peer.session.dropped(), 1);
    }
}

/// A grant that nobody asked for lets nobody publish or play.
#[test]
fn the_hub_cannot_grant_what_was_not_asked() {
    for make in [awaiting_connect, idle, asking_to_play, playing, closed] {
        let mut peer = make();
        let mut actions = Vec::new();
        peer.session.publish_granted(&mut actions);
        assert_eq!(actions, []);
        peer.call_with("_checkbw", "").unwrap_err();
    }
    for make in [
        awaiting_connect,
        idle,
        asking_to_publish,
        publishing,
        closed,
    ] {
        let mut peer = make();
        let mut actions = Vec::new();
        peer.session.play_granted(&mut actions);
        assert_eq!(actions, []);
        peer.call_with("_checkbw", "").unwrap_err();
    }
}

/// It must not pass for the shorter name before it.
#[test]
fn a_name_that_is_not_text_is_refused() {
    let publish = b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05\x02\0\x05name\xff";
    let actions = idle().hear(message(type_id::COMMAND_AMF0, publish));
    assert_refused(&actions.unwrap(), "NetStream.Publish.BadName");
}

/// Nothing of it is for us; whoever drives the session looks at the window itself.
#[test]
fn messages_about_the_connection_are_no_nonsense() {
    for make in [awaiting_connect, idle, publishing, playing] {
        let mut peer = make();
        for control in [
            Control::Acknowledgement(1),
            Control::WindowAcknowledgementSize(0),
            Control::SetPeerBandwidth(u32::MAX),
            Control::StreamBegin(9),
            Control::PingResponse(1),
        ] {
            assert_eq!(peer.hear(control.encode()), Ok(vec![]));
        }
        let set_buffer_length = b"\0\x03\0\0\0\x01\xff\xff\xff\xff";
        for payload in [
            &set_buffer_length[..],
            b"\0",
            b"\0\x06\0",
            b"\xff\xff\0\0\0\0",
        ] {
            let user_control = message(type_id::USER_CONTROL, payload);
            assert_eq!(peer.hear(user_control), Ok(vec![]));
        }
        assert_eq!(peer.session.dropped(), 0);
    }
}

/// C12 of the field notes: whatever its type, it says nothing.
#[test]
fn empty_messages_are_ignored_and_counted() {
    for make in [awaiting_connect, idle, publishing, playing] {
        let mut peer = make();
        for type_id in [4, 8, 9, 15, 17, 18, 19, 20, 22, 99] {
            let actions: Vec<Action> = peer.hear(message(type_id, b"")).unwrap();
            assert_eq!(actions, []);
        }
        assert_eq!(peer.session.dropped(), 10);
    }
}

/// Who is not let in hears it as the answer to its `connect`, and nothing else is done for it.
#[test]
fn a_connect_can_be_refused() {
    let mut peer = awaiting_connect();
    let actions = peer.connect(&[]);
    assert_eq!(actions[3], Action::Connect, "asked before the answer");
    let mut actions = Vec::new();
    peer.session.refuse_connect("no", &mut actions);
    assert!(matches!(actions[..], [Action::Send(_), Action::Close(_)]));
    let answer = &commands(&actions)[0];
    assert_eq!(
        (answer.name.as_str(), answer.transaction_id),
        ("_error", 1.0)
    );
    let code = answer.property(1, "code").and_then(Value::as_str);
    assert_eq!(code, Some("NetConnection.Connect.Rejected"));
    assert!(peer.call_with("createStream", "").is_err());
    assert!(!peer.session.reconnects());
}
