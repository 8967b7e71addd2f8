//! What all processes that share the port say of themselves.

use std::sync::Arc;
use std::time::Instant;

use log::debug;
use serde_json::Value;

use super::record::Field;
use crate::limits;
use crate::server::Server;
use crate::server::connection::deadline;
use crate::server::overview::Overview;
use crate::server::siblings::Siblings;

/// What the process says to a sibling.
pub(super) fn say(server: &Server) -> Vec<u8> {
    Overview::of(server).encode().to_string().into_bytes()
}

/// This process, and its siblings if they are wanted.
pub(in crate::server) fn overviews(server: &Arc<Server>, all: bool) -> Vec<Overview> {
    let mut overviews = vec![Overview::of(server)];
    if let Some(siblings) = server.siblings.as_ref().filter(|_| all) {
        overviews.append(&mut ask(siblings, || server.next_id()));
    }
    overviews
}

/// What the siblings say; who does not answer in time is left out.
pub fn ask(siblings: &Siblings, mut next_id: impl FnMut() -> u64) -> Vec<Overview> {
    let end = deadline(limits::SIBLING_OVERVIEW_DEADLINE.saturating_mul(2));
    let mut overviews = Vec::new();
    for holder in siblings.others() {
        if Instant::now() >= end {
            break;
        }
        let until = deadline(limits::SIBLING_OVERVIEW_DEADLINE).min(end);
        match siblings.overview(&holder, next_id(), until) {
            Ok(bytes) => {
                let value = serde_json::from_slice::<Value>(&bytes).ok();
                overviews.extend(value.as_ref().and_then(Overview::decode));
            }
            Err(error) => debug!("a sibling says nothing of itself: {error}"),
        }
    }
    overviews.sort_by_key(|overview| overview.process);
    overviews
}
