//! A7 to A10: commands.

use crate::stage::{Stage, assert_ends, assert_goes_on, message, publisher, send_all, type_id};
use crate::support::amf::{self, Value};
use crate::support::bystander::Bystander;
use crate::support::chunk::Status;
use crate::support::connection::Connection;
use crate::support::peer::{Player, publish};

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
                send_all(peer, &[message(type_id::COMMAND, &payload)]);
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
