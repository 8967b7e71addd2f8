//! What every call is answered, and the rest of a good conversation.

use srs_lite::limits;
use srs_lite::session::action::{Action, Ending, Filter};
use srs_lite::wire::amf0::Value;
use srs_lite::wire::command::{self, string};
use srs_lite::wire::control::Control;
use srs_lite::wire::message::type_id;

use crate::peer::{
    Peer, asking_to_play, asking_to_publish, awaiting_connect, commands, controls, idle, message,
    names, playing, publishing, said, statuses,
};

fn status(code: &str) -> (String, String) {
    ("status".to_owned(), code.to_owned())
}

/// OBS and others take the answer to `connect` for the end of the negotiation: all that is
/// announced comes before it.
#[test]
fn connect_is_answered_last() {
    let mut peer = awaiting_connect();
    let actions = peer.connect(&[]);
    let announced = [
        Control::WindowAcknowledgementSize(2_500_000),
        Control::SetPeerBandwidth(2_500_000),
        Control::SetChunkSize(60_000),
    ];
    assert_eq!(controls(&actions[..3]), announced);
    assert_eq!(actions[3], Action::Connect);
    assert_eq!(names(&actions[4..]), [("_result".to_owned(), 1.0)]);
    assert_eq!(actions.len(), 5);
    for said in said(&actions[..3]) {
        let place = (said.chunk_stream, said.message.message_stream_id);
        assert_eq!(place, (2, 0));
    }
    let answer = &said(&actions)[3];
    assert_eq!(
        (answer.chunk_stream, answer.message.message_stream_id),
        (3, 0)
    );
    let answer = &commands(&actions)[0];
    let code = answer.property(1, "code").and_then(Value::as_str);
    assert_eq!(code, Some("NetConnection.Connect.Success"));
    assert!(answer.property(0, "fmsVer").is_some());
    assert!(answer.property(0, "capabilities").is_some());
    assert_eq!(
        answer.property(1, "objectEncoding"),
        Some(&Value::Number(0.0))
    );
}

/// Who does not speak Enhanced RTMP hears nothing of it.
#[test]
fn enhanced_rtmp_is_advertised_to_who_asks() {
    const ADVERTISED: [&str; 4] = [
        "fourCcList",
        "videoFourCcInfoMap",
        "audioFourCcInfoMap",
        "capsEx",
    ];
    let plain = awaiting_connect().connect(&[("videoCodecs", Value::Number(252.0))]);
    for name in ADVERTISED {
        assert_eq!(commands(&plain)[0].property(1, name), None, "{name}");
    }
    for asked in ADVERTISED {
        let actions = awaiting_connect().connect(&[(asked, Value::Null)]);
        let answer = &commands(&actions)[0];
        let list = Value::StrictArray(vec![string("*")]);
        let forward = command::object(&[("*", Value::Number(4.0))]);
        for (name, expected) in [
            ("fourCcList", &list),
            ("videoFourCcInfoMap", &forward),
            ("audioFourCcInfoMap", &forward),
            ("capsEx", &Value::Number(15.0)),
        ] {
            assert_eq!(answer.property(1, name), Some(expected), "{asked}: {name}");
        }
    }
}

