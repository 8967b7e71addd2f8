//! The edge's side of a connection to an origin, after the handshake.

use bytes::Bytes;

use crate::limits;
use crate::session::action::chunks;
use crate::session::connect::caps_ex;
use crate::session::error::SessionError;
use crate::session::media::{self, Media};
use crate::session::server::{COWORKER_PROPERTY, HOPS_PROPERTY, Via};
use crate::wire::amf0::Value;
use crate::wire::command::{self, Command, STREAM};
use crate::wire::control::Control;
use crate::wire::message::{RawMessage, type_id};

/// What we want of an origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRequest {
    /// Publish there, or play from there.
    pub purpose: Purpose,
    /// `host:port` of the origin, for the `tcUrl`.
    pub host: String,
    /// The vhost, for the `tcUrl` in its place.
    pub vhost: Option<String>,
    /// Application, with its query string if it has one.
    pub app: String,
    /// Stream name, with its query string if it has one.
    pub stream: String,
    /// How it goes on from here: the edges that the stream passes, this one included.
    pub via: Via,
}

/// The direction of the media.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To the origin.
    Publish,
    /// From the origin.
    Play,
}

/// What the origin made of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Write these bytes.
    Send(Bytes),
    /// We may publish on this message stream, or media will come.
    Granted(u32),
    /// The origin says no: code and description, as it sent them.
    Refused(String, String),
    /// It says no, and where the stream is: the URL as the origin sent it, maybe with our queries.
    Redirect(String),
    /// The origin asks us to connect anew: it is about to stop, and goes on until then.
    Reconnect,
    /// A message of the stream that we play.
    Deliver(Media),
    /// The origin says that the stream is over.
    Ended,
}

/// The client side of one RTMP connection, after the handshake.
///
/// ```text
/// Connecting ─_result→ Creating ─_result→ Asking ─onStatus→ Granted ─onStatus→ Over
/// ```
#[derive(Debug)]
pub struct ClientSession {
    request: ClientRequest,
    state: State,
    /// Given by `createStream`.
    message_stream_id: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Connecting,
    Creating,
    Asking,
    Granted,
    Over,
}

const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;
const ASK: f64 = 5.0;

impl ClientSession {
    /// Starts with `connect`.
    pub fn new(request: ClientRequest, events: &mut Vec<Event>) -> Self {
        let chunk_size = u32::try_from(limits::OUR_CHUNK_SIZE).unwrap_or(u32::MAX);
        send(events, &Control::SetChunkSize(chunk_size).encode());
        let text = command::string;
        let host = request.vhost.as_ref().unwrap_or(&request.host);
        let mut properties = vec![
            ("app", text(&request.app)),
            ("flashVer", text("FMLE/3.0 (compatible; srs-lite)")),
            ("tcUrl", text(&format!("rtmp://{host}/{}", request.app))),
            ("fourCcList", Value::StrictArray(vec![text("*")])),
            (HOPS_PROPERTY, Value::Number(f64::from(request.via.hops))),
        ];
        if request.via != Via::default() {
            // Who relays connects anew when it is asked to; who measures does not.
            properties.push(("capsEx", Value::Number(f64::from(caps_ex::OURS))));
        }
        if request.via.coworker {
            properties.push((COWORKER_PROPERTY, Value::Boolean(true)));
        }
        if request.purpose == Purpose::Publish {
            properties.insert(1, ("type", text("nonprivate")));
        }
        let properties = command::object(&properties);
        send(
            events,
            &command::encode(0, "connect", CONNECT, &[properties]),
        );
        Self {
            request,
            state: State::Connecting,
            message_stream_id: STREAM,
        }
    }

