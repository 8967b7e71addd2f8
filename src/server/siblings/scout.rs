//! Looks after streams that are wanted here and held elsewhere.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::limits;
use crate::server::Server;

/// Goes round until the server stops. The body of its thread: one, however many players wait for
/// however many streams.
pub fn run(server: &Arc<Server>) {
    let mut sweep = Instant::now();
    while !server.is_stopping() {
        thread::sleep(limits::POLL);
        // An edge fetches as long as somebody wants, once it has asked who that is.
        for path in server.registry.unfed() {
            if !server.is_edge(&path) {
                server.edge.fetch_for_players(server, &path);
            }
        }
        let now = Instant::now();
        if now >= sweep {
            if let Some(siblings) = &server.siblings {
                siblings.sweep();
            }
            sweep = now.checked_add(limits::JANITOR_ROUND).unwrap_or(now);
        }
    }
}
