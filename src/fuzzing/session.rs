//! The bodies of the fuzz targets `command`, `session` and `client_session`.

use core::iter;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{encode, reads};
use crate::hub::frame::{Frame, Kind};
use crate::hub::registry::{Attached, Publisher, Registry};
use crate::limits;
use crate::session::acknowledgement::Acknowledger;
use crate::session::action::Action;
use crate::session::assembler::Assembler;
use crate::session::client::{ClientRequest, ClientSession, Event, Purpose};
use crate::session::error::SessionError;
use crate::session::media::Media;
use crate::session::server::ServerSession;
use crate::session::server::Via;
use crate::wire::amf0::{self, Value};
use crate::wire::command::{self, Command};
use crate::wire::control::Control;
use crate::wire::message::{RawMessage, type_id};
use crate::wire::name::StreamRequest;

/// A command is a name, a number and the rest of the values, says itself again, and is the same in
/// a message of AMF3; a control message says itself again. The input is a type id and a body.
pub fn command(data: &[u8]) {
    let Some((&type_id, body)) = data.split_first() else {
        return;
    };
    let message = |type_id, payload: &[u8]| RawMessage {
        type_id,
        timestamp: 0,
        message_stream_id: 0,
        payload: Bytes::copy_from_slice(payload),
    };
    if let Some(control) = Control::decode(&message(type_id, body)) {
        let again = control.encode();
        assert_eq!(Control::decode(&again), Some(control));
        assert!(again.type_id == type_id && again.payload.get(..4) == body.get(..4));
    }
    let decoded = Command::decode(&message(type_id::COMMAND_AMF0, body));
    let other = Command::decode(&message(type_id::COMMAND_AMF3, &[&[0], body].concat()));
    assert_eq!(format!("{other:?}"), format!("{decoded:?}"));
    let values = amf0::decode_all(body);
    assert_eq!(values.as_ref().err(), decoded.as_ref().err());
    let values = values.unwrap_or_default();
    let is_command = matches!(values[..], [Value::String(_), Value::Number(_), ..]);
    let Ok(Some(command)) = decoded else {
        assert!(!is_command);
        return;
    };
    let (name, id, arguments) = (&command.name, command.transaction_id, &command.arguments);
    let again = command::encode(0, name, id, arguments);
    assert_eq!(again.payload, encode(&values), "not what was said");
    for index in 0..=arguments.len() {
        let argument = arguments.get(index);
        let text = argument.and_then(Value::as_str).unwrap_or_default();
        assert_eq!(command.string(index), text);
        assert_eq!(command.boolean(index), argument.and_then(Value::as_bool));
    }
}

/// Whatever a peer sends and the hub answers: a name is taken while and only while its publisher is
/// there, and free at the end; nothing but answers to pings is said before `connect`; all that is
/// said can be read; after an error nothing is; and how the bytes are cut into reads changes
/// nothing. To a session a timeout is the end of the input.
///
/// The input is how often the hub says yes, after how many messages somebody else takes the name
/// over, three lengths of reads, and what the peer sends after the handshake.
pub fn session(data: &[u8]) {
    let Some((&[yes, rival, lengths @ ..], bytes)) = data.split_first_chunk::<5>() else {
        return;
    };
    let whole = Peer::run(iter::once(bytes), yes, rival);
    assert_eq!(Peer::run(reads(bytes, lengths), yes, rival), whole);
    assert_eq!(Peer::run(bytes.chunks(1), yes, rival), whole);
}

/// One connection, and its hub.
struct Peer {
    session: ServerSession,
    assembler: Assembler,
    registry: Arc<Registry<()>>,
    publisher: Option<Publisher<()>>,
    player: Option<Attached<()>>,
    /// Comes after so many messages.
    rival: (u8, Option<Publisher<()>>),
    yes: u8,
    connected: bool,
    over: bool,
    /// All that was done.
    trace: Vec<Action>,
}

