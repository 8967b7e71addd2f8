//! One HTTP connection: read → parse → answer, until one side is done.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BytesMut};
use log::debug;

use crate::config::{Access, DEFAULT_VHOST, key_of};
use crate::limits;
use crate::server::Server;
use crate::server::activity::{Activity, How};
use crate::server::connection::{Connection, deadline};
use crate::server::error::ConnectionError;
use crate::server::play::{self, Denied, Found};
use crate::server::port::Protocol;
use crate::session::connect::Introduction;
use crate::session::server::Via;
use crate::wire::http::{Head, Method, Request, reason};
use crate::wire::http_path::{HttpPath, Kind};
use crate::wire::name::{StreamPath, StreamRequest};
use crate::wire::vhost::{self, VhostName};

mod files;
mod flv;
mod index;

/// Serves one connection to its end. The body of its thread.
pub fn serve(server: &Arc<Server>, connection: &Arc<Connection>) {
    let begun = Instant::now();
    let mut peer = Peer {
        server,
        connection,
        requests: 0,
        refused: 0,
    };
    let result = match peer.converse() {
        Ok(Done::Plays(found)) => match flv::serve(server, connection, found) {
            Ok(()) => return,
            Err(error) => Err(error),
        },
        Ok(Done::Ended(why)) => Ok(why),
        Err(error) => Err(error),
    };
    connection.set_left();
    let seconds = begun.elapsed().as_secs_f64();
    let why = match &result {
        Ok(why) => (*why).to_owned(),
        Err(error) => error.to_string(),
    };
    let Peer {
        requests, refused, ..
    } = peer;
    debug!(
        "{connection}: http ended after {seconds:.1} s, {requests} requests, {refused} refused: \
         {why}"
    );
    match result {
        Ok(_) => connection.linger(),
        Err(_) => connection.reset("it failed"),
    }
}

/// What the thread of a connection knows.
struct Peer<'s> {
    server: &'s Arc<Server>,
    connection: &'s Arc<Connection>,
    requests: u64,
    refused: u64,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: Head,
    pub(super) body: Body,
}

pub(super) enum Body {
    /// None, whatever was asked.
    Nothing,
    /// Its length is in the head already, as for the next.
    Bytes(Vec<u8>),
    File(File, Range<u64>),
}

