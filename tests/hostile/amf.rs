//! A: AMF0 and commands.

use srs_lite::limits;

use crate::stage::{Stage, assert_ends, assert_goes_on, message, publisher, send_all, watched};
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::{Message, Status};
use crate::support::connection::Connection;
use crate::support::media::Kind;
use crate::support::peer::{Player, publish};

/// Messages of these types carry commands.
const COMMAND: u8 = 20;

/// A data message.
const DATA: u8 = 18;

/// A command that every session answers, with these bytes as its last argument.
fn call_with(argument: &[u8]) -> Message {
    let start = amf::encode(&["_checkbw".into(), 77.0.into(), Value::Null]);
    message(COMMAND, &[&start, argument].concat())
}

/// Metadata that begins with these bytes.
fn metadata_with(value: &[u8]) -> Vec<u8> {
    [&amf::encode(&["onMetaData".into()]), value].concat()
}

/// `open` so many times over, around a null.
fn nested(open: &[u8], depth: usize) -> Vec<u8> {
    [&open.repeat(depth), &[5][..]].concat()
}

const OBJECT: &[u8] = &[3, 0, 1, b'a'];
const ECMA_ARRAY: &[u8] = &[8, 0, 0, 0, 1, 0, 1, b'a'];
const STRICT_ARRAY: &[u8] = &[10, 0, 0, 0, 1];

#[test]
fn a1_nested_values() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let limit = limits::MAX_AMF0_DEPTH;
    let too_deep = "AMF0 value nested too deeply";
    for open in [OBJECT, ECMA_ARRAY, STRICT_ARRAY] {
        for stage in Stage::CONNECTED {
            let deep = call_with(&nested(open, limit + 1));
            assert_ends(at, stage, too_deep, |peer| send_all(peer, &[deep]));
            // As deep as a message of this peer can be.
            let deep = call_with(&nested(open, 16_000 / open.len()));
            assert_ends(at, stage, too_deep, |peer| send_all(peer, &[deep]));
            // Without end markers, that is; a strict array has none.
            let deep = call_with(&nested(open, limit));
            assert_goes_on(at, stage, |peer| send_all(peer, &[deep]));
        }
        let deepest = message(COMMAND, &nested(open, 70_000));
        assert_ends(at, Stage::Early, "is too long", |peer| {
            send_all(peer, &[deepest.clone()]);
        });
        assert_ends(at, Stage::Publishing, too_deep, |peer| {
            send_all(peer, &[deepest]);
        });
        assert_goes_on(at, Stage::Publishing, |peer| {
            let metadata = metadata_with(&nested(open, 12_000 / open.len()));
            send_all(peer, &[message(DATA, &metadata)]);
        });
    }
    bystander.end("A1 | objects, ECMA and strict arrays 17 to 70,000 deep | closed; 16 goes on");
}

#[test]
fn a2_counts_of_arrays_are_not_believed() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let count = u32::MAX.to_be_bytes();
    let ecma = [&[8][..], &count, &[0, 1, b'a', 5, 0, 0, 9]].concat();
    let strict = [&[10][..], &count, &[5, 5, 5]].concat();
    for stage in Stage::CONNECTED {
        assert_goes_on(at, stage, |peer| send_all(peer, &[call_with(&ecma)]));
        assert_ends(at, stage, "truncated AMF0 value", |peer| {
            send_all(peer, &[call_with(&strict)]);
        });
    }
    assert_goes_on(at, Stage::Publishing, |peer| {
        for value in [&ecma, &strict] {
            send_all(peer, &[message(DATA, &metadata_with(value))]);
        }
    });
    let peak = bystander.peak();
    assert!(peak < 8 * 1024, "{peak} KiB");
    bystander.end("A2 | 4,294,967,295 elements announced | ECMA goes on, strict closed");
}