impl Peer {
    fn run<'a>(
        reads: impl Iterator<Item = &'a [u8]>,
        yes: u8,
        rival: u8,
    ) -> (Vec<Action>, Result<(), SessionError>) {
        let registry = Arc::new(Registry::new(|_| 64));
        let mut peer = Self {
            session: ServerSession::default(),
            assembler: Assembler::default(),
            registry: Arc::clone(&registry),
            publisher: None,
            player: None,
            rival: (rival, None),
            yes,
            connected: false,
            over: false,
            trace: Vec::new(),
        };
        let result = peer.receive(reads);
        let trace = core::mem::take(&mut peer.trace);
        assert_readable(trace.iter().filter_map(|action| {
            if let Action::Send(bytes) = action {
                Some(bytes)
            } else {
                None
            }
        }));
        drop(peer);
        assert_eq!(registry.count(), 0, "a name stays taken");
        (trace, result)
    }

    /// As the thread of a connection does it.
    fn receive<'a>(&mut self, reads: impl Iterator<Item = &'a [u8]>) -> Result<(), SessionError> {
        let mut acknowledger = Acknowledger::default();
        let mut unacknowledged = 0_usize;
        let mut input = BytesMut::new();
        for read in reads {
            unacknowledged = unacknowledged.saturating_add(read.len());
            if acknowledger.received(read.len()).is_some() {
                assert!(unacknowledged >= 32 * 1024, "for every byte");
                unacknowledged = 0;
            }
            input.extend_from_slice(read);
            while let Some(message) = self.assembler.next_message(&mut input)? {
                acknowledger.heed(&message);
                self.hear(message)?;
                if self.over {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: RawMessage) -> Result<(), SessionError> {
        let ping = message.type_id == type_id::USER_CONTROL;
        self.connected |= matches!(
            message.type_id,
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3
        );
        let mut actions = Vec::new();
        if let Err(error) = self.session.handle(message, &mut actions) {
            let ping = Control::PingRequest(0).encode();
            let again = self.session.handle(ping, &mut actions);
            assert!(again.is_err() && actions.is_empty(), "it goes on");
            return Err(error);
        }
        assert!(
            self.connected || ping || actions.is_empty(),
            "to a stranger"
        );
        assert!(actions.len() <= limits::MAX_AGGREGATE_MESSAGES);
        let end = actions
            .iter()
            .position(|action| matches!(action, Action::Close(_)));
        assert!(end.is_none_or(|end| end.saturating_add(1) == actions.len()));
        self.act(actions);
        self.ask_to_reconnect();
        let kept = self.publisher.is_some() || self.player.is_some();
        let taken = self.registry.count() > 0;
        assert!(
            taken == kept || self.over,
            "a name is taken in vain, or not taken"
        );
        Ok(())
    }

    /// As a thread does it while the process drains.
    fn ask_to_reconnect(&mut self) {
        let can = self.session.reconnects();
        assert!(self.connected || !can, "of a stranger");
        let mut actions = Vec::new();
        self.session.ask_to_reconnect(&mut actions);
        assert!(actions.len() == usize::from(can) && !self.session.reconnects());
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            if self.over {
                return;
            }
            self.trace.push(action.clone());
            match action {
                Action::Send(_) => {}
                Action::Connect => self.connect(),
                Action::Publish(request) => self.publish(&request),
                Action::Play(request) => self.play(&request),
                Action::Deliver(media) => self.deliver(media),
                Action::Unpublish => assert!(self.publisher.take().is_some()),
                Action::Filter(..) => assert!(self.player.is_some()),
                Action::Close(_) => self.over = true,
            }
        }
    }

    /// One number of the answers is no to that, and to all.
    fn connect(&mut self) {
        if self.yes == u8::MAX {
            let mut actions = Vec::new();
            self.session.refuse_connect("no", &mut actions);
            self.act(actions);
            assert!(self.over, "it is let in");
        }
    }

    fn publish(&mut self, request: &StreamRequest) {
        assert!(self.publisher.is_none() && self.player.is_none());
        let mut actions = Vec::new();
        if self.says_yes() {
            self.publisher = self.registry.publish(&request.path.to_string(), false).ok();
            assert!(self.publisher.is_some(), "a name stays taken");
            self.assembler.trust();
            self.session.publish_granted(&mut actions);
        } else {
            let code = "NetStream.Publish.BadName";
            self.session.refuse(code, "no", &mut actions);
        }
        self.act(actions);
    }

    fn play(&mut self, request: &StreamRequest) {
        assert!(self.publisher.is_none() && self.player.is_none());
        let mut actions = Vec::new();
        if self.says_yes() {
            self.player = self.registry.attach(&request.path.to_string()).ok();
            self.session.play_granted(&mut actions);
        } else {
            let code = "NetStream.Play.StreamNotFound";
            self.session.refuse(code, "no", &mut actions);
        }
        self.act(actions);
    }

    fn says_yes(&mut self) -> bool {
        let yes = self.yes > 0;
        self.yes = self.yes.saturating_sub(1);
        yes
    }

    fn deliver(&mut self, media: Media) {
        assert!(self.publisher.is_some(), "of no stream");
        let Some(publisher) = &self.publisher else {
            return;
        };
        let (after, rival) = &mut self.rival;
        if *after == 0 {
            *rival = self.registry.publish(&publisher.stream.path, true).ok();
        }
        *after = after.saturating_sub(1);
        // Whatever it is: the hub does not look inside.
        let frame = Frame::new(
            Kind::Data,
            media.slot,
            media.type_id,
            media.timestamp,
            media.payload,
        );
        let delivered = publisher.deliver(frame, Instant::now());
        assert_eq!(delivered.is_err(), rival.is_some(), "whose turn is it?");
        if delivered.is_err() {
            let mut actions = Vec::new();
            let code = "NetStream.Publish.BadName";
            self.session.refuse(code, "taken over", &mut actions);
            self.act(actions);
        }
    }
}

/// Whatever an origin sends: we ask for one thing after the other; media comes after the yes and for
/// a player only; after a no, which repeats no query of ours, or the end nothing comes; all that we
/// say can be read; and how the bytes are cut into reads changes nothing.
///
/// The input is whether we publish, three lengths of reads, and what comes after the handshake.
pub fn client_session(data: &[u8]) {
    let Some((&[publishes, lengths @ ..], bytes)) = data.split_first_chunk::<4>() else {
        return;
    };
    let purpose = if publishes & 1 == 0 {
        Purpose::Play
    } else {
        Purpose::Publish
    };
    let whole = ask(iter::once(bytes), purpose);
    assert_eq!(ask(reads(bytes, lengths), purpose), whole);
    assert_eq!(ask(bytes.chunks(1), purpose), whole);
}

fn ask<'a>(
    reads: impl Iterator<Item = &'a [u8]>,
    purpose: Purpose,
) -> (Vec<Event>, Result<(), SessionError>) {
    let request = ClientRequest {
        vhost: None,
        purpose,
        host: "origin:1935".to_owned(),
        app: "live?token=app".to_owned(),
        stream: "livestream?token=stream".to_owned(),
        via: Via::default(),
    };
    let mut events = Vec::new();
    let mut session = ClientSession::new(request, &mut events);
    let result = listen(reads, &mut session, &mut events);
    let mut last = Vec::new();
    session.unpublish(&mut last);
    let sends = events.iter().chain(&last);
    let said = assert_readable(sends.filter_map(|event| {
        if let Event::Send(bytes) = event {
            Some(bytes)
        } else {
            None
        }
    }));
    assert_asked(&said, purpose);
    let (mut granted, mut over) = (false, false);
    for event in &events {
        assert!(!over || matches!(event, Event::Send(_)), "after the end");
        match event {
            Event::Send(_) => {}
            Event::Granted(_) => assert!(!core::mem::replace(&mut granted, true)),
            Event::Deliver(_) => assert!(granted && purpose == Purpose::Play),
            Event::Reconnect => {}
            Event::Redirect(_) => over = true,
            Event::Refused(code, description) => {
                let text = format!("{code} {description}");
                assert!(!text.contains("token=app") && !text.contains("token=stream"));
                over = true;
            }
            Event::Ended => {
                assert!(granted);
                over = true;
            }
        }
    }
    (events, result)
}

