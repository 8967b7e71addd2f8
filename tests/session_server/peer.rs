//! A session in each of its states, what is said to it, and what it says.

use bytes::Bytes;
use srs_lite::session::action::{Action, Ending};
use srs_lite::session::error::SessionError;
use srs_lite::session::media::Media;
use srs_lite::session::server::ServerSession;
use srs_lite::wire::amf0::Value;
use srs_lite::wire::command::{self, Command};
use srs_lite::wire::control::Control;
use srs_lite::wire::message::{RawMessage, type_id};

pub(crate) const LIVE: &str = "live";

/// A session and the id of the last call.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) session: ServerSession,
    pub(crate) last_id: f64,
}

/// A message of ours: in one chunk with a type 0 header, so it can be read off the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) chunk_stream: u8,
    pub(crate) message: RawMessage,
}

impl Peer {
    pub(crate) fn hear(&mut self, message: RawMessage) -> Result<Vec<Action>, SessionError> {
        let mut actions = Vec::new();
        let result = self.session.handle(message, &mut actions);
        if result.is_err() {
            assert_eq!(actions, [], "something is done, and then it is an error");
        }
        result.map(|()| actions)
    }

    /// A call with the next transaction id.
    pub(crate) fn call(
        &mut self,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Action>, SessionError> {
        self.last_id += 1.0;
        self.hear(command::encode(1, name, self.last_id, arguments))
    }

    /// A call whose arguments are null and `text`.
    pub(crate) fn call_with(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<Vec<Action>, SessionError> {
        self.call(name, &[Value::Null, command::string(text)])
    }

    pub(crate) fn connect(&mut self, properties: &[(&str, Value)]) -> Vec<Action> {
        let app = [("app", command::string(LIVE))];
        let object = command::object(&[&app, properties].concat());
        self.call("connect", &[object]).unwrap()
    }
}

pub(crate) fn awaiting_connect() -> Peer {
    Peer::default()
}

pub(crate) fn idle() -> Peer {
    let mut peer = awaiting_connect();
    peer.connect(&[]);
    peer.call("createStream", &[Value::Null]).unwrap();
    peer
}

pub(crate) fn asking_to_publish() -> Peer {
    let mut peer = idle();
    let actions = peer.call_with("publish", "name").unwrap();
    assert!(matches!(actions[..], [Action::Publish(_)]), "{actions:?}");
    peer
}

pub(crate) fn asking_to_play() -> Peer {
    let mut peer = idle();
    let actions = peer.call_with("play", "name").unwrap();
    assert!(matches!(actions[..], [Action::Play(_)]), "{actions:?}");
    peer
}

pub(crate) fn publishing() -> Peer {
    let mut peer = asking_to_publish();
    peer.session.publish_granted(&mut Vec::new());
    peer
}

pub(crate) fn playing() -> Peer {
    let mut peer = asking_to_play();
    peer.session.play_granted(&mut Vec::new());
    peer
}

pub(crate) fn closed() -> Peer {
    let mut peer = asking_to_play();
    peer.session.refuse("Some.Code", "why", &mut Vec::new());
    peer
}

pub(crate) fn failed() -> Peer {
    let mut peer = idle();
    peer.call("connect", &[]).unwrap_err();
    peer
}

pub(crate) fn message(type_id: u8, payload: &'static [u8]) -> RawMessage {
    RawMessage {
        type_id,
        timestamp: 40,
        message_stream_id: 1,
        payload: Bytes::from_static(payload),
    }
}

/// The messages that `actions` send.
pub(crate) fn said(actions: &[Action]) -> Vec<Said> {
    let mut all = Vec::new();
    for action in actions {
        if let Action::Send(bytes) = action {
            all.push(read(bytes));
        }
    }
    all
}

fn read(bytes: &Bytes) -> Said {
    let length = u32::from_be_bytes([0, bytes[4], bytes[5], bytes[6]]);
    let payload = bytes.slice(12..);
    assert_eq!(payload.len(), usize::try_from(length).unwrap());
    assert_eq!(bytes[..4], [bytes[0] & 0x3f, 0, 0, 0], "type 0, at 0");
    Said {
        chunk_stream: bytes[0],
        message: RawMessage {
            type_id: bytes[7],
            timestamp: 0,
            message_stream_id: u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            payload,
        },
    }
}

/// The commands that `actions` send.
pub(crate) fn commands(actions: &[Action]) -> Vec<Command> {
    let is_command = |said: &Said| said.message.type_id == type_id::COMMAND_AMF0;
    said(actions)
        .into_iter()
        .filter(is_command)
        .map(|said| Command::decode(&said.message).unwrap().unwrap())
        .collect()
}

/// The control messages that `actions` send.
pub(crate) fn controls(actions: &[Action]) -> Vec<Control> {
    said(actions)
        .iter()
        .filter_map(|said| Control::decode(&said.message))
        .collect()
}

/// Name and transaction id of each command that `actions` send.
pub(crate) fn names(actions: &[Action]) -> Vec<(String, f64)> {
    commands(actions)
        .into_iter()
        .map(|command| (command.name, command.transaction_id))
        .collect()
}

/// Level and code of each status that `actions` send.
pub(crate) fn statuses(actions: &[Action]) -> Vec<(String, String)> {
    let text = |command: &Command, name| {
        let value = command.property(1, name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    commands(actions)
        .iter()
        .filter(|command| matches!(command.name.as_str(), "onStatus" | "_error"))
        .map(|command| (text(command, "level"), text(command, "code")))
        .collect()
}

/// What `actions` hand to the hub.
pub(crate) fn delivered(actions: &[Action]) -> Vec<Media> {
    let mut all = Vec::new();
    for action in actions {
        if let Action::Deliver(media) = action {
            all.push(media.clone());
        }
    }
    all
}

/// The peer is told `code`, and then the connection ends.
pub(crate) fn assert_refused(actions: &[Action], code: &str) {
    let expected = ("error".to_owned(), code.to_owned());
    assert_eq!(statuses(actions), [expected]);
    let Some(Action::Close(Ending::Refused(why))) = actions.last() else {
        panic!("it goes on: {actions:?}");
    };
    assert_ne!(why, "", "no reason given");
    let text = commands(actions)[0].property(1, "description").cloned();
    assert_eq!(text, Some(command::string(why)));
}
