//! The HTTP API: SRS's paths and names for what we have, and some of our own.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use log::info;
use serde_json::{Map, Value, json};

use self::login::is_let_in;
use self::paths::{Path, Things};
use self::query::Query;
use self::record::Field;
use crate::config;
use crate::limits;
use crate::server::Server;
use crate::server::access::Gate;
use crate::server::connection::{Connection, deadline};
use crate::server::features::Api;
use crate::server::http::{Answer, Body, now};
use crate::server::overview::Overview;
use crate::wire::http::{Head, Method, Request, reason};

pub mod gather;
mod login;
mod metrics;
mod paths;
mod process;
mod query;
mod record;
mod srs;
pub mod status;

/// The API of a process.
#[derive(Debug, Default)]
pub struct HttpApi {
    /// Who came with wrong passwords.
    gate: Gate,
}

const JSON: &str = "application/json";

/// Numbers of errors in replies, as SRS has them.
mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const NO_VHOST: u32 = 2014;
    pub(super) const NO_STREAM: u32 = 2048;
    pub(super) const NO_CLIENT: u32 = 2049;
}

impl Api for HttpApi {
    fn answer(
        &self,
        server: &Arc<Server>,
        connection: &Connection,
        request: &Request<'_>,
    ) -> Option<Answer> {
        let config = server.config();
        let Some(api) = &config.http_api else {
            return Some(failed(404, 404));
        };
        let mut answer = self.checked(server, (connection, api), request)?;
        if api.crossdomain {
            // To read only: what a page of another site may ask for must not change anything.
            answer.head = answer.head.field("Access-Control-Allow-Origin", "*");
        }
        Some(answer)
    }

    fn say(&self, server: &Server) -> Vec<u8> {
        gather::say(server)
    }
}

impl HttpApi {
    fn checked(
        &self,
        server: &Arc<Server>,
        (connection, api): (&Connection, &config::HttpApi),
        request: &Request<'_>,
    ) -> Option<Answer> {
        let path = Path::parse(request.path);
        // Asked by browsers before they log in.
        if request.method == Method::Options {
            return Some(options(path.as_ref(), api.crossdomain));
        }
        match is_let_in(&self.gate, api, connection, request) {
            Ok(true) => {}
            Ok(false) => {
                let mut answer = failed(401, 401);
                let scheme = "Basic realm=\"srs-lite\", charset=\"UTF-8\"";
                answer.head = answer.head.field("WWW-Authenticate", scheme);
                return Some(answer);
            }
            Err(denial) => {
                info!("{connection}: {denial}");
                return Some(failed(403, 403));
            }
        }
        if api.auth.is_none() && is_by_name(request) && !is_for_all(path.as_ref(), request, api) {
            return Some(refused(BY_NAME));
        }
        let Some(path) = path else {
            // Without the page there is nothing: the list of streams is the HTTP server's.
            let is_page = request.path == "/" && server.features.page.is_none();
            let is_ours = request.method == Method::Delete || request.path.starts_with("/api/");
            return (is_ours || is_page).then(|| failed(404, 404));
        };
        Some(match (request.method, &path) {
            (Method::Delete, Path::One(Things::Clients, id)) => {
                kick(server, id, Query::parse(request.query).all)
            }
            (Method::Delete | Method::Options, _) => {
                let mut answer = failed(405, 405);
                answer.head = answer.head.field("Allow", path.methods());
                answer
            }
            (Method::Get | Method::Head, _) => read(server, &path, Query::parse(request.query)),
        })
    }
}

