//! Replies in the words of SRS. What SRS does not have comes behind: see the README.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::code;
use super::process::milliseconds_now;
use crate::config::{DEFAULT_VHOST, Vhost};
use crate::server::Server;
use crate::server::overview::{ClientView, LinkView, Overview, StreamView};
use crate::wire::codec::{Audio, Video};

/// What every reply has.
pub(super) fn common(server: &Server) -> Map<String, Value> {
    super::object([
        ("code", code::OK.into()),
        ("server", server.names.process().into()),
        ("service", server.names.process().into()),
        ("pid", std::process::id().to_string().into()),
    ])
}

/// A reply with one more member.
pub(super) fn with(reply: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut reply = reply.clone();
    reply.insert(name.to_owned(), value);
    reply
}

/// Where the others are.
pub(super) fn root(server: &Server) -> Map<String, Value> {
    let urls = json!({
        "versions": "the version",
        "summaries": "the process and the machine",
        "rusages": "what the process has used",
        "self_proc_stats": "what the kernel says of the process",
        "vhosts": "vhosts, or one of them",
        "streams": "streams, or one of them",
        "clients": "publishers and players, or one of them, which DELETE ends",
        "overview": "all of it, in words of our own",
    });
    with(&common(server), "urls", urls)
}

/// The version.
pub(super) fn versions() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or_default();
    json!({
        "major": next(),
        "minor": next(),
        "revision": next(),
        "version": version,
    })
}

/// One line for each process.
pub(super) fn processes(overviews: &[Overview]) -> Value {
    let process = |one: &Overview| {
        json!({
            "pid": one.process.to_string(),
            "server": one.id,
            "version": one.version,
            "uptime": one.uptime,
            "connections": one.connections,
            "max_connections": one.max_connections,
            "recv_bytes": one.received,
            "send_bytes": one.sent,
            "kbps": kbps(one.received_kbps, one.sent_kbps),
        })
    };
    Value::Array(overviews.iter().map(process).collect())
}

/// Vhosts, streams and clients of one or more processes.
pub(super) struct Lists<'a> {
    server: &'a Server,
    overviews: &'a [Overview],
}

impl<'a> Lists<'a> {
    pub(super) const fn new(server: &'a Server, overviews: &'a [Overview]) -> Self {
        Self { server, overviews }
    }

