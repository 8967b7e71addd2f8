//! The page at `/`: what is live, figures that move, and players. Whole without a script.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::assets::Asset;
use crate::config::DEFAULT_VHOST;
use crate::limits;
use crate::server::Server;
use crate::server::api::gather;
use crate::server::features::Page;
use crate::server::http::{Answer, Body, now};
use crate::server::overview::Overview;
use crate::server::siblings::Holder;
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
    /// With processes and clients.
    managing: Made,
    silent: Mutex<Vec<Silent>>,
}

/// A sibling that did not answer.
#[derive(Debug)]
struct Silent {
    holder: Holder,
    /// Its number, or 0.
    process: u32,
    since: Instant,
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
            let page = self.render(server, manages);
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

    /// The page as it is now.
    fn render(&self, server: &Arc<Server>, manages: bool) -> String {
        let config = server.config();
        let remuxed = config.all_vhosts().filter(|(_, vhost)| vhost.remux);
        let remuxed = remuxed.map(|(name, _)| name.unwrap_or(DEFAULT_VHOST));
        let own = Overview::of(server);
        let id = own.id.clone();
        let mut processes = vec![own];
        let silent = self.ask(server, &mut processes);
        processes.sort_by(|one, other| (one.process, &one.id).cmp(&(other.process, &other.id)));
        let page = render::Page {
            own: &id,
            processes: &processes,
            silent: &silent,
            remuxed: &remuxed.collect::<Vec<_>>(),
            manages,
        };
        page.render()
    }

    /// Adds what siblings say; the numbers of those that say nothing. They are not asked again for a
    /// while: the page is made of what is there.
    fn ask(&self, server: &Server, processes: &mut Vec<Overview>) -> Vec<u32> {
        let Some(siblings) = &server.siblings else {
            return Vec::new();
        };
        let mut others = siblings.others();
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|one| {
            one.since.elapsed() < limits::SIBLING_SILENCE && others.contains(&one.holder)
        });
        others.retain(|other| silent.iter().all(|one| one.holder != *other));
        let next_id = || server.next_id();
        let (mut said, mute) = gather::ask(siblings, others, limits::SIBLING_PATIENCE, next_id);
        processes.append(&mut said);
        silent.extend(mute.into_iter().map(|(holder, process)| Silent {
            holder,
            process,
            since: Instant::now(),
        }));
        silent.iter().map(|one| one.process).collect()
    }
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