#[test]
fn a3_strings_longer_than_their_message() {
    let bystander = Bystander::start("");
    let at = &bystander;
    for string in [
        &[12, 0xFF, 0xFF, 0xFF, 0xFF, b'a'][..],
        &[15, 0xFF, 0xFF, 0xFF, 0xFF, b'a'],
        &[12, 0, 0, 0, 2, b'a'],
        &[2, 0, 2, b'a'],
        &[2, 0xFF, 0xFF],
        &[3, 0, 2, b'a'],
        &[16, 0xFF, 0xFF, b'a'],
        &[2, 0],
        &[12, 0, 0, 0],
    ] {
        for stage in Stage::CONNECTED {
            assert_ends(at, stage, "truncated AMF0 value", |peer| {
                send_all(peer, &[call_with(string)]);
            });
        }
        assert_goes_on(at, Stage::Publishing, |peer| {
            send_all(peer, &[message(DATA, &metadata_with(string))]);
        });
    }
    let peak = bystander.peak();
    assert!(peak < 8 * 1024, "{peak} KiB");
    bystander.end("A3 | 9 strings past the end, to 2^32-1 bytes | closed; as metadata dropped");
}

/// Asks for the stream with this application and name.
fn ask(bystander: &Bystander, call: &str, app: &[u8], name: &[u8]) -> Connection {
    let string = |bytes: &[u8]| [&[2, 0, bytes.len() as u8], bytes].concat();
    let mut connection = Connection::open(bystander.address()).unwrap();
    let connect = amf::encode(&["connect".into(), 1.0.into()]);
    let object = [&[3, 0, 3][..], b"app", &string(app), &[0, 0, 9]].concat();
    let create = amf::encode(&["createStream".into(), 2.0.into(), Value::Null]);
    let ask = amf::encode(&[call.into(), 3.0.into(), Value::Null]);
    let messages = [
        message(COMMAND, &[connect, object].concat()),
        message(COMMAND, &create),
        message(COMMAND, &[ask, string(name)].concat()),
    ];
    send_all(&mut connection, &messages);
    connection
}

#[test]
fn a4_what_is_no_text_or_pretends_to_be_a_log() {
    let bystander = Bystander::start("");
    let nasty: [&[u8]; 9] = [
        b"a\xff\xfe",
        b"a\0b",
        b"a\r\nFORGED",
        b"\nFORGED line",
        b"\"quoted\"",
        b"'; drop",
        b"\x1b[31mred",
        b"\xe2\x80\xaeright",
        b"\xc0\xaf..",
    ];
    for text in nasty {
        for (call, code) in [
            ("publish", "NetStream.Publish.BadName"),
            ("play", "NetStream.Play.StreamNotFound"),
        ] {
            for (app, name) in [(text, &b"name"[..]), (b"live", text)] {
                let mut connection = ask(&bystander, call, app, name);
                assert_eq!(connection.status().unwrap().code, code, "{text:?}");
                let peer = connection.socket().local_addr().unwrap();
                bystander.assert_ended(peer, "refused");
            }
        }
        // Where a client says what it is, and a query, nothing is refused, and nothing shown.
        let query = [b"attacker?", text].concat();
        let told = ask(&bystander, "publish", b"live", &query).status();
        told.unwrap();
    }
    let raw = |line: &&String| line.contains(|c: char| !(' '..='~').contains(&c));
    let lines = bystander.server.log();
    let odd: Vec<_> = lines.iter().filter(raw).collect();
    assert!(odd.is_empty(), "{odd:?}");
    let forged = lines.iter().find(|line| line.starts_with("FORGED"));
    assert_eq!(forged, None);
    bystander
        .end("A4 | 9 names, not UTF-8, NUL, CR LF, quotes, ANSI | refused, log is plain ASCII");
}