/// As the edge does it.
fn listen<'a>(
    reads: impl Iterator<Item = &'a [u8]>,
    session: &mut ClientSession,
    events: &mut Vec<Event>,
) -> Result<(), SessionError> {
    let mut assembler = Assembler::default();
    assembler.trust();
    let mut input = BytesMut::new();
    for read in reads {
        input.extend_from_slice(read);
        while let Some(message) = assembler.next_message(&mut input)? {
            session.handle(message, events)?;
        }
    }
    Ok(())
}

fn assert_asked(said: &[RawMessage], purpose: Purpose) {
    let all: &[&str] = match purpose {
        Purpose::Play => &["connect", "createStream", "play"],
        Purpose::Publish => &[
            "connect",
            "releaseStream",
            "FCPublish",
            "createStream",
            "publish",
        ],
    };
    let commands = said.iter().filter(|m| m.type_id == type_id::COMMAND_AMF0);
    let decoded = commands.flat_map(|message| Command::decode(message).ok().flatten());
    let names: Vec<_> = decoded.map(|command| command.name).collect();
    let (asked, last) = names.split_at(names.len().saturating_sub(2));
    assert!(asked.len() <= all.len() && all.iter().zip(asked).all(|(one, other)| one == other));
    assert_eq!(last, ["FCUnpublish", "deleteStream"]);
}

/// The messages that we sent, all of which are whole.
fn assert_readable<'a>(sends: impl Iterator<Item = &'a Bytes>) -> Vec<RawMessage> {
    let mut assembler = Assembler::default();
    assembler.trust();
    let mut input: BytesMut = sends.flatten().copied().collect();
    let mut messages = Vec::new();
    while let Ok(Some(message)) = assembler.next_message(&mut input) {
        messages.push(message);
    }
    assert!(!assembler.is_in_message(&input), "a part of a message");
    messages
}