    pub(super) fn vhosts(&self) -> Vec<Value> {
        let config = self.server.config();
        let named = config.all_vhosts();
        let named = named.map(|(name, _)| (name.unwrap_or(DEFAULT_VHOST), [0_u64; 6]));
        let mut vhosts: BTreeMap<_, _> = named.collect();
        let streams = self.overviews.iter().flat_map(|one| &one.streams);
        for stream in streams {
            let clients = stream.players.saturating_add(publishers(stream));
            let more = [
                clients,
                u64::from(stream.live.is_some()),
                stream.sent,
                stream.received,
                stream.received_kbps,
                stream.sent_kbps,
            ];
            let sums = vhosts.entry(&*stream.vhost).or_default();
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = sum.saturating_add(more);
            }
        }
        let vhosts = vhosts.into_iter();
        vhosts
            .map(|(name, sums)| {
                let [clients, streams, sent, received, received_kbps, sent_kbps] = sums;
                json!({
                    "id": self.server.names.vhost(name),
                    "name": name,
                    // The default vhost has no name there.
                    "enabled": config.vhost(Some(name)).enabled,
                    "clients": clients,
                    "streams": streams,
                    "send_bytes": sent,
                    "recv_bytes": received,
                    "kbps": kbps(received_kbps, sent_kbps),
                    "hls": hls(config.vhost(Some(name))),
                })
            })
            .collect()
    }

    pub(super) fn streams(&self) -> Vec<Value> {
        let of_one = |one: &'a Overview| {
            let streams = one.streams.iter();
            streams.map(move |stream| self.stream(one, stream))
        };
        self.overviews.iter().flat_map(of_one).collect()
    }

    fn stream(&self, process: &Overview, stream: &StreamView) -> Value {
        let is_publisher = |client: &&ClientView| Some(&client.id) == stream.publisher.as_ref();
        let publisher = process.clients.iter().find(is_publisher);
        let mut publish = super::object([("active", stream.live.is_some().into())]);
        if let Some(cid) = &stream.publisher {
            publish.insert("cid".to_owned(), cid.as_str().into());
        }
        json!({
            "id": stream.id,
            "name": stream.name,
            "vhost": self.server.names.vhost(&stream.vhost),
            "app": stream.app,
            "tcUrl": publisher.map_or("", |publisher| &publisher.tc_url),
            "url": url(&stream.vhost, &stream.app, &stream.name),
            "live_ms": milliseconds_now(),
            "clients": stream.players.saturating_add(publishers(stream)),
            "frames": stream.video_frames,
            "send_bytes": stream.sent,
            "recv_bytes": stream.received,
            "kbps": kbps(stream.received_kbps, stream.sent_kbps),
            "publish": publish,
            "video": stream.video.as_ref().map(video),
            "audio": stream.audio.as_ref().map(audio),
            "players": stream.players,
            "fps": stream.fps,
            "audio_frames": stream.audio_frames,
            "skipped": stream.skipped,
            "uptime": stream.live,
            "pull": stream.pull.as_ref().map(link),
            "forward": stream.forward.as_ref().map(link),
            "hls": stream.hls.map(|written| json!({ "written": written })),
            "process": process.process.to_string(),
        })
    }

    pub(super) fn clients(&self) -> Vec<Value> {
        let of_one = |one: &'a Overview| {
            let clients = one.clients.iter();
            clients.map(move |client| self.client(one, client))
        };
        self.overviews.iter().flat_map(of_one).collect()
    }

    fn client(&self, process: &Overview, client: &ClientView) -> Value {
        json!({
            "id": client.id,
            "vhost": self.server.names.vhost(&client.vhost),
            "stream": client.stream,
            "ip": client.ip,
            "pageUrl": client.page_url,
            "swfUrl": client.swf_url,
            "tcUrl": client.tc_url,
            "url": url(&client.vhost, &client.app, &client.name),
            "name": client.name,
            "type": client.kind,
            "publish": client.publishes,
            "alive": client.alive,
            "send_bytes": client.sent,
            "recv_bytes": client.received,
            "kbps": kbps(client.received_kbps, client.sent_kbps),
            "number": client.number,
            "peer": client.peer,
            "skipped": client.skipped,
            "process": process.process.to_string(),
        })
    }
}

/// What SRS says of a vhost's HLS.
fn hls(vhost: &Vhost) -> Value {
    match &vhost.hls {
        None => json!({ "enabled": false }),
        Some(hls) => json!({ "enabled": true, "fragment": hls.fragment.as_secs_f64() }),
    }
}

fn publishers(stream: &StreamView) -> u64 {
    u64::from(stream.publisher.is_some())
}

fn kbps(received: u64, sent: u64) -> Value {
    json!({ "recv_30s": received, "send_30s": sent })
}

/// As SRS writes it, without scheme; of the default vhost without that.
fn url(vhost: &str, app: &str, name: &str) -> String {
    match vhost {
        DEFAULT_VHOST => format!("/{app}/{name}"),
        vhost => format!("{vhost}/{app}/{name}"),
    }
}

fn video(video: &Video) -> Value {
    json!({
        "codec": video.codec,
        "profile": video.profile,
        "level": video.level,
        "width": video.width,
        "height": video.height,
    })
}

fn audio(audio: &Audio) -> Value {
    json!({
        "codec": audio.codec,
        "sample_rate": audio.sample_rate,
        "channel": audio.channels,
        "profile": audio.profile,
    })
}

fn link(link: &LinkView) -> Value {
    json!({ "at": link.at })
}
