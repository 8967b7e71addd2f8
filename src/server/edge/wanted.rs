//! What to ask an origin for.

use std::sync::Arc;

use crate::server::Server;
use crate::server::edge::links::Link;
use crate::session::client::{ClientRequest, Purpose};
use crate::session::server::Via;
use crate::wire::name::StreamRequest;
use crate::wire::vhost;

/// What a fetch asks an origin for, until it is dropped.
#[derive(Debug)]
pub struct Wanted {
    server: Arc<Server>,
    path: String,
    /// What brought media last; before that, what the first player asked for.
    proven: ClientRequest,
    /// Whether it is the turn of what the newest player asked for.
    newest: bool,
}

impl Wanted {
    /// What the first player of the stream at `path` asked for.
    pub fn new(server: &Arc<Server>, path: String, request: ClientRequest) -> Self {
        Self {
            server: Arc::clone(server),
            path,
            proven: request,
            newest: false,
        }
    }

    /// The process.
    pub const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// In turn what is known to be good and what the newest player asked for: one with a bad token
    /// must not speak for all others.
    pub fn take_turn(&mut self) -> ClientRequest {
        let turn = self.newest;
        self.newest = !turn;
        let newest = || self.server.edge.requests().get(&self.path).cloned();
        let newest = turn.then(newest).flatten();
        newest.unwrap_or_else(|| self.proven.clone())
    }

    /// `request` has brought media: it goes first from now on.
    pub fn prove(&mut self, request: &ClientRequest) {
        self.proven.clone_from(request);
        self.newest = false;
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let edge = &self.server.edge;
        edge.requests().remove(&self.path);
        let path = core::mem::take(&mut self.path);
        edge.links.remove(&Link::Pull(path));
    }
}

/// What to ask for on behalf of a peer of ours.
pub fn client_request(purpose: Purpose, request: &StreamRequest, via: Via) -> ClientRequest {
    let with_query = |name: &str, query: &str| match &*vhost::without_names(query) {
        "" => name.to_owned(),
        query => format!("{name}?{query}"),
    };
    ClientRequest {
        purpose,
        host: String::new(),
        vhost: request.path.vhost().map(str::to_owned),
        app: with_query(request.path.app.as_str(), &request.app_query),
        stream: with_query(request.path.name.as_str(), &request.query),
        via: Via {
            hops: via.hops.saturating_add(1),
            coworker: false,
        },
    }
}
