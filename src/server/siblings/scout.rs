//! Looks after streams that are wanted here and held elsewhere.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::Siblings;
use crate::limits;
use crate::server::Server;

/// Goes round until the server stops. The body of its thread: one, however many players wait for
/// however many streams.
pub fn run(server: &Arc<Server>, siblings: &Siblings) {
    let mut sweep = Instant::now();
    while !server.is_stopping() {
        thread::sleep(limits::POLL);
        if let Some(edge) = &server.edge {
            for path in server.registry.unfed() {
                edge.fetch_for_players(server, &path);
            }
        }
        let now = Instant::now();
        if now >= sweep {
            siblings.sweep();
            sweep = now.checked_add(limits::JANITOR_ROUND).unwrap_or(now);
        }
    }
}
