//! The publisher's and the player's side of one connection, after the handshake.

use crate::limits;
use crate::session::action::{Action, Ending, Filter, chunks};
use crate::session::connect::{self, Introduction};
use crate::session::error::SessionError;
use crate::session::media;
use crate::wire::amf0::Value;
use crate::wire::command::{self, Command, STREAM};
use crate::wire::control::Control;
use crate::wire::message::{RawMessage, type_id};
use crate::wire::name::{NameError, StreamRequest};
use crate::wire::vhost::VhostName;

/// Property of `connect` with the number of edges that the stream has passed; ours.
pub const HOPS_PROPERTY: &str = "srsLiteHops";

/// Property of `connect` that another origin of a cluster sends as true; ours.
pub const COWORKER_PROPERTY: &str = "srsLiteCoworker";

/// How a request came to us, or goes on from us, among processes of our kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Via {
    /// Edges that the stream passes on its way.
    pub hops: u32,
    /// It comes from another origin of a cluster, which wants what is published here, and no more.
    pub coworker: bool,
}

/// The server side of one RTMP connection, after the handshake.
///
/// ```text
/// AwaitConnect ─connect→ Idle ─publish→ AwaitHub ─granted→ Publishing ─deleteStream→ Idle
///                         └────play───→ AwaitHub ─granted→ Playing ─deleteStream→ Closed
///                                          └─────refused──────────────────────────→ Closed
/// ```
///
/// A connection plays once. Deviation: nothing that it could still want after that is served on
/// the same connection; no current client asks.
#[derive(Debug)]
pub struct ServerSession {
    state: State,
    /// Streams that exist: `createStream` calls less `deleteStream` calls.
    created: u32,
    /// Whether `FCPublish` came, and wants `onFCPublish`.
    fc_publish: bool,
    /// As the peer says.
    via: Via,
    introduction: Introduction,
    /// The transaction id of its `connect`.
    connect_id: f64,
    /// Of its URL.
    host: Option<VhostName>,
    /// Whether it can be asked to connect anew, and has not been.
    reconnects: bool,
    dropped: u64,
}

#[derive(Debug)]
enum State {
    AwaitConnect,
    Idle { app: String },
    AwaitHub { app: String, publish: bool },
    Publishing { app: String },
    Playing,
    Closed,
    Failed,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitConnect => "awaiting connect",
            Self::Idle { .. } => "idle",
            Self::AwaitHub { .. } => "awaiting the hub",
            Self::Publishing { .. } => "publishing",
            Self::Playing => "playing",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

impl Default for ServerSession {
    fn default() -> Self {
        Self {
            state: State::AwaitConnect,
            created: 0,
            fc_publish: false,
            via: Via::default(),
            introduction: Introduction::default(),
            connect_id: 0.0,
            host: None,
            reconnects: false,
            dropped: 0,
        }
    }
}

impl ServerSession {
    /// Advances by one message and appends what follows from it to `actions`.
    ///
    /// A refusal that the peer should hear about is sent, and followed by [`Action::Close`].
    ///
    /// # Errors
    ///
    /// The message does not belong in this state. The session accepts nothing more.
    pub fn handle(
        &mut self,
        message: RawMessage,
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionError> {
        if matches!(self.state, State::Failed) {
            return Err(unexpected("a message", &self.state));
        }
        match message.type_id {
            _ if message.payload.is_empty() => self.dropped = self.dropped.saturating_add(1),
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                let state = core::mem::replace(&mut self.state, State::Failed);
                let command = Command::decode(&message)?.ok_or(SessionError::MalformedCommand)?;
                self.state = self.command(state, &command, actions)?;
            }
            type_id::USER_CONTROL => {
                if let Some(Control::PingRequest(timestamp)) = Control::decode(&message) {
                    send(actions, &Control::PingResponse(timestamp).encode());
                }
            }
            // About the connection: who drives the session has looked at them.
            type_id::ACKNOWLEDGEMENT
            | type_id::WINDOW_ACKNOWLEDGEMENT_SIZE
            | type_id::SET_PEER_BANDWIDTH => {}
            _ => self.media(message, actions),
        }
        Ok(())
    }

    /// The hub lets the peer publish.
    pub fn publish_granted(&mut self, actions: &mut Vec<Action>) {
        let state = core::mem::replace(&mut self.state, State::Failed);
        let State::AwaitHub { app, publish: true } = state else {
            return;
        };
        let (code, description) = ("NetStream.Publish.Start", "publishing");
        if core::mem::take(&mut self.fc_publish) {
            let info = command::status_object("status", code, description);
            let message = command::encode(STREAM, "onFCPublish", 0.0, &[Value::Null, info]);
            send(actions, &message);
        }
        send(actions, &command::on_status("status", code, description));
        self.state = State::Publishing { app };
    }