/// Who can is asked to connect anew once, on the message stream of the connection, in every state
/// between the answer to `connect` and the end.
#[test]
fn who_can_is_asked_to_reconnect() {
    let ask = |peer: &mut Peer| {
        let mut actions = Vec::new();
        peer.session.ask_to_reconnect(&mut actions);
        actions
    };
    let bring = |calls: &[&str]| {
        let mut peer = awaiting_connect();
        assert!(!peer.session.reconnects());
        assert_eq!(ask(&mut peer), []);
        peer.connect(&[("capsEx", Value::Number(3.0))]);
        for name in calls {
            peer.call_with(name, "name").unwrap();
        }
        peer
    };
    let mut publishing = bring(&["createStream", "publish"]);
    publishing.session.publish_granted(&mut Vec::new());
    let mut playing = bring(&["createStream", "play"]);
    playing.session.play_granted(&mut Vec::new());
    let asking = bring(&["createStream", "play"]);
    for mut peer in [bring(&[]), asking, publishing, playing] {
        assert!(peer.session.reconnects());
        let actions = ask(&mut peer);
        let request = status("NetConnection.Connect.ReconnectRequest");
        assert_eq!((statuses(&actions), actions.len()), (vec![request], 1));
        assert_eq!(names(&actions), [("onStatus".to_owned(), 0.0)]);
        let command = &commands(&actions)[0];
        assert_eq!(command.arguments[0], Value::Null);
        assert_eq!(command.property(1, "tcUrl"), None, "it is the same");
        let said = &said(&actions)[0];
        let place = (said.chunk_stream, said.message.message_stream_id);
        assert_eq!(place, (3, 0));
        assert!(!peer.session.reconnects());
        assert_eq!(ask(&mut peer), [], "twice");
    }
    let mut refused = bring(&["createStream", "play"]);
    refused.session.refuse("Some.Code", "why", &mut Vec::new());
    assert_eq!(ask(&mut refused), []);
}

#[test]
fn who_cannot_is_not_asked_to_reconnect() {
    for flags in [
        Value::Number(14.0),
        Value::Number(0.0),
        Value::Number(-2.0),
        Value::Number(f64::NAN),
        Value::Number(f64::INFINITY),
        string("1"),
        Value::Null,
    ] {
        let mut peer = awaiting_connect();
        peer.connect(&[("capsEx", flags.clone())]);
        assert!(!peer.session.reconnects(), "{flags:?}");
        let mut actions = Vec::new();
        peer.session.ask_to_reconnect(&mut actions);
        assert_eq!(actions, []);
    }
    let mut peer = awaiting_connect();
    let flags = [("capsEx", Value::Number(1.0))];
    peer.call("connect", &[command::object(&flags)]).unwrap();
    assert!(!peer.session.reconnects(), "without an application");
}

/// Whatever the state allows, a call with an id gets one `_result` with that id, and one without
/// gets none. (`publish` and `play` are answered by a status.)
#[test]
fn every_call_is_answered_once_with_its_id() {
    const ALWAYS: &[&str] = &[
        "releaseStream",
        "FCPublish",
        "FCSubscribe",
        "getStreamLength",
        "_checkbw",
        "createStream",
        "neverHeardOf",
    ];
    const IDLE: &[&str] = &["FCUnpublish", "closeStream", "deleteStream", "pause"];
    const PLAYING: &[&str] = &[
        "pause",
        "receiveAudio",
        "receiveVideo",
        "seek",
        "FCUnpublish",
    ];
    type State = (fn() -> Peer, &'static [&'static str]);
    let states: [State; 3] = [(idle, IDLE), (publishing, &IDLE[..3]), (playing, PLAYING)];
    for (make, more) in states {
        for &name in ALWAYS.iter().chain(more) {
            for id in [7.0, -1.5, f64::INFINITY, 0.0] {
                let call = command::encode(1, name, id, &[Value::Null, string("name")]);
                let mut answers = names(&make().hear(call).unwrap());
                answers.retain(|(name, _)| name == "_result");
                let expected = (id != 0.0).then(|| ("_result".to_owned(), id));
                assert_eq!(answers, expected.as_slice(), "{name}");
            }
        }
    }
}

#[test]
fn answers_say_what_is_asked() {
    for make in [idle, publishing, playing] {
        let mut peer = make();
        let actions = peer.call("createStream", &[Value::Null]).unwrap();
        assert_eq!(
            commands(&actions)[0].arguments,
            [Value::Null, Value::Number(1.0)]
        );
        let actions = peer.call_with("getStreamLength", "name").unwrap();
        assert_eq!(
            commands(&actions)[0].arguments,
            [Value::Null, Value::Number(0.0)]
        );
    }
}

