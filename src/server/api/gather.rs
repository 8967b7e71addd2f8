//! What all processes that share the port say of themselves.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use serde_json::Value;

use super::record::Field;
use crate::limits;
use crate::server::Server;
use crate::server::connection::{Connection, deadline};
use crate::server::overview::Overview;
use crate::server::siblings::door::overview;
use crate::server::siblings::{Holder, Siblings};

/// What the process says to a sibling.
pub(super) fn say(server: &Server) -> Vec<u8> {
    Overview::of(server).encode().to_string().into_bytes()
}

/// This process, and its siblings if they are wanted; who does not answer in time is left out.
pub(in crate::server) fn overviews(server: &Arc<Server>, all: bool) -> Vec<Overview> {
    let mut overviews = vec![Overview::of(server)];
    if let Some(siblings) = server.siblings.as_ref().filter(|_| all) {
        let patience = limits::SIBLING_OVERVIEW_DEADLINE;
        let others = siblings.others();
        let (mut said, _) = ask(siblings, others, patience, || server.next_id());
        overviews.append(&mut said);
    }
    overviews
}

/// What these siblings say, all of them asked at once; and who does not within `patience`, with the
/// number of its process, or 0.
pub fn ask(
    siblings: &Siblings,
    others: Vec<Holder>,
    patience: Duration,
    mut next_id: impl FnMut() -> u64,
) -> (Vec<Overview>, Vec<(Holder, u32)>) {
    let until = deadline(patience);
    let ask = |holder| {
        let asked = siblings.ask_overview(&holder, next_id(), until);
        (holder, asked)
    };
    let asked: Vec<_> = others.into_iter().map(ask).collect();
    let (mut overviews, mut silent) = (Vec::new(), Vec::new());
    for (holder, asked) in asked {
        // Who has answered is heard, however long it took to wait for others.
        let until = until.max(deadline(limits::POLL));
        let process = asked.as_ref().map_or(0, Connection::peer_process);
        match asked.and_then(|asked| overview(&asked, until)) {
            Ok(bytes) => {
                let value = serde_json::from_slice::<Value>(&bytes).ok();
                overviews.extend(value.as_ref().and_then(Overview::decode));
            }
            Err(error) => {
                debug!("a sibling says nothing of itself: {error}");
                if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
                    silent.push((holder, process));
                }
            }
        }
    }
    overviews.sort_by_key(|overview| overview.process);
    (overviews, silent)
}