    /// The hub has the stream that the peer wants to play. What is sent here comes before the
    /// opening.
    pub fn play_granted(&mut self, actions: &mut Vec<Action>) {
        let state = core::mem::replace(&mut self.state, State::Failed);
        let State::AwaitHub { publish: false, .. } = state else {
            return;
        };
        send(actions, &Control::StreamBegin(STREAM).encode());
        for (code, description) in [
            ("NetStream.Play.Reset", "resetting"),
            ("NetStream.Play.Start", "playing"),
        ] {
            send(actions, &command::on_status("status", code, description));
        }
        let mut access = Vec::new();
        command::string("|RtmpSampleAccess").encode(&mut access);
        Value::Boolean(true).encode(&mut access);
        Value::Boolean(true).encode(&mut access);
        let access = RawMessage {
            type_id: type_id::DATA_AMF0,
            timestamp: 0,
            message_stream_id: STREAM,
            payload: access.into(),
        };
        send(actions, &access);
        self.state = State::Playing;
    }

    /// Tells the peer no, or that what it had is over, and why; the session is closed then.
    pub fn refuse(&mut self, code: &str, description: &str, actions: &mut Vec<Action>) {
        send(actions, &command::on_status("error", code, description));
        actions.push(Action::Close(Ending::Refused(description.to_owned())));
        self.state = State::Closed;
    }

    /// Answers [`Action::Connect`] with no, and why; the session is closed then.
    pub fn refuse_connect(&mut self, description: &str, actions: &mut Vec<Action>) {
        let code = "NetConnection.Connect.Rejected";
        let info = command::status_object("error", code, description);
        let id = self.connect_id;
        send(
            actions,
            &command::encode(0, "_error", id, &[Value::Null, info]),
        );
        actions.push(Action::Close(Ending::Refused(description.to_owned())));
        self.state = State::Closed;
    }

    /// Asks a peer of whom [`Self::reconnects`] to connect anew, to the same URL: Enhanced RTMP,
    /// "Reconnect Request". It does so when it likes; until then everything goes on.
    pub fn ask_to_reconnect(&mut self, actions: &mut Vec<Action>) {
        if !self.reconnects() {
            return;
        }
        self.reconnects = false;
        let description = "this process is about to stop: connect again, another one answers";
        let info = command::status_object("status", command::RECONNECT_REQUEST, description);
        let message = command::encode(0, "onStatus", 0.0, &[Value::Null, info]);
        send(actions, &message);
    }

    /// Whether the peer said in its `connect` that it can be asked to connect anew, has not been
    /// yet, and has not been told no.
    pub const fn reconnects(&self) -> bool {
        self.reconnects && !matches!(self.state, State::Closed | State::Failed)
    }

    /// Messages that made no sense and were ignored, or were malformed and dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How what the peer asks for has come to us, by its `connect`.
    pub const fn via(&self) -> Via {
        self.via
    }