/// How a conversation ends.
enum Done {
    /// With the connection; why.
    Ended(&'static str),
    /// With a player.
    Plays(Found),
}

/// What the thread does after an answer.
enum Next {
    Read,
    Play(Found),
    End,
}

impl Peer<'_> {
    /// Answers requests until the connection is done, or plays.
    fn converse(&mut self) -> Result<Done, ConnectionError> {
        let mut input = BytesMut::new();
        let mut until = deadline(limits::HTTP_HEAD_DEADLINE);
        loop {
            let (request, length) = match Request::parse(&input) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    let is_first = input.is_empty();
                    match self.read(&mut input, until) {
                        Ok(0) => return Ok(Done::Ended("closed by peer")),
                        Ok(_) if is_first && self.requests > 0 => {
                            until = deadline(limits::HTTP_HEAD_DEADLINE);
                        }
                        Ok(_) => {}
                        Err(error) if error.kind() != ErrorKind::TimedOut => {
                            return Err(error.into());
                        }
                        Err(_) if is_first => return Ok(Done::Ended("idle")),
                        Err(_) => return self.refuse(408),
                    }
                    continue;
                }
                Err(error) => return self.refuse(error.status()),
            };
            self.requests = self.requests.saturating_add(1);
            match self.answer(&request)? {
                Next::Read => {}
                Next::Play(found) => return Ok(Done::Plays(found)),
                Next::End => return Ok(Done::Ended("done")),
            }
            input.advance(length);
            until = deadline(if input.is_empty() {
                limits::HTTP_IDLE_DEADLINE
            } else {
                limits::HTTP_HEAD_DEADLINE
            });
        }
    }

    fn read(&self, input: &mut BytesMut, until: Instant) -> io::Result<usize> {
        let mut buffer = [0; limits::HTTP_READ_BYTES];
        let length = self.connection.read(&mut buffer, until)?;
        input.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }

    /// Says no to what is no request that we take; the connection ends.
    fn refuse(&mut self, status: u16) -> Result<Done, ConnectionError> {
        let mut answer = Answer::text(status, reason(status));
        if status == 405 {
            answer.head = answer.head.field("Allow", self.methods());
        }
        self.send(answer, false, false)?;
        Ok(Done::Ended(reason(status)))
    }

    fn methods(&self) -> &'static str {
        match self.connection.protocol {
            Protocol::Api => API_METHODS,
            Protocol::Rtmp | Protocol::Http | Protocol::Sibling => METHODS,
        }
    }

    fn answer(&mut self, request: &Request<'_>) -> io::Result<Next> {
        if self.connection.protocol == Protocol::Api {
            let api = self.server.features.api.as_ref();
            let answer = api.and_then(|api| api.answer(self.server, self.connection, request));
            // What else is asked for here is for the page: so its player needs no other origin.
            if let Some(answer) = answer.or_else(|| self.page(request, true)) {
                return self.reply(request, answer);
            }
            // Who plays has a place among players: the API's are for who asks it.
            if let Err(no_room) = self.connection.move_to(Protocol::Http) {
                let answer = Answer::text(503, &format!("no room for a player: {no_room}"));
                self.server.shed(no_room);
                return self.send(answer, request.keep_alive, request.method == Method::Head);
            }
        }
        let config = self.server.config();
        let is_vhost = |name: &VhostName| config.vhosts.contains_key(name.as_str());
        let by_query = vhost::named_in(&[request.query]);
        let host = || request.host.and_then(VhostName::of_authority);
        let named = by_query.map_or_else(host, VhostName::parse);
        let named = named.filter(is_vhost);
        let path = HttpPath::parse(request.path, named.as_ref(), is_vhost);
        let answer = match path.zip(config.http_server.as_ref()) {
            _ if request.method == Method::Options => options(),
            _ if request.method == Method::Delete => not_allowed(METHODS),
            None => not_found(),
            Some((path, http)) => match &path.kind {
                Kind::Flv(stream) if config.vhost(stream.vhost()).remux => {
                    return self.play(request, stream);
                }
                Kind::Flv(_) | Kind::File => http
                    .index
                    .then(|| self.page(request, false))
                    .flatten()
                    .unwrap_or_else(|| files::answer(&http.dir, &path, request, (None, None))),
                Kind::Index => {
                    let ip = self.connection.peer.ip();
                    let vhost = config.vhost(named.as_ref().map(VhostName::as_str));
                    match vhost.security.check(Access::Play, ip) {
                        Err(refusal) => Answer::text(403, &refusal.to_string()),
                        Ok(()) => index::answer(self, http, request),
                    }
                }
                Kind::Playlist(stream) | Kind::Segment(stream) => {
                    let by_query = named.as_ref().filter(|_| by_query.is_some());
                    let answer = self.hls(&http.dir, (&path, stream), request, by_query);
                    let before = self.connection.traffic.sent();
                    let next = self.reply(request, answer);
                    // If it is published to another process, it is not counted for the stream.
                    if let Some(stream) = self.server.registry.stream(&stream.to_string()) {
                        self.connection.count_for(&stream.traffic, before);
                    }
                    return next;
                }
            },
        };
        self.reply(request, answer)
    }

    fn reply(&mut self, request: &Request<'_>, answer: Answer) -> io::Result<Next> {
        self.send(answer, request.keep_alive, request.method == Method::Head)
    }

    /// A playlist or a segment, to who may play the stream. `by_query`: the vhost that the query names.
    fn hls(
        &self,
        dir: &Path,
        (path, stream): (&HttpPath<'_>, &StreamPath),
        request: &Request<'_>,
        by_query: Option<&VhostName>,
    ) -> Answer {
        let queries = [request.query, ""];
        let permit = self
            .server
            .permit(Access::Play, self.connection, stream, queries);
        let by_key = match permit {
            Err(denial) => return Answer::text(403, &denial.to_string()),
            Ok(by_key) => by_key,
        };
        let key = key_of(request.query).filter(|_| by_key);
        let answer = files::answer(dir, path, request, (key, by_query));
        if matches!(path.kind, Kind::Playlist(_)) && answer.status < 400 {
            self.connection.set_activity(Some(Activity::Plays {
                how: How::Hls,
                path: stream.to_string().into(),
                gauge: None,
            }));
        }
        answer
    }

    /// The live page, or what belongs to it.
    fn page(&self, request: &Request<'_>, manages: bool) -> Option<Answer> {
        let page = self.server.features.page.as_ref()?;
        page.answer(self.server, request.path, manages)
    }

    /// Waits for the stream.
    fn play(&mut self, request: &Request<'_>, path: &StreamPath) -> io::Result<Next> {
        let name = format!("{}?{}", path.name, request.query);
        let wanted = StreamRequest::parse(None, path.app.as_str(), &name);
        let (status, why) = match wanted.map(|wanted| StreamRequest {
            path: path.clone(),
            ..wanted
        }) {
            Err(error) => (400, error.to_string()),
            Ok(wanted) => match self.find(request, &wanted) {
                Ok(found) if request.method == Method::Get => return Ok(Next::Play(found)),
                Ok(_) => {
                    let answer = Answer {
                        status: 200,
                        head: flv::head(),
                        body: Body::Nothing,
                    };
                    return self.send(answer, false, true);
                }
                Err(Denied::Forbidden(why)) => (403, why),
                Err(Denied::Missing(why)) => (404, why),
                Err(Denied::Unavailable(why)) => (503, why),
            },
        };
        self.reply(request, Answer::text(status, &why))
    }

    fn find(&self, request: &Request<'_>, wanted: &StreamRequest) -> Result<Found, Denied> {
        let (connection, app) = (self.connection, wanted.path.app.to_string());
        let vhost = wanted.path.vhost.as_ref().map(VhostName::as_str);
        let from = Introduction {
            // As SRS says it, whatever the host was called.
            tc_url: format!("rtmp://{}/{app}", vhost.unwrap_or(DEFAULT_VHOST)),
            page_url: request.referer.unwrap_or_default().to_owned(),
            swf_url: String::new(),
            app,
        };
        play::find(
            self.server,
            connection,
            (&from, wanted),
            Via::default(),
            || connection.is_closed_by_peer(),
        )
    }

    /// Writes an answer; `only_head` leaves out its body.
    fn send(&mut self, answer: Answer, keep_alive: bool, only_head: bool) -> io::Result<Next> {
        let Answer { status, head, body } = answer;
        self.refused = self.refused.saturating_add(u64::from(status >= 400));
        let ends = self.server.is_stopping() || self.server.is_draining();
        let keep_alive = keep_alive && !ends;
        let mut head = head.finish(keep_alive);
        let until = deadline(limits::HTTP_RESPONSE_DEADLINE);
        match (body, only_head) {
            (Body::File(file, range), false) => self.send_file(head, &file, range)?,
            (Body::Bytes(mut body), false) => {
                head.append(&mut body);
                self.connection.write(&head, until)?;
            }
            (Body::Nothing | Body::Bytes(_) | Body::File(..), _) => {
                self.connection.write(&head, until)?;
            }
        }
        Ok(if keep_alive { Next::Read } else { Next::End })
    }

    fn send_file(&self, mut head: Vec<u8>, file: &File, range: Range<u64>) -> io::Result<()> {
        let length = range.end.saturating_sub(range.start);
        let shares = length.div_ceil(limits::HTTP_LEAST_RATE).max(1);
        let shares = u32::try_from(shares).unwrap_or(u32::MAX);
        let until = deadline(limits::HTTP_RESPONSE_DEADLINE.saturating_mul(shares));
        if length > limits::SMALL_FILE_BYTES {
            return self.connection.write_file(&head, file, range, until);
        }
        let mut body = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut body, range.start)?;
        head.append(&mut body);
        self.connection.write(&head, until)
    }
}

