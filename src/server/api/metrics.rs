//! `/metrics`: the text format of Prometheus, version 0.0.4.

use core::fmt::{Display, Write as _};

use super::process;
use crate::hub::tally::Tally;
use crate::limits;
use crate::server::Server;
use crate::server::http::Answer;
use crate::server::overview::{Overview, StreamView};
use crate::server::port::Protocol;

/// What Prometheus takes.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy)]
enum Kind {
    /// It only grows, as long as the process, or the stream, lives.
    Counter,
    Gauge,
}

/// All metrics of the process.
pub(super) fn answer(server: &Server) -> Answer {
    super::answer(200, TYPE, text(server))
}

fn text(server: &Server) -> String {
    let overview = Overview::of(server);
    let mut page = Page::default();
    of_process(&mut page, &overview);
    of_connections(&mut page, server, &overview);
    of_media(&mut page, server, &overview);
    of_streams(&mut page, &overview);
    page.0
}

fn of_process(page: &mut Page, overview: &Overview) {
    page.metric("build_info", Kind::Gauge, "The version; always 1.");
    page.sample("build_info", &[("version", &overview.version)], 1);
    let help = "Seconds since the process started.";
    page.one("uptime_seconds", Kind::Gauge, help, overview.uptime);
    let help = "Processor time that the process has used.";
    let seconds = process::processor_seconds();
    page.one("process_cpu_seconds_total", Kind::Counter, help, seconds);
    let help = "Memory that the process has resident.";
    let bytes = process::resident_bytes();
    page.one("process_resident_memory_bytes", Kind::Gauge, help, bytes);
    let help = "Descriptors that are open.";
    page.one("process_open_fds", Kind::Gauge, help, process::open_files());
    let help = "Threads that run.";
    page.one("process_threads", Kind::Gauge, help, process::threads());
}

const PROTOCOLS: [Protocol; 4] = [
    Protocol::Rtmp,
    Protocol::Http,
    Protocol::Api,
    Protocol::Sibling,
];

fn of_connections(page: &mut Page, server: &Server, overview: &Overview) {
    let living = server.connections.living();
    let help = "Connections that others have opened.";
    page.metric("connections", Kind::Gauge, help);
    for protocol in PROTOCOLS {
        let of_it = living.iter().filter(|one| one.protocol == protocol);
        let labels = [("protocol", &*protocol.to_string())];
        page.sample("connections", &labels, of_it.count());
    }
    let help = "Connections by rtmp and http that there may be.";
    let most = overview.max_connections;
    page.one("max_connections", Kind::Gauge, help, most);
    let name = "accepted_connections_total";
    page.metric(name, Kind::Counter, "Connections that others have opened.");
    for protocol in PROTOCOLS {
        let accepted = server.totals.of(protocol).accepted.get();
        page.sample(name, &[("protocol", &protocol.to_string())], accepted);
    }
    let help = "Connections that were closed for want of room.";
    let shed = server.totals.shed.get();
    page.one("refused_connections_total", Kind::Counter, help, shed);
    let kinds = PROTOCOLS.map(|protocol| {
        let traffic = &server.totals.of(protocol).traffic;
        (protocol.to_string(), traffic)
    });
    let upstream = ("upstream".to_owned(), &server.totals.upstream);
    let kinds: Vec<_> = kinds.into_iter().chain([upstream]).collect();
    let name = "received_bytes_total";
    let help = "Bytes that came; upstream: from origins.";
    page.metric(name, Kind::Counter, help);
    for (protocol, traffic) in &kinds {
        page.sample(name, &[("protocol", protocol)], traffic.received());
    }
    let name = "sent_bytes_total";
    page.metric(
        name,
        Kind::Counter,
        "Bytes that went; upstream: to origins.",
    );
    for (protocol, traffic) in &kinds {
        page.sample(name, &[("protocol", protocol)], traffic.sent());
    }
}

fn of_media(page: &mut Page, server: &Server, overview: &Overview) {
    let help = "Publishers that were let in.";
    let published = server.totals.published.get();
    page.one("publishes_total", Kind::Counter, help, published);
    let help = "Players over RTMP and HTTP-FLV that were let in.";
    let played = server.totals.played.get();
    page.one("plays_total", Kind::Counter, help, played);
    let Tally {
        video,
        audio,
        skipped,
    } = server.registry.tally();
    page.metric("frames_total", Kind::Counter, "Frames that came in.");
    page.sample("frames_total", &[("media", "video")], video);
    page.sample("frames_total", &[("media", "audio")], audio);
    let help = "Frames that players were too slow for.";
    page.one("skipped_frames_total", Kind::Counter, help, skipped);
    let live = overview.streams.iter().filter(|one| one.live.is_some());
    let help = "Streams that can be played.";
    page.one("streams", Kind::Gauge, help, live.count());
    let clients = &overview.clients;
    let publishers = clients.iter().filter(|client| client.publishes);
    let help = "Clients that publish.";
    page.one("publishers", Kind::Gauge, help, publishers.count());
    page.metric("players", Kind::Gauge, "Clients that play.");
    for kind in ["rtmp", "flv", "hls"] {
        let of_it = |client: &&_| is_kind(client, kind);
        let count = clients.iter().filter(of_it).count();
        page.sample("players", &[("kind", kind)], count);
    }
}

fn is_kind(client: &crate::server::overview::ClientView, kind: &str) -> bool {
    client.kind.strip_suffix("-play") == Some(kind)
}

/// How much there is of one stream.
type Of = fn(&StreamView) -> u64;

const STREAM: &[(&str, Kind, &str, Of)] = &[
    (
        "stream_players",
        Kind::Gauge,
        "Clients that play the stream.",
        |stream| stream.players,
    ),
    (
        "stream_received_bytes_total",
        Kind::Counter,
        "Bytes from who feeds the stream.",
        |stream| stream.received,
    ),
    (
        "stream_sent_bytes_total",
        Kind::Counter,
        "Bytes of the stream to players over RTMP and HTTP-FLV, or to an origin.",
        |stream| stream.sent,
    ),
    (
        "stream_video_frames_total",
        Kind::Counter,
        "Video frames of the stream that came in.",
        |stream| stream.video_frames,
    ),
    (
        "stream_audio_frames_total",
        Kind::Counter,
        "Audio frames of the stream that came in.",
        |stream| stream.audio_frames,
    ),
    (
        "stream_skipped_frames_total",
        Kind::Counter,
        "Frames of the stream that its players were too slow for.",
        |stream| stream.skipped,
    ),
];

fn of_streams(page: &mut Page, overview: &Overview) {
    let streams = &overview.streams;
    let shown = streams.get(..limits::MAX_METRIC_STREAMS).unwrap_or(streams);
    for (name, kind, help, of) in STREAM {
        page.metric(name, *kind, help);
        for stream in shown {
            let StreamView {
                vhost,
                app,
                name: stream_name,
                ..
            } = stream;
            let labels = [
                ("vhost", vhost.as_str()),
                ("app", app),
                ("stream", stream_name),
            ];
            page.sample(name, &labels, of(stream));
        }
    }
}

/// The text so far. Writing to it cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP srs_lite_{name} {help}");
        let _ = writeln!(self.0, "# TYPE srs_lite_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "srs_lite_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let text = text.escape_default();
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    /// A metric of one sample.
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}