    /// What the peer said of itself in its `connect`.
    pub const fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    fn media(&mut self, message: RawMessage, actions: &mut Vec<Action>) {
        let publishing = matches!(self.state, State::Publishing { .. });
        let data = matches!(message.type_id, type_id::DATA_AMF0 | type_id::DATA_AMF3);
        if !publishing || (message.message_stream_id != STREAM && !data) {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let mut media = Vec::new();
        self.dropped = self
            .dropped
            .saturating_add(media::decode(message, &mut media));
        actions.extend(media.into_iter().map(Action::Deliver));
    }

    fn command(
        &mut self,
        state: State,
        command: &Command,
        actions: &mut Vec<Action>,
    ) -> Result<State, SessionError> {
        if command.name == "deleteStream" && self.created > 1 {
            // The last one stays: encoders publish again on it.
            self.created = self.created.saturating_sub(1);
        }
        match (state, command.name.as_str()) {
            (State::AwaitConnect, "connect") => Ok(self.connect(command, actions)),
            (
                state @ (State::AwaitConnect
                | State::AwaitHub { .. }
                | State::Closed
                | State::Failed),
                _,
            ) => Err(unexpected("a command", &state)),
            (state, "createStream") => {
                self.created = self.created.saturating_add(1);
                if self.created > limits::MAX_CREATE_STREAMS {
                    return Err(SessionError::TooManyStreams);
                }
                let id = Value::Number(f64::from(STREAM));
                answer(command, &[Value::Null, id], actions);
                Ok(state)
            }
            (State::Idle { app }, "publish") => Ok(self.publish(app, command, actions)),
            (State::Idle { app }, "play") => Ok(self.play(app, command, actions)),
            (State::Publishing { app }, "FCUnpublish" | "closeStream" | "deleteStream") => {
                actions.push(Action::Unpublish);
                answer_null(command, actions);
                let (code, description) = ("NetStream.Unpublish.Success", "unpublished");
                send(actions, &command::on_status("status", code, description));
                Ok(State::Idle { app })
            }
            (State::Playing, "closeStream" | "deleteStream" | "play" | "publish") => {
                actions.push(Action::Close(Ending::Done));
                Ok(State::Closed)
            }
            (State::Playing, name @ ("pause" | "receiveAudio" | "receiveVideo" | "seek")) => {
                playing(name, command, actions);
                Ok(State::Playing)
            }
            (state, "connect") => Err(unexpected("connect", &state)),
            (state @ State::Publishing { .. }, "publish") => Err(unexpected("publish", &state)),
            (state @ State::Publishing { .. }, "play") => Err(unexpected("play", &state)),
            (state, name) => {
                self.fc_publish |= name == "FCPublish";
                if name == "getStreamLength" {
                    answer(command, &[Value::Null, Value::Number(0.0)], actions);
                } else {
                    answer_null(command, actions);
                }
                Ok(state)
            }
        }
    }

    /// [RTMP §7.2.1.1]
    fn connect(&mut self, command: &Command, actions: &mut Vec<Action>) -> State {
        let property = |name| command.property(0, name);
        let app = property("app").and_then(Value::as_str).unwrap_or_default();
        self.connect_id = command.transaction_id;
        let window = limits::ACK_WINDOW;
        let chunk_size = u32::try_from(limits::OUR_CHUNK_SIZE).unwrap_or(u32::MAX);
        send(
            actions,
            &Control::WindowAcknowledgementSize(window).encode(),
        );
        send(actions, &Control::SetPeerBandwidth(window).encode());
        // Before the answer: OBS and others take the answer for the end of the negotiation.
        send(actions, &Control::SetChunkSize(chunk_size).encode());
        let url = property("tcUrl").and_then(Value::as_str);
        self.host = url.and_then(VhostName::of_url);
        let hops = property(HOPS_PROPERTY).and_then(Value::as_number);
        self.via.hops = (0..=limits::MAX_EDGE_HOPS)
            .find(|&count| hops.is_none_or(|hops| hops <= f64::from(count)))
            .unwrap_or(u32::MAX);
        self.via.coworker = property(COWORKER_PROPERTY) == Some(&Value::Boolean(true));
        let refused = if app.trim_matches('/').is_empty() {
            Some("no application: use rtmp://host/app/stream")
        } else if self.via.hops > limits::MAX_EDGE_HOPS {
            Some("the edges form a loop: an edge's origin must not lead back to it")
        } else {
            None
        };
        if let Some(description) = refused {
            self.refuse_connect(description, actions);
            return State::Closed;
        }
        self.introduction = Introduction::of(command);
        self.reconnects = connect::reconnects(command);
        actions.push(Action::Connect);
        answer(command, &connect::answer(command), actions);
        State::Idle {
            app: app.to_owned(),
        }
    }

    /// [RTMP §7.2.2.6]
    fn publish(&mut self, app: String, command: &Command, actions: &mut Vec<Action>) -> State {
        match self.request(&app, command) {
            Ok(request) => {
                actions.push(Action::Publish(request));
                State::AwaitHub { app, publish: true }
            }
            Err(reason) => {
                self.refuse("NetStream.Publish.BadName", &reason, actions);
                State::Closed
            }
        }
    }

    /// [RTMP §7.2.2.1]
    fn play(&mut self, app: String, command: &Command, actions: &mut Vec<Action>) -> State {
        match self.request(&app, command) {
            Ok(request) => {
                actions.push(Action::Play(request));
                State::AwaitHub {
                    app,
                    publish: false,
                }
            }
            Err(reason) => {
                self.refuse("NetStream.Play.StreamNotFound", &reason, actions);
                State::Closed
            }
        }
    }

    fn request(&self, app: &str, command: &Command) -> Result<StreamRequest, String> {
        if self.created == 0 {
            return Err("createStream must come first".to_owned());
        }
        let request = StreamRequest::parse(self.host.as_ref(), app, command.string(1));
        request.map_err(|error: NameError| error.to_string())
    }
}

/// What a player may ask for while it plays.
fn playing(name: &str, command: &Command, actions: &mut Vec<Action>) {
    answer_null(command, actions);
    let flag = command.boolean(1).unwrap_or(true);
    let (level, code, description) = match name {
        "pause" if flag => ("status", "NetStream.Pause.Notify", "paused"),
        "pause" => ("status", "NetStream.Unpause.Notify", "playing"),
        "receiveAudio" => return actions.push(Action::Filter(Filter::Audio, !flag)),
        "receiveVideo" => return actions.push(Action::Filter(Filter::Video, !flag)),
        _ => (
            "error",
            "NetStream.Seek.Failed",
            "a live stream cannot seek",
        ),
    };
    if name == "pause" {
        actions.push(Action::Filter(Filter::All, flag));
    }
    send(actions, &command::on_status(level, code, description));
}

/// Answers a call that asks for an answer.
fn answer(command: &Command, arguments: &[Value], actions: &mut Vec<Action>) {
    if command.transaction_id != 0.0 {
        let id = command.transaction_id;
        send(actions, &command::encode(0, "_result", id, arguments));
    }
}

fn answer_null(command: &Command, actions: &mut Vec<Action>) {
    answer(command, &[Value::Null, Value::Undefined], actions);
}

fn send(actions: &mut Vec<Action>, message: &RawMessage) {
    actions.push(Action::Send(chunks(message)));
}

const fn unexpected(message: &'static str, state: &State) -> SessionError {
    SessionError::Unexpected {
        message,
        state: state.name(),
    }
}
