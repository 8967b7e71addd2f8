//! Takes the samples that rates are computed from.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::limits;
use crate::server::Server;
use crate::server::overview::counts_of;
use crate::server::rates::{Counts, Of};

/// Goes round until the server stops. The body of its thread: one, however much there is to look at.
pub(super) fn run(server: &Arc<Server>) {
    let mut sample = Instant::now();
    while !server.is_stopping() {
        let now = Instant::now();
        if now >= sample {
            take(server, now);
            sample = now.checked_add(limits::RATE_SAMPLE_TIME).unwrap_or(now);
        }
        thread::sleep(limits::ACCEPT_POLL);
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