/// AMF3 clients put one byte before an AMF0 body.
#[test]
fn commands_of_type_17_are_understood() {
    let mut call = command::encode(0, "_checkbw", 3.0, &[Value::Null]);
    call.type_id = type_id::COMMAND_AMF3;
    call.payload = [b"\0", &call.payload[..]].concat().into();
    let actions = idle().hear(call).unwrap();
    assert_eq!(names(&actions), [("_result".to_owned(), 3.0)]);
}

#[test]
fn a_ping_is_answered_with_its_timestamp_in_every_state() {
    for make in [awaiting_connect, idle, asking_to_play, publishing, playing] {
        let ping = Control::PingRequest(0xdead_beef).encode();
        let actions = make().hear(ping).unwrap();
        assert_eq!(controls(&actions), [Control::PingResponse(0xdead_beef)]);
        assert_eq!(actions.len(), 1);
    }
}

/// The request says which stream, with the query strings apart.
#[test]
fn publish_and_play_ask_the_hub() {
    for name in ["publish", "play"] {
        let mut peer = awaiting_connect();
        let app = command::object(&[("app", string("/live/?a=1"))]);
        peer.call("connect", &[app]).unwrap();
        peer.call("createStream", &[Value::Null]).unwrap();
        let actions = peer.call_with(name, "name?b=2").unwrap();
        let request = match &actions[..] {
            [Action::Publish(request)] if name == "publish" => request,
            [Action::Play(request)] if name == "play" => request,
            _ => panic!("{name}: {actions:?}"),
        };
        assert_eq!(request.path.to_string(), "live/name");
        assert_eq!((&*request.app_query, &*request.query), ("a=1", "b=2"));
    }
}

#[test]
fn a_granted_publish_starts_and_fc_publish_gets_its_own_word() {
    let mut peer = asking_to_publish();
    let mut actions = Vec::new();
    peer.session.publish_granted(&mut actions);
    assert_eq!(statuses(&actions), [status("NetStream.Publish.Start")]);
    assert_eq!(actions.len(), 1);
    let start = &said(&actions)[0];
    assert_eq!(
        (start.chunk_stream, start.message.message_stream_id),
        (5, 1)
    );

    let mut peer = idle();
    peer.call_with("releaseStream", "name").unwrap();
    peer.call_with("FCPublish", "name").unwrap();
    peer.call_with("publish", "name").unwrap();
    let mut actions = Vec::new();
    peer.session.publish_granted(&mut actions);
    let order: Vec<_> = names(&actions).into_iter().map(|(name, _)| name).collect();
    assert_eq!(order, ["onFCPublish", "onStatus"]);
    let code = commands(&actions)[0].property(1, "code").cloned();
    assert_eq!(code, Some(string("NetStream.Publish.Start")));
}

/// Also by the same connection, as often as it likes; the word for `FCPublish` comes once per call.
#[test]
fn a_stream_can_be_published_again() {
    let mut peer = idle();
    for end in ["FCUnpublish", "closeStream", "deleteStream"] {
        for fc_publish in [true, false] {
            if fc_publish {
                peer.call_with("FCPublish", "name").unwrap();
            }
            peer.call_with("publish", "name").unwrap();
            let mut actions = Vec::new();
            peer.session.publish_granted(&mut actions);
            assert_eq!(actions.len(), 1 + usize::from(fc_publish));
            let actions = peer.call_with(end, "name").unwrap();
            assert_eq!(actions[0], Action::Unpublish);
            assert_eq!(statuses(&actions), [status("NetStream.Unpublish.Success")]);
            // OBS says both.
            let actions = peer.call_with("deleteStream", "name").unwrap();
            assert!(!actions.contains(&Action::Unpublish), "twice");
        }
    }
}

