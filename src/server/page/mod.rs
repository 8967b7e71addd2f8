//! The page at `/`: what is live, figures that move, and players. Whole without a script.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::assets::Asset;
use crate::limits;
use crate::server::Server;
use crate::server::api::gather::overviews;
use crate::server::features::Page;
use crate::server::http::{Answer, Body, now};
use crate::wire::http::Head;

mod assets;
mod render;
mod row;

/// What the page may load, and from where: nothing but what is embedded, and the streams.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    media-src 'self' blob:; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The page as it was made last: however many look at it, it is made once a second.
#[derive(Debug, Default)]
pub(super) struct LivePage {
    public: Made,
    /// With clients.
    managing: Made,
}

/// When, and what.
type Made = Mutex<Option<(Instant, String)>>;

impl Page for LivePage {
    fn answer(&self, server: &Arc<Server>, path: &str, manages: bool) -> Option<Answer> {
        match path {
            "/" => Some(self.page(server, manages)),
            _ => assets::find(path).map(asset),
        }
    }
}

impl LivePage {
    fn page(&self, server: &Arc<Server>, manages: bool) -> Answer {
        let last = match manages {
            true => &self.managing,
            false => &self.public,
        };
        // Held while it is made, so that the others wait for that one.
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let made = last
            .take()
            .filter(|(at, _)| at.elapsed() < limits::PAGE_KEPT);
        let made = made.unwrap_or_else(|| {
            let page = render(server, manages);
            (Instant::now(), page)
        });
        let (_, page) = last.insert(made);
        let head = Head::private(200, now())
            .field("Content-Type", "text/html; charset=utf-8")
            .field("Cache-Control", "no-cache")
            .field("Content-Length", page.len())
            .field("Content-Security-Policy", POLICY)
            .field("Referrer-Policy", "no-referrer");
        Answer {
            status: 200,
            head,
            body: Body::Bytes(page.clone().into_bytes()),
        }
    }
}

/// The page as it is now.
fn render(server: &Arc<Server>, manages: bool) -> String {
    let config = server.config();
    let page = render::Page {
        processes: &overviews(server, true),
        remux: config.all_vhosts().any(|(_, vhost)| vhost.remux),
        manages,
    };
    page.render()
}

fn asset(asset: &'static Asset) -> Answer {
    let mut head = Head::new(200, now())
        .field("Content-Type", asset.content_type)
        .field("Content-Length", asset.bytes.len());
    head = match asset.is_library {
        true => head
            .field("Content-Encoding", "gzip")
            .field("Cache-Control", "public, max-age=31536000, immutable"),
        false => head.field("Cache-Control", "no-cache"),
    };
    Answer {
        status: 200,
        head,
        body: Body::Bytes(asset.bytes.to_vec()),
    }
}
