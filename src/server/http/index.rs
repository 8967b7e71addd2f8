//! The page at `/`.

use core::fmt::Write as _;

use super::{Answer, Peer, files};
use crate::config::{Access, HttpServer};
use crate::limits;
use crate::wire::http::Request;
use crate::wire::http_path::HttpPath;
use crate::wire::name::vhost_of;

/// `index.html` of the served directory; without one, the streams that are live in this process.
pub(super) fn answer(peer: &Peer<'_>, config: &HttpServer, request: &Request<'_>) -> Answer {
    if let Some(path) = HttpPath::parse("/index.html", None, |_| false) {
        let own = files::answer(&config.dir, &path, request, (None, None));
        if own.status != 404 {
            return own;
        }
    }
    if config.index
        && sees_all(peer)
        && let Some(page) = peer.page(request, false)
    {
        return page;
    }
    list(peer)
}

/// Whether the peer may play in every vhost, by its address: the live page names the streams of all.
fn sees_all(peer: &Peer<'_>) -> bool {
    let (all, ip) = (peer.server.config(), peer.connection.peer.ip());
    let mut vhosts = all.all_vhosts();
    vhosts.all(|(_, vhost)| vhost.security.check(Access::Play, ip).is_ok())
}

/// The streams that the peer may play by its address.
fn list(peer: &Peer<'_>) -> Answer {
    let (all, ip) = (peer.server.config(), peer.connection.peer.ip());
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>srs-lite</title>\n<h1>Live streams of this process</h1>\n<ul>\n",
    );
    let hls = peer.server.hls.states();
    let of = |path: &str| all.vhost(vhost_of(path));
    // What may not be played in its vhost is not named, either.
    let is_open = |path: &str| {
        let vhost = of(path);
        vhost.enabled && vhost.security.check(Access::Play, ip).is_ok()
    };
    let live = peer.server.registry.live(limits::MAX_LISTED_STREAMS);
    for path in live.iter().filter(|path| is_open(path)) {
        let state = hls.get(&**path);
        let remux = of(path).remux;
        let path = escaped(path);
        // Writing to a string cannot fail.
        let _ = match remux {
            true => write!(page, "<li><a href=\"/{path}.flv\">{path}</a>"),
            false => write!(page, "<li>{path}"),
        };
        let _ = match state {
            Some(true) => writeln!(page, " <a href=\"/{path}.m3u8\">HLS</a>"),
            Some(false) => writeln!(page, " (HLS cannot be written)"),
            None => writeln!(page),
        };
    }
    page.push_str("</ul>\n");
    let siblings = peer.server.siblings.as_ref();
    let elsewhere = siblings.map(|all| all.published(limits::MAX_LISTED_STREAMS));
    if let Some(elsewhere) = elsewhere.filter(|streams| !streams.is_empty()) {
        page.push_str("<h1>Published to others that share the port</h1>\n<ul>\n");
        for path in elsewhere.iter().filter(|path| is_open(path)) {
            let remux = of(path).remux;
            let path = escaped(path);
            let _ = match remux {
                true => writeln!(page, "<li><a href=\"/{path}.flv\">{path}</a>"),
                false => writeln!(page, "<li>{path}"),
            };
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</html>\n");
    let mut answer = Answer::page(200, "text/html; charset=utf-8", page);
    answer.head = answer.head.field(
        "Content-Security-Policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    answer
}

/// Names hold none of these; but who changes that should not have to think of this page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