const METHODS: &str = "GET, HEAD, OPTIONS";
const API_METHODS: &str = "GET, HEAD, OPTIONS, DELETE";

/// What is there cannot be done that to.
fn not_allowed(methods: &str) -> Answer {
    let mut answer = Answer::text(405, reason(405));
    answer.head = answer.head.field("Allow", methods);
    answer
}

/// To a browser that asks whether a page may ask.
fn options() -> Answer {
    let head = Head::new(204, now())
        .field("Allow", METHODS)
        .field("Access-Control-Allow-Methods", METHODS)
        .field("Access-Control-Allow-Headers", "*")
        .field("Access-Control-Max-Age", 86_400);
    Answer {
        status: 204,
        head,
        body: Body::Nothing,
    }
}

fn not_found() -> Answer {
    Answer::text(404, "there is no such file")
}

impl Answer {
    /// A status that says why in its body.
    fn text(status: u16, why: &str) -> Self {
        let body = format!("{status} {}: {why}\n", reason(status));
        Self::page(status, "text/plain; charset=utf-8", body)
    }

    /// Text that is made for this request.
    pub(super) fn page(status: u16, content_type: &str, body: String) -> Self {
        let head = Head::new(status, now())
            .field("Content-Type", content_type)
            .field("Cache-Control", "no-cache")
            .field("Content-Length", body.len());
        Self {
            status,
            head,
            body: Body::Bytes(body.into_bytes()),
        }
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a response says when it was made [HTTP §6.6.1]"
)]
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