#[test]
fn a5_types_that_nobody_sends() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let taken: [(&str, &[u8]); 6] = [
        ("reference", &[7, 0, 1]),
        ("typed object", &[16, 0, 1, b'T', 0, 1, b'a', 5, 0, 0, 9]),
        ("date", &[11, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        ("XML", &[15, 0, 0, 0, 4, b'<', b'a', b'/', b'>']),
        ("unsupported", &[13]),
        ("undefined", &[6]),
    ];
    for stage in Stage::CONNECTED {
        for (what, value) in taken {
            assert_goes_on(at, stage, |peer| {
                send_all(peer, &[call_with(value)]);
                peer.answer(77.0).expect(what);
            });
        }
        for marker in [4, 9, 14, 17, 18, 0x80, 0xFF] {
            let why = format!("unknown AMF0 marker {marker:#04x}");
            assert_ends(at, stage, &why, |peer| {
                send_all(peer, &[call_with(&[marker, 0, 0, 0, 0])]);
            });
        }
    }
    bystander.end("A5 | 6 types without use, 7 without meaning | answered; closed");
}

#[test]
fn a6_objects_without_an_end() {
    let bystander = Bystander::start("");
    let (mut publisher, mut player) = watched(&bystander);
    // Metadata gets the end that ffmpeg insists on.
    let properties = [
        0, 5, b'w', b'i', b'd', b't', b'h', 0, 0x40, 0x74, 0, 0, 0, 0, 0, 0,
    ];
    for open in [&[3][..], &[8, 0, 0, 0, 1]] {
        let metadata = [b"\x02\x00\x0aonMetaData", open, &properties].concat();
        publisher.send(DATA, 20, &metadata);
        let received = loop {
            let message = player.receive().unwrap();
            if message.type_id == DATA {
                break message.payload;
            }
        };
        assert_eq!(received, [&metadata[..], &[0, 0, 9]].concat());
    }
    // A connect without an end is one.
    let connect = amf::encode(&["connect".into(), 1.0.into()]);
    let object = [&[3, 0, 3][..], b"app", &[2, 0, 4], b"live"].concat();
    let messages = [message(COMMAND, &[connect, object].concat())];
    assert_goes_on(&bystander, Stage::Early, |peer| {
        send_all(peer, &messages);
        peer.answer(1.0).unwrap();
    });
    drop((publisher, player));
    bystander.end("A6 | objects that end with their message | accepted, metadata repaired");
}

#[test]
fn a7_commands_of_other_types() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let why = "command without name or transaction id";
    for stage in Stage::CONNECTED {
        for values in [
            vec![Value::Number(1.0), Value::Number(1.0)],
            vec![Value::Null],
            vec![Value::Object(Vec::new()), Value::Number(1.0)],
            vec![Value::StrictArray(vec!["play".into()]), 1.0.into()],
            vec!["play".into()],
            vec!["play".into(), "1".into()],
            vec!["play".into(), Value::Null],
            vec!["play".into(), Value::Boolean(true)],
        ] {
            let payload = amf::encode(&values);
            assert_ends(at, stage, why, |peer| {
                send_all(peer, &[message(COMMAND, &payload)]);
            });
        }
    }
    for id in [
        f64::NAN,
        f64::INFINITY,
        -1.0,
        1e300,
        0.5,
        9_007_199_254_740_993.0,
    ] {
        assert_goes_on(at, Stage::Idle, |peer| {
            peer.command(0, "_checkbw", id, &[Value::Null]).unwrap();
            let answer = peer.receive().unwrap().command().unwrap();
            assert_eq!(answer.1.to_bits(), id.to_bits(), "{id}");
        });
    }
    // Arguments of other types are as if they were not there.
    let mut connection = Stage::Idle.reach(at);
    connection.call(1, "publish", &[Value::Null, 5.0.into()]);
    let status = connection.status().unwrap();
    assert_eq!(status.code, "NetStream.Publish.BadName");
    bystander.end("A7 | 8 commands of other types; ids NaN, ∞, negative | closed; answered");
}

#[test]
fn a8_commands_out_of_order() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let name = |name: &str| [Value::Null, name.into()];
    for (stage, call, why) in [
        (Stage::Early, "publish", "a command while awaiting connect"),
        (Stage::Idle, "connect", "connect while idle"),
        (Stage::Publishing, "connect", "connect while publishing"),
        (Stage::Publishing, "publish", "publish while publishing"),
        (Stage::Publishing, "play", "play while publishing"),
        (Stage::Playing, "connect", "connect while playing"),
        (Stage::Playing, "publish", "done"),
        (Stage::Playing, "play", "done"),
    ] {
        assert_ends(at, stage, why, |peer| {
            peer.call(1, call, &name("other"));
        });
    }
    let mut connection = Connection::open(at.address()).unwrap();
    connection.connect("live").unwrap();
    connection.call(1, "publish", &name("other"));
    let status = connection.status().unwrap();
    assert_eq!(status.description, "createStream must come first");
    // Nobody has another's stream: there is one, and it has one name.
    assert_goes_on(at, Stage::Idle, |peer| {
        peer.call(0, "deleteStream", &[Value::Null, 99.0.into()]);
    });
    let mut first = publisher(at);
    let stream_name = first.name.clone();
    let call = first
        .connection
        .call(0, "deleteStream", &[Value::Null, 99.0.into()]);
    first.connection.answer(call).unwrap();
    let second = publish(at.address(), "live", &stream_name).expect("its name is free");
    drop((first, second));
    bystander.end("A8 | 10 commands out of order | each a defined error, the name is free again");
}

