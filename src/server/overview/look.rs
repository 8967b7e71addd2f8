//! Looks at the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::{ClientView, LinkView, Overview, StreamView, parts};
use crate::hub::frame::Kind;
use crate::hub::stream::Stream;
use crate::hub::tally::Tally;
use crate::server::Server;
use crate::server::activity::{Activity, How};
use crate::server::connection::Connection;
use crate::server::edge::links::Link;
use crate::server::port::Protocol;
use crate::server::rates::{Counts, Of, Rate, View};
use crate::server::sender::Writer;
use crate::session::connect::{Introduction, shown};
use crate::wire::codec::{self, Metadata};

impl Overview {
    /// Looks at the process.
    pub fn of(server: &Server) -> Self {
        let rates = server.rates.view();
        let look = Look {
            server,
            rates: &rates,
            now: Instant::now(),
        };
        let mut streams = HashMap::new();
        for stream in server.registry.streams() {
            streams.insert(Arc::clone(&stream.path), look.stream(&stream));
        }
        let mut clients = Vec::new();
        for connection in server.connections.living() {
            // Siblings are none.
            if connection.protocol != Protocol::Sibling
                && let Some(activity) = connection.activity()
            {
                clients.extend(look.client(&connection, &activity, &mut streams));
            }
        }
        look.links(&mut streams);
        let hls = server.hls.states();
        for (path, view) in &mut streams {
            view.hls = hls.get(&**path).copied();
        }
        clients.sort_unstable_by_key(|client| client.number);
        let mut streams: Vec<_> = streams.into_iter().collect();
        streams.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let streams = streams.into_iter().map(|(_, view)| view);
        look.process(streams.collect(), clients)
    }
}

type Streams = HashMap<Arc<str>, StreamView>;

/// Who looks, and when.
struct Look<'a> {
    server: &'a Server,
    rates: &'a View<'a>,
    now: Instant,
}

impl Look<'_> {
    fn process(&self, streams: Vec<StreamView>, clients: Vec<ClientView>) -> Overview {
        let server = self.server;
        let counts = server.totals.counts();
        let rate = self.rate(&Of::Process, server.since, counts);
        Overview {
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            id: server.names.process(),
            uptime: self.seconds(server.since),
            connections: count(server.connections.count()),
            max_connections: count(server.config().max_connections),
            received: counts.received,
            sent: counts.sent,
            received_kbps: rate.received_kbps,
            sent_kbps: rate.sent_kbps,
            skipped: server.registry.tally().skipped,
            streams,
            clients,
        }
    }

    fn stream(&self, stream: &Stream<Writer>) -> StreamView {
        let (vhost, app, name) = parts(&stream.path);
        let status = stream.status();
        let Tally {
            video,
            audio,
            skipped,
        } = status.tally;
        let counts = counts_of(stream, status.tally);
        let of = Of::Stream(Arc::clone(&stream.path));
        let rate = status.live.map(|since| self.rate(&of, since, counts));
        let rate = rate.unwrap_or_default();
        // The first of a kind is that of the first track.
        let find = |kind| status.head.iter().find(|frame| frame.kind == kind);
        let body = |kind| find(kind).map(|frame| &*frame.payload);
        let metadata = body(Kind::Metadata).map(Metadata::decode);
        let metadata = metadata.unwrap_or_default();
        StreamView {
            id: self.server.names.stream(&stream.path),
            vhost: vhost.to_owned(),
            app: app.to_owned(),
            name: name.to_owned(),
            live: status.live.map(|since| self.seconds(since)),
            publisher: None,
            players: 0,
            received: counts.received,
            sent: counts.sent,
            received_kbps: rate.received_kbps,
            sent_kbps: rate.sent_kbps,
            video_frames: video,
            audio_frames: audio,
            fps: rate.fps,
            skipped,
            video: codec::video(body(Kind::VideoHeader), &metadata),
            audio: codec::audio(body(Kind::AudioHeader), &metadata),
            pull: None,
            forward: None,
            hls: None,
        }
    }

    /// A client; it counts for its stream.
    fn client(
        &self,
        connection: &Connection,
        activity: &Activity,
        streams: &mut Streams,
    ) -> Option<ClientView> {
        let names = &self.server.names;
        let id = names.client(connection.id);
        let (path, kind, skipped) = match activity {
            Activity::Publishes(stream) => {
                let stream = stream.upgrade()?;
                let path = Arc::clone(&stream.path);
                let view = streams.entry(Arc::clone(&path));
                let view = view.or_insert_with(|| self.stream(&stream));
                view.publisher = Some(id.clone());
                (path, "fmle-publish", 0)
            }
            Activity::Plays { how, path, gauge } => {
                if let Some(view) = streams.get_mut(path) {
                    view.players = view.players.saturating_add(1);
                }
                let skipped = gauge.as_ref().map_or(0, |gauge| gauge.skipped());
                (Arc::clone(path), how.name(), skipped)
            }
        };
        let (vhost, app, name) = parts(&path);
        let counts = Counts::of(&connection.traffic);
        let rate = self.rate(&Of::Connection(connection.id), connection.since, counts);
        let from = connection.introduction.get();
        let url =
            |of: fn(&Introduction) -> &String| from.map_or(String::new(), |from| shown(of(from)));
        Some(ClientView {
            id,
            number: connection.id,
            ip: connection.peer.ip().to_string(),
            peer: connection.peer.to_string(),
            kind: kind.to_owned(),
            publishes: matches!(activity, Activity::Publishes(_)),
            stream: names.stream(&path),
            vhost: vhost.to_owned(),
            app: app.to_owned(),
            name: name.to_owned(),
            tc_url: url(|from| &from.tc_url),
            page_url: url(|from| &from.page_url),
            swf_url: url(|from| &from.swf_url),
            alive: self.seconds(connection.since),
            received: counts.received,
            sent: counts.sent,
            received_kbps: rate.received_kbps,
            sent_kbps: rate.sent_kbps,
            skipped,
        })
    }

    /// Where streams come from, and go to.
    fn links(&self, streams: &mut Streams) {
        for (link, at) in self.server.edge.links.all() {
            let view = LinkView { at };
            match link {
                Link::Pull(path) => {
                    if let Some(stream) = streams.get_mut(&*path) {
                        stream.pull = Some(view);
                    }
                }
                Link::Forward(publisher) => {
                    let id = Some(self.server.names.client(publisher));
                    let mut streams = streams.values_mut();
                    if let Some(stream) = streams.find(|stream| stream.publisher == id) {
                        stream.forward = Some(view);
                    }
                }
            }
        }
    }

    fn rate(&self, of: &Of, since: Instant, counts: Counts) -> Rate {
        self.rates.rate(of, since, counts, self.now)
    }

    fn seconds(&self, since: Instant) -> f64 {
        self.now.saturating_duration_since(since).as_secs_f64()
    }
}

impl How {
    const fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp-play",
            Self::Flv => "flv-play",
            Self::Hls => "hls-play",
        }
    }
}

/// What has been counted of a stream by now.
pub fn counts_of(stream: &Stream<Writer>, tally: Tally) -> Counts {
    Counts {
        frames: tally.video,
        ..Counts::of(&stream.traffic)
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
