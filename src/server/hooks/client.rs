//! One question to one hook, and its answer.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use socket2::SockRef;

use crate::config::HookUrl;
use crate::limits;
use crate::server::connection::{Connection, deadline, set_options};
use crate::server::edge::origin::connect;
use crate::server::edge::resolve::Resolver;
use crate::server::port::Protocol;
use crate::server::thread::Threads;
use crate::wire::http_client::{Answer, post};

/// Why a hook did not say yes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    /// Whose fault it is.
    pub(super) kind: Kind,
    /// In words.
    pub(super) why: String,
}

/// What a hook can have made of a question that it did not answer with yes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Nothing: it did not get it.
    Unasked,
    /// Anything: it got it, or may have.
    Unclear,
    /// It says no.
    Refused,
}

/// What asks.
#[derive(Debug)]
pub(super) struct Client<'s> {
    pub(super) threads: &'s Threads,
    pub(super) resolver: &'s Resolver,
    /// Of the connection that is made.
    pub(super) id: u64,
}

impl Client<'_> {
    /// Posts `json` to `url`, and waits for a yes, until `until` or until `has_left`.
    pub(super) fn ask(
        &self,
        url: &HookUrl,
        json: &[u8],
        until: Instant,
        has_left: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let connection = self.connect(url, until).map_err(|error| Failure {
            kind: Kind::Unasked,
            why: format!("it cannot be reached: {error}"),
        })?;
        let unclear = |why: String| Failure {
            kind: Kind::Unclear,
            why,
        };
        let request = post(&url.address.to_string(), &url.target, json);
        let sent = connection.write(&request, until);
        sent.map_err(|error| unclear(format!("it takes no question: {error}")))?;
        let answer = receive(&connection, until, has_left).map_err(unclear)?;
        verdict(&answer)
    }

    fn connect(&self, url: &HookUrl, until: Instant) -> io::Result<Connection> {
        let resolved = deadline(limits::RESOLVE_DEADLINE).min(until);
        let addresses = self
            .resolver
            .resolve(self.threads, self.id, &url.address, resolved)?;
        let socket = connect(&addresses, until)?;
        set_options(&SockRef::from(&socket))?;
        let peer = socket.peer_addr()?;
        let socket = socket.into();
        let uncounted = Arc::default();
        let connection = Connection::new(self.id, socket, peer, Protocol::Http, uncounted, None);
        Ok(connection)
    }
}

/// Reads an answer.
fn receive(
    connection: &Connection,
    until: Instant,
    has_left: &dyn Fn() -> bool,
) -> Result<Answer, String> {
    let mut input = Vec::new();
    let mut buffer = [0; limits::HTTP_READ_BYTES];
    loop {
        let look = deadline(limits::POLL).min(until);
        let ended = match connection.read(&mut buffer, look) {
            Ok(length) => {
                input.extend_from_slice(buffer.get(..length).unwrap_or_default());
                length == 0
            }
            Err(error) if error.kind() != ErrorKind::TimedOut => {
                return Err(format!("it gave no answer: {error}"));
            }
            Err(_) if Instant::now() >= until => return Err("it gave no answer in time".to_owned()),
            Err(_) if has_left() => return Err("nobody waits for the answer any more".to_owned()),
            Err(_) => continue,
        };
        match Answer::parse(&input, ended) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(answer),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// SRS's rule: 200 or 201, and `0` or an object whose `code` is 0.
fn verdict(answer: &Answer) -> Result<(), Failure> {
    let refused = |why| Failure {
        kind: Kind::Refused,
        why,
    };
    match answer.status {
        200 | 201 => {}
        status @ 500.. => {
            return Err(Failure {
                kind: Kind::Unclear,
                why: format!("it answered {status}"),
            });
        }
        status => return Err(refused(format!("it answered {status}"))),
    }
    let json = serde_json::from_slice::<Value>(&answer.body);
    let code = json.as_ref().ok().and_then(|json| {
        let object = json.as_object();
        object
            .map_or(Some(json), |object| object.get("code"))?
            .as_i64()
    });
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(refused(format!("it answered code {code}"))),
        None => Err(refused(
            "its answer is neither 0 nor {\"code\": 0}".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_yes() {
        let cases = [
            (200, "0", None),
            (201, "0", None),
            (200, " 0\r\n", None),
            (200, "{\"code\":0}", None),
            (200, "{\"code\": 0, \"data\": \"\", \"msg\": \"ok\"}", None),
            (
                200,
                "{\"code\":1}",
                Some((Kind::Refused, "it answered code 1")),
            ),
            (
                200,
                "{\"code\":\"0\"}",
                Some((Kind::Refused, "neither 0 nor")),
            ),
            (
                200,
                "{\"code\":0.5}",
                Some((Kind::Refused, "neither 0 nor")),
            ),
            (200, "{}", Some((Kind::Refused, "neither 0 nor"))),
            (200, "[0]", Some((Kind::Refused, "neither 0 nor"))),
            (200, "1", Some((Kind::Refused, "it answered code 1"))),
            (200, "\"0\"", Some((Kind::Refused, "neither 0 nor"))),
            (200, "null", Some((Kind::Refused, "neither 0 nor"))),
            (200, "ok", Some((Kind::Refused, "neither 0 nor"))),
            (200, "0 0", Some((Kind::Refused, "neither 0 nor"))),
            (200, "", Some((Kind::Refused, "neither 0 nor"))),
            (204, "", Some((Kind::Refused, "it answered 204"))),
            (302, "0", Some((Kind::Refused, "it answered 302"))),
            (403, "0", Some((Kind::Refused, "it answered 403"))),
            (500, "0", Some((Kind::Unclear, "it answered 500"))),
        ];
        for (status, body, expected) in cases {
            let body_ = body.as_bytes().to_vec();
            let verdict = verdict(&Answer {
                status,
                body: body_,
            });
            match expected {
                None => assert_eq!(verdict, Ok(()), "{status} {body}"),
                Some((kind, why)) => {
                    let failure = verdict.unwrap_err();
                    assert_eq!(failure.kind, kind, "{status} {body}");
                    assert!(failure.why.contains(why), "{failure:?}");
                }
            }
        }
        let deep = "[".repeat(limits::MAX_HOOK_ANSWER);
        let body = deep.into_bytes();
        assert!(verdict(&Answer { status: 200, body }).is_err());
    }
}