#[test]
fn a9_a_flood_of_create_stream() {
    let bystander = Bystander::start("");
    for stage in Stage::CONNECTED {
        let why = "too many createStream calls";
        assert_ends(&bystander, stage, why, |peer| {
            for id in 1..10_000_u32 {
                let sent = peer.command(0, "createStream", id.into(), &[Value::Null]);
                if sent.is_err() {
                    break;
                }
            }
        });
    }
    bystander.end("A9 | 10,000 createStream | closed at the 9th");
}

#[test]
fn a10_names_that_are_missing() {
    let bystander = Bystander::start("");
    let address = bystander.address();
    for app in ["", "/", "//"] {
        let mut connection = Connection::open(address).unwrap();
        let refused = connection.connect(app).unwrap_err();
        assert_eq!(refused.code, "NetConnection.Connect.Rejected");
        let peer = connection.socket().local_addr().unwrap();
        bystander.assert_ended(peer, "refused");
    }
    for (app, name) in [("live", ""), ("live", "?secret"), ("?secret", "name")] {
        for (call, code) in [
            ("publish", "NetStream.Publish.BadName"),
            ("play", "NetStream.Play.StreamNotFound"),
        ] {
            let mut player = Player::open(address, app, None);
            player
                .connection
                .call(player.stream, call, &[Value::Null, name.into()]);
            let Status {
                level, code: told, ..
            } = player.connection.status().unwrap();
            assert_eq!(
                (level.as_str(), told.as_str()),
                ("error", code),
                "{app}/{name}"
            );
            let peer = player.connection.socket().local_addr().unwrap();
            bystander.assert_ended(peer, "refused");
        }
    }
    assert_eq!(bystander.server.count_log("secret"), 0);
    bystander.end("A10 | no application, no name, only a token | told no, the token not logged");
}

#[test]
fn a11_a_million_values_in_one_message() {
    let bystander = Bystander::start("");
    let at = &bystander;
    let million = 1_000_000_usize;
    let list = [
        &[10][..],
        &(million as u32).to_be_bytes(),
        &vec![5; million],
    ]
    .concat();
    let flat = vec![5; million];
    let too_many = "too many AMF0 values";
    for stage in Stage::CONNECTED {
        let many = call_with(&vec![5; 16_000]);
        assert_ends(at, stage, too_many, |peer| send_all(peer, &[many]));
    }
    for values in [&list, &flat] {
        assert_ends(at, Stage::Publishing, too_many, |peer| {
            send_all(peer, &[call_with(values)]);
        });
        assert_goes_on(at, Stage::Publishing, |peer| {
            // As long as metadata may be, and longer.
            for length in [limits::MAX_METADATA_BYTES - 100, million] {
                let metadata = metadata_with(&values[..length]);
                send_all(peer, &[message(DATA, &metadata)]);
            }
        });
    }
    let (mut publisher, mut player) = watched(at);
    for values in [&list, &flat] {
        publisher.send(DATA, 20, &metadata_with(values));
    }
    publisher.send_frame(Kind::Inter, 2, 40, 100);
    assert_eq!(player.frame().0, 2);
    let peak = bystander.peak();
    assert!(peak < 16 * 1024, "{peak} KiB for messages of 1 MB");
    drop((publisher, player));
    bystander.end(&format!(
        "A11 | 1,000,000 values in 1 MB | closed, as metadata dropped; peak RSS +{peak} KiB"
    ));
}
