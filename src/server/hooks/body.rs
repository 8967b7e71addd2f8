//! What a hook is told, in SRS's words (`trunk/src/app/srs_app_http_hooks.cpp`).

use std::env;

use serde_json::{Map, Value, json};

use crate::config::DEFAULT_VHOST;
use crate::config::{HookUrl, HttpHooks};
use crate::server::Server;
use crate::server::hook::{Event, May, Visitor};

/// What is asked or told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'e> {
    May(May),
    Event(&'e Event),
}

impl Subject<'_> {
    /// SRS's name for it.
    pub(super) const fn action(&self) -> &'static str {
        match self {
            Self::May(May::Connect) => "on_connect",
            Self::May(May::Publish) => "on_publish",
            Self::May(May::Play) => "on_play",
            Self::Event(Event::Close(..)) => "on_close",
            Self::Event(Event::Unpublish) => "on_unpublish",
            Self::Event(Event::Stop) => "on_stop",
            Self::Event(Event::Hls(_)) => "on_hls",
        }
    }

    /// Who is to hear it.
    pub(super) fn urls<'h>(&self, hooks: &'h HttpHooks) -> &'h [HookUrl] {
        match self {
            Self::May(May::Connect) => &hooks.on_connect,
            Self::May(May::Publish) => &hooks.on_publish,
            Self::May(May::Play) => &hooks.on_play,
            Self::Event(Event::Close(..)) => &hooks.on_close,
            Self::Event(Event::Unpublish) => &hooks.on_unpublish,
            Self::Event(Event::Stop) => &hooks.on_stop,
            Self::Event(Event::Hls(_)) => &hooks.on_hls,
        }
    }

    /// The body of the request.
    pub(super) fn json(&self, server: &Server, visitor: &Visitor) -> Vec<u8> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        let (names, process) = (&server.names, server.names.process());
        let query = |text: &str| match text {
            "" => String::new(),
            text => format!("?{text}"),
        };
        put("action", self.action().into());
        put("server_id", process.as_str().into());
        put("service_id", process.into());
        put("client_id", names.client(visitor.id).into());
        put("ip", visitor.ip.to_string().into());
        put("vhost", visitor.vhost().unwrap_or(DEFAULT_VHOST).into());
        put("app", visitor.app.as_str().into());
        let is_close = matches!(self, Self::Event(Event::Close(..)));
        if !is_close {
            put("tcUrl", visitor.tc_url.as_str().into());
            put("stream", visitor.stream.as_str().into());
            put("param", query(&visitor.param).into());
        }
        if matches!(self, Self::May(May::Connect | May::Play)) {
            put("pageUrl", visitor.page_url.as_str().into());
        }
        if !is_close && !matches!(self, Self::May(May::Connect)) {
            let (vhost, app) = (visitor.vhost().unwrap_or_default(), &visitor.app);
            // Only that of the default vhost begins with a slash.
            let url = format!("{vhost}/{app}/{}", visitor.stream);
            put(
                "stream_id",
                names.stream(url.trim_start_matches('/')).into(),
            );
            put("stream_url", url.into());
        }
        match self {
            Self::Event(Event::Close(sent, received)) => {
                put("send_bytes", json!(sent));
                put("recv_bytes", json!(received));
            }
            Self::Event(Event::Hls(segment)) => {
                put("duration", json!(segment.duration.as_secs_f64()));
                let cwd = env::current_dir().unwrap_or_default();
                put("cwd", cwd.to_string_lossy().into());
                put("file", segment.file.to_string_lossy().into());
                put("url", segment.url.as_str().into());
                put("m3u8", segment.playlist.to_string_lossy().into());
                put("m3u8_url", segment.playlist_url.as_str().into());
                put("seq_no", json!(segment.number));
            }
            Self::May(_) | Self::Event(Event::Unpublish | Event::Stop) => {}
        }
        Value::Object(body).to_string().into_bytes()
    }
}