/// The answer to one who may know.
fn read(server: &Arc<Server>, path: &Path<'_>, query: Query) -> Answer {
    let own = || Overview::of(server);
    let data = |data: Value| found(srs::with(&srs::common(server), "data", data));
    match path {
        Path::Metrics => metrics::answer(server),
        Path::Root => found(srs::root(server)),
        Path::Versions => data(srs::versions()),
        Path::Summaries => data(process::summaries(server)),
        Path::Rusages => data(process::rusages()),
        Path::SelfProcStats => data(process::self_proc_stats(server)),
        Path::Overview if query.all => {
            let overviews = gather::overviews(server, true);
            found(Value::Array(overviews.iter().map(Field::encode).collect()))
        }
        Path::Overview => found(own().encode()),
        Path::List(things) => {
            let overviews = gather::overviews(server, query.all);
            let lists = srs::Lists::new(server, &overviews);
            let (name, list) = match things {
                Things::Vhosts => ("vhosts", lists.vhosts()),
                Things::Streams => ("streams", query.page(lists.streams())),
                Things::Clients => ("clients", query.page(lists.clients())),
            };
            let mut reply = srs::with(&srs::common(server), name, Value::Array(list));
            if query.all {
                reply.insert("processes".to_owned(), srs::processes(&overviews));
            }
            found(reply)
        }
        Path::One(things, id) => {
            let overviews = gather::overviews(server, query.all);
            let lists = srs::Lists::new(server, &overviews);
            let (name, list, missing) = match things {
                Things::Vhosts => ("vhost", lists.vhosts(), code::NO_VHOST),
                Things::Streams => ("stream", lists.streams(), code::NO_STREAM),
                Things::Clients => ("client", lists.clients(), code::NO_CLIENT),
            };
            let is_it = |one: &Value| one.get("id").is_some_and(|known| known == id);
            match list.into_iter().find(is_it) {
                Some(one) => found(srs::with(&srs::common(server), name, one)),
                None => failed(404, missing),
            }
        }
    }
}

/// Ends a client's connection, here or, with `all`, at a sibling.
fn kick(server: &Arc<Server>, client: &str, all: bool) -> Answer {
    let elsewhere = || {
        let siblings = server.siblings.as_ref().filter(|_| all)?;
        let end = deadline(limits::SIBLING_OVERVIEW_DEADLINE);
        let mut others = siblings.others().into_iter();
        others.find(|other| {
            // One that hangs does not hold up all others.
            let until = deadline(limits::SIBLING_PATIENCE).min(end);
            let kicked = siblings.kick(other, client, server.next_id(), until);
            kicked.unwrap_or(false)
        })
    };
    if server.kick(client) || elsewhere().is_some() {
        return found(srs::common(server));
    }
    failed(404, code::NO_CLIENT)
}

fn options(path: Option<&Path<'_>>, crossdomain: bool) -> Answer {
    let methods = path.map_or("GET, HEAD, OPTIONS", Path::methods);
    let mut head = Head::private(204, now()).field("Allow", methods);
    if crossdomain {
        head = head
            .field("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
            .field("Access-Control-Allow-Headers", "Authorization")
            .field("Access-Control-Max-Age", 86_400);
    }
    Answer {
        status: 204,
        head,
        body: Body::Nothing,
    }
}

fn found(reply: impl Into<Value>) -> Answer {
    answer(200, JSON, reply.into().to_string())
}

fn failed(status: u16, code: u32) -> Answer {
    let reply = json!({ "code": code, "message": reason(status) });
    answer(status, JSON, reply.to_string())
}

fn refused(why: &str) -> Answer {
    let reply = json!({ "code": 403, "message": why });
    answer(403, JSON, reply.to_string())
}

fn answer(status: u16, content_type: &str, body: String) -> Answer {
    let head = Head::private(status, now())
        .field("Content-Type", content_type)
        .field("Cache-Control", "no-store")
        .field("Content-Length", body.len());
    Answer {
        status,
        head,
        body: Body::Bytes(body.into_bytes()),
    }
}

/// Why a request by a name is refused.
const BY_NAME: &str = "no password is set, and this came to a name, which a page of another site \
    could have made lead here: ask by an address or by localhost, or set [http_api.auth]";

/// Whether a request was sent to a name that somebody else may have given to this machine. Every browser
/// says to what.
fn is_by_name(request: &Request<'_>) -> bool {
    request.host.is_some_and(|host| !is_address(host))
}

/// Whether pages of other sites may read what is asked for, or it is what Prometheus reads, which mostly
/// comes by name: nobody's address is in it.
fn is_for_all(path: Option<&Path<'_>>, request: &Request<'_>, api: &config::HttpApi) -> bool {
    let reads = matches!(request.method, Method::Get | Method::Head);
    reads && path.is_some_and(|path| api.crossdomain || *path == Path::Metrics)
}

/// Whether it is an address, or this machine's own name for itself.
fn is_address(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let ip = name.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let is_address = match ip {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok() || name.eq_ignore_ascii_case("localhost"),
    };
    is_port && is_address
}

/// An object of these members.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    let members = members.into_iter();
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_others_may_give_is_no_address() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:1985",
            "10.1.2.3:80",
            "[::1]:1985",
            "[::1]",
            "localhost",
            "LocalHost:1985",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:1985",
            "localhost.evil.example",
            "127.0.0.1.evil.example:1985",
            "127.0.0.1:evil",
            "::1",
            "[::1",
            "[evil]:1985",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
