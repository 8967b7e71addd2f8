//! HTTP hooks, as SRS has them: a server elsewhere is asked whether a peer may, and told what has
//! happened.

mod body;
mod client;
mod lanes;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use log::warn;

use self::body::Subject;
use self::client::{Client, Failure, Kind};
use self::lanes::{Lanes, Note};
use self::turns::Turns;
use crate::config::{HookUrl, HttpHooks};
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::edge::resolve::Resolver;
use crate::server::hook::{Event, Hooks, May, No, Visitor};
use crate::server::rarely::Rarely;

/// The hooks of `[http_hooks]`, as it is at the moment.
#[derive(Debug, Default)]
pub struct WebHooks {
    asker: Arc<Asker>,
    turns: Turns,
    lanes: Arc<Lanes>,
}

impl Hooks for WebHooks {
    fn is_used(&self, server: &Server) -> bool {
        let config = server.config();
        let mut vhosts = config.all_vhosts();
        vhosts.any(|(_, vhost)| vhost.http_hooks != HttpHooks::default())
    }

    fn ask(
        &self,
        server: &Arc<Server>,
        may: May,
        visitor: &Visitor,
        has_left: &dyn Fn() -> bool,
    ) -> Result<(), No> {
        let (config, subject) = (server.config(), Subject::May(may));
        let hooks = &config.vhost(visitor.vhost()).http_hooks;
        let notes = notes(server, &subject, hooks, visitor);
        let until = deadline(limits::HOOK_DEADLINE);
        let action = subject.action();
        for (asked, note) in notes.enumerate() {
            let turn = self.turns.take(&note.url.address, until, has_left);
            let failure = match &turn {
                Some(_) => self.asker.ask(server, &note, until, has_left),
                None => Some(Failure {
                    kind: Kind::Unasked,
                    why: "too many are asked at the moment".to_owned(),
                }),
            };
            if let Some(Failure { kind, why }) = failure {
                if kind != Kind::Refused && !has_left() {
                    self.asker.complain(server, &note, &why);
                }
                return Err(No {
                    why: format!("{action} did not say yes: {why}"),
                    ends: asked > 0 || kind == Kind::Unclear,
                });
            }
        }
        Ok(())
    }

    fn tell(&self, server: &Arc<Server>, event: &Event, visitor: &Visitor) {
        let (config, subject) = (server.config(), Subject::Event(event));
        let hooks = &config.vhost(visitor.vhost()).http_hooks;
        for note in notes(server, &subject, hooks, visitor) {
            self.lanes.push(server, &self.asker, visitor.id, note);
        }
    }
}

/// What goes to each hook.
fn notes<'h>(
    server: &Server,
    subject: &Subject<'_>,
    hooks: &'h HttpHooks,
    visitor: &Visitor,
) -> impl Iterator<Item = Note> + use<'h> {
    let urls = subject.urls(hooks);
    let json = (!urls.is_empty()).then(|| subject.json(server, visitor));
    let (json, action) = (Arc::from(json.unwrap_or_default()), subject.action());
    urls.iter().map(move |url| Note {
        url: url.clone(),
        action,
        json: Arc::clone(&json),
        until: deadline(limits::HOOK_PATIENCE),
    })
}

/// What all questions share.
#[derive(Debug, Default)]
struct Asker {
    resolver: Resolver,
    /// Hooks that did not take a question. As many as there are in the configuration, and one.
    failing: Mutex<HashMap<HookUrl, Rarely>>,
}

impl Asker {
    /// Asks, until `until` or until `has_left`; what came instead of a yes.
    fn ask(
        &self,
        server: &Server,
        note: &Note,
        until: Instant,
        has_left: &dyn Fn() -> bool,
    ) -> Option<Failure> {
        let client = Client {
            threads: &server.threads,
            resolver: &self.resolver,
            id: server.next_id(),
        };
        client.ask(&note.url, &note.json, until, has_left).err()
    }

    /// Says, now and then, that a hook is not as it should be.
    fn complain(&self, server: &Server, note: &Note, why: &str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if !failing.contains_key(&note.url) {
            let config = server.config();
            let is_known = |url: &HookUrl| {
                let mut vhosts = config.all_vhosts();
                vhosts.any(|(_, vhost)| vhost.http_hooks.has(url))
            };
            failing.retain(|url, _| is_known(url));
        }
        let rarely = failing.entry(note.url.clone()).or_default();
        if let Some(others) = rarely.count(Instant::now()) {
            let (action, url) = (note.action, &note.url);
            warn!("{action} at {url}: {why}; {others} more since it was last said");
        }
    }
}