    /// Advances by one message and appends what follows from it to `events`.
    ///
    /// # Errors
    ///
    /// The origin broke the protocol.
    pub fn handle(
        &mut self,
        message: RawMessage,
        events: &mut Vec<Event>,
    ) -> Result<(), SessionError> {
        match message.type_id {
            _ if message.payload.is_empty() => {}
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                let command = Command::decode(&message)?.ok_or(SessionError::MalformedCommand)?;
                self.command(&command, events);
            }
            type_id::USER_CONTROL => match Control::decode(&message) {
                Some(Control::PingRequest(timestamp)) => {
                    send(events, &Control::PingResponse(timestamp).encode());
                }
                Some(Control::StreamEof(_)) if self.state == State::Granted => self.end(events),
                _ => {}
            },
            _ if self.request.purpose == Purpose::Play && self.state == State::Granted => {
                // |RtmpSampleAccess is for the player of this connection; ours get their own.
                let access = message
                    .payload
                    .starts_with(b"\x02\x00\x11|RtmpSampleAccess");
                if !access {
                    let mut media = Vec::new();
                    media::decode(message, &mut media);
                    events.extend(media.into_iter().map(Event::Deliver));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What we say before we leave: the stream that we published is over.
    pub fn unpublish(&self, events: &mut Vec<Event>) {
        let name = command::string(&self.request.stream);
        send(
            events,
            &command::encode(0, "FCUnpublish", 6.0, &[Value::Null, name]),
        );
        let id = Value::Number(f64::from(self.message_stream_id));
        send(
            events,
            &command::encode(0, "deleteStream", 7.0, &[Value::Null, id]),
        );
    }

    fn command(&mut self, command: &Command, events: &mut Vec<Event>) {
        match (self.state, command.name.as_str()) {
            (State::Connecting, "_result") if command.transaction_id == CONNECT => {
                self.create_stream(events);
            }
            (State::Creating, "_result") if command.transaction_id == CREATE_STREAM => {
                self.ask(command, events);
            }
            // Origins refuse the calls that only some of them know (2, 3): that means nothing.
            (State::Connecting | State::Creating | State::Asking, "_error")
                if [CONNECT, CREATE_STREAM, ASK].contains(&command.transaction_id) =>
            {
                self.refused(command, events);
            }
            (_, "onStatus") => self.status(command, events),
            _ => {}
        }
    }

    fn create_stream(&mut self, events: &mut Vec<Event>) {
        if self.request.purpose == Purpose::Publish {
            let name = command::string(&self.request.stream);
            let arguments = [Value::Null, name];
            send(
                events,
                &command::encode(0, "releaseStream", 2.0, &arguments),
            );
            send(events, &command::encode(0, "FCPublish", 3.0, &arguments));
        }
        send(
            events,
            &command::encode(0, "createStream", CREATE_STREAM, &[Value::Null]),
        );
        self.state = State::Creating;
    }

    fn ask(&mut self, command: &Command, events: &mut Vec<Event>) {
        let id = command.arguments.get(1).and_then(Value::as_number);
        // Through text, which has no number that wraps. Origins count as they like, from 1.
        let id = id.and_then(|id| id.to_string().parse().ok());
        self.message_stream_id = id.filter(|&id| id != 0).unwrap_or(STREAM);
        let stream = command::string(&self.request.stream);
        let message = match self.request.purpose {
            Purpose::Publish => {
                let arguments = [Value::Null, stream, command::string("live")];
                command::encode(self.message_stream_id, "publish", ASK, &arguments)
            }
            Purpose::Play => {
                let arguments = [Value::Null, stream, Value::Number(-2000.0)];
                command::encode(self.message_stream_id, "play", ASK, &arguments)
            }
        };
        send(events, &message);
        self.state = State::Asking;
    }

    fn status(&mut self, command: &Command, events: &mut Vec<Event>) {
        let text = |name| command.property(1, name).and_then(Value::as_str);
        let code = text("code").unwrap_or_default();
        let error = text("level") == Some("error");
        match (self.state, code) {
            (State::Over, _) => {}
            (_, command::RECONNECT_REQUEST) => events.push(Event::Reconnect),
            _ if redirection(command).is_some() => self.refused(command, events),
            (State::Granted, _) if error => self.refused(command, events),
            (State::Granted, "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop") => {
                self.end(events);
            }
            (State::Asking, "NetStream.Publish.Start" | "NetStream.Play.Start") => {
                self.state = State::Granted;
                events.push(Event::Granted(self.message_stream_id));
            }
            (_, code) if error || code.ends_with("NotFound") || code.ends_with("BadName") => {
                self.refused(command, events);
            }
            _ => {}
        }
    }

    fn refused(&mut self, command: &Command, events: &mut Vec<Event>) {
        self.state = State::Over;
        if let Some(url) = redirection(command) {
            events.push(Event::Redirect(url.to_owned()));
            return;
        }
        let text = |name| command.property(1, name).and_then(Value::as_str);
        let code = self.without_queries(text("code").unwrap_or_default());
        let description = self.without_queries(text("description").unwrap_or_default());
        events.push(Event::Refused(code, description));
    }

    /// What the origin says, which is logged, without our queries, which may be secrets.
    fn without_queries(&self, text: &str) -> String {
        let asked = [&self.request.app, &self.request.stream];
        let queries = asked.into_iter().filter_map(|name| name.split_once('?'));
        let mut text = text.to_owned();
        for (_, query) in queries.filter(|(_, query)| !query.is_empty()) {
            text = text.replace(query, "...");
        }
        text
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        events.push(Event::Ended);
        self.state = State::Over;
    }
}

/// SRS's "RTMP 302": where the stream is. `redirect2` has all of its URL; `redirect`, which is all
/// that old versions say, may end with the application.
fn redirection(command: &Command) -> Option<&str> {
    const CODE: f64 = 302.0;
    let ex = command.property(1, "ex")?;
    let is_redirection = ex.property("code").and_then(Value::as_number) == Some(CODE);
    let text = |name| ex.property(name).and_then(Value::as_str);
    text("redirect2")
        .or_else(|| text("redirect"))
        .filter(|_| is_redirection)
}

fn send(events: &mut Vec<Event>, message: &RawMessage) {
    events.push(Event::Send(chunks(message)));
}