/// The order that all players take; ffmpeg makes a data stream of NetStream.Data.Start.
#[test]
fn a_granted_play_begins_resets_and_starts() {
    let mut peer = asking_to_play();
    let mut actions = Vec::new();
    peer.session.play_granted(&mut actions);
    assert_eq!(controls(&actions[..1]), [Control::StreamBegin(1)]);
    let codes = ["NetStream.Play.Reset", "NetStream.Play.Start"].map(status);
    assert_eq!(statuses(&actions[1..3]), codes);
    let access = &said(&actions)[3].message;
    assert_eq!(access.type_id, type_id::DATA_AMF0);
    let expected = [&b"\x02\0\x11|RtmpSampleAccess\x01\x01\x01\x01"[..]].concat();
    assert_eq!(access.payload, expected);
    assert_eq!(actions.len(), 4);
    for said in &said(&actions)[1..] {
        assert_eq!((said.chunk_stream, said.message.message_stream_id), (5, 1));
    }
}

#[test]
fn a_player_switches_off_and_on() {
    let flag = |flag| [Value::Null, Value::Boolean(flag), Value::Number(0.0)];
    for (name, flag, filter, off, code) in [
        (
            "pause",
            flag(true),
            Filter::All,
            true,
            Some("NetStream.Pause.Notify"),
        ),
        (
            "pause",
            flag(false),
            Filter::All,
            false,
            Some("NetStream.Unpause.Notify"),
        ),
        ("receiveAudio", flag(false), Filter::Audio, true, None),
        ("receiveAudio", flag(true), Filter::Audio, false, None),
        ("receiveVideo", flag(false), Filter::Video, true, None),
        ("receiveVideo", flag(true), Filter::Video, false, None),
    ] {
        let actions = playing().call(name, &flag).unwrap();
        let filters: Vec<_> = actions
            .iter()
            .filter(|action| matches!(action, Action::Filter(..)))
            .collect();
        assert_eq!(filters, [&Action::Filter(filter, off)], "{name}");
        assert_eq!(statuses(&actions), code.map(status).as_slice());
    }
    let actions = playing()
        .call("seek", &[Value::Null, Value::Number(5.0)])
        .unwrap();
    let failed = ("error".to_owned(), "NetStream.Seek.Failed".to_owned());
    assert_eq!(statuses(&actions), [failed]);
}

/// Deviation: a connection plays once.
#[test]
fn a_player_that_is_done_is_let_go() {
    for name in ["closeStream", "deleteStream", "play", "publish"] {
        let mut peer = playing();
        let actions = peer.call_with(name, "name").unwrap();
        assert_eq!(actions, [Action::Close(Ending::Done)], "{name}");
    }
}

/// The longest `connect` that a peer may send is understood: the limit of messages before
/// `publish` is the assembler's, and of values AMF0's.
#[test]
fn a_connect_with_many_properties_is_understood() {
    let mut peer = awaiting_connect();
    let many = vec![("x", Value::Null); limits::MAX_AMF0_VALUES - 4];
    assert_eq!(peer.connect(&many).len(), 5);
}

/// Unexpected kinds of values in the right places are no reason to panic.
#[test]
fn arguments_of_any_kind_are_survived() {
    let values = [
        Value::Null,
        Value::Undefined,
        Value::Boolean(true),
        Value::Number(f64::NAN),
        string("x"),
        Value::StrictArray(vec![Value::Null]),
        Value::EcmaArray(vec![]),
        Value::Date(1.0),
        Value::Unsupported,
    ];
    for name in [
        "publish",
        "play",
        "pause",
        "receiveAudio",
        "seek",
        "createStream",
        "FCPublish",
    ] {
        for make in [idle, playing, publishing] {
            for value in &values {
                let arguments = [value.clone(), value.clone()];
                let _outcome = make().call(name, &arguments);
            }
        }
    }
    let nothing = message(type_id::COMMAND_AMF3, b"\0");
    assert!(idle().hear(nothing).is_err());
}
