//! Looks after what no connection does: streams that are held elsewhere, and figures.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use log::info;

use crate::limits;
use crate::server::Server;
use crate::server::activity::Activity;
use crate::server::overview::counts_of;
use crate::server::port::Protocol;
use crate::server::rates::{Counts, Of};

/// Goes round until the server stops. The body of its thread: one, however much there is to look at.
/// It touches no disk but `run_dir`'s.
pub(super) fn run(server: &Arc<Server>) {
    let [mut sample, mut sweep] = [Instant::now(); 2];
    let mut said = Said::default();
    while !server.is_stopping() {
        let now = Instant::now();
        fetch(server);
        said.say(server, now);
        if now >= sample {
            take(server, now);
            sample = now.checked_add(limits::RATE_SAMPLE_TIME).unwrap_or(now);
        }
        if now >= sweep {
            if let Some(siblings) = &server.siblings {
                siblings.sweep();
            }
            server.edge.tidy(now);
            sweep = now.checked_add(limits::JANITOR_ROUND).unwrap_or(now);
        }
        thread::sleep(limits::POLL);
    }
}

/// Has streams fetched that are wanted here and held elsewhere.
fn fetch(server: &Arc<Server>) {
    for path in server.registry.unfed() {
        // An edge fetches as long as somebody wants, once it has asked who that is.
        if !server.is_edge(&path) {
            server.edge.fetch_for_players(server, &path);
        }
    }
}

/// The line of the log that says, now and then, how much there is: SRS's pithy print.
#[derive(Default)]
struct Said {
    last: Option<Instant>,
    was_idle: bool,
    skipped: u64,
}

impl Said {
    /// Says it if it is time for that, unless nothing is connected, nor was the last time.
    fn say(&mut self, server: &Server, now: Instant) {
        let every = server.config().pithy_print;
        let last = *self.last.get_or_insert(now);
        if every.is_zero() || now.saturating_duration_since(last) < every {
            return;
        }
        self.last = Some(now);
        let is_idle = server.connections.is_empty();
        let was_idle = core::mem::replace(&mut self.was_idle, is_idle);
        if is_idle && (was_idle || server.totals.counts() == Counts::default()) {
            return;
        }
        let living = server.connections.living();
        let clients = living
            .iter()
            .filter(|one| one.protocol != Protocol::Sibling)
            .filter_map(|one| one.activity());
        let (publishers, players): (Vec<_>, Vec<_>) =
            clients.partition(|activity| matches!(activity, Activity::Publishes(_)));
        let counts = server.totals.counts();
        let rate = server
            .rates
            .view()
            .rate(&Of::Process, server.since, counts, now);
        let skipped = server.registry.tally().skipped;
        let lately = skipped.saturating_sub(self.skipped);
        self.skipped = skipped;
        info!(
            "{} connections, {} publishers, {} players, {} streams, {} kbps in, {} kbps out, {lately} \
             frames skipped",
            server.connections.count(),
            publishers.len(),
            players.len(),
            server.registry.live(usize::MAX).len(),
            rate.received_kbps,
            rate.sent_kbps,
        );
    }
}

fn take(server: &Server, now: Instant) {
    let streams = server.registry.streams();
    let streams = streams.iter().map(|stream| {
        let counts = counts_of(stream, stream.status().tally);
        (Of::Stream(Arc::clone(&stream.path)), counts)
    });
    let connections = server.connections.living();
    // Others may be many, and nobody is shown them.
    let connections = connections.iter().filter(|one| one.activity().is_some());
    let connections = connections.map(|one| (Of::Connection(one.id), Counts::of(&one.traffic)));
    let process = [(Of::Process, server.totals.counts())];
    let all: Vec<_> = streams.chain(connections).chain(process).collect();
    server.rates.sample(now, all);
}
