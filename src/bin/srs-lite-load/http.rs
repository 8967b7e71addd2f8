//! Players over HTTP: bytes in, requests out, no socket.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use crate::flv::Tags;
use crate::report::Stats;
use crate::ts::Segment;
use crate::watch::Watch;

/// Longest head of a response, and longest playlist.
const MAX_HEAD: usize = 16 * 1024;
const MAX_PLAYLIST: usize = 4 * 1024 * 1024;

/// Segments before the end at which a player starts [HLS §6.3.3].
const FROM_END: usize = 3;

/// The head of a response.
#[derive(Clone, Copy, Debug)]
struct Response {
    status: u16,
    length: Option<usize>,
    chunked: bool,
}

impl Response {
    /// Takes it off the front of `input`; `None` asks for more bytes.
    fn take(input: &mut BytesMut) -> Result<Option<Self>, String> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response
            .parse(input)
            .map_err(|error| format!("HTTP: {error}"))?;
        let httparse::Status::Complete(taken) = parsed else {
            let long = input.len() > MAX_HEAD;
            return if long {
                Err("HTTP: a head without an end".to_owned())
            } else {
                Ok(None)
            };
        };
        let field = |name| {
            let mut fields = response.headers.iter();
            let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
            core::str::from_utf8(field.value).ok()
        };
        let head = Self {
            status: response.code.unwrap_or(0),
            length: field("content-length").and_then(|value| value.trim().parse().ok()),
            chunked: field("transfer-encoding").is_some(),
        };
        input.advance(taken);
        Ok(Some(head))
    }
}

/// The request for `path`.
fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: srs-lite-load\r\n\r\n")
        .into_bytes()
}

/// A player of a live FLV file.
#[derive(Debug, Default)]
pub(crate) struct Flv {
    answered: bool,
    tags: Tags,
}

impl Flv {
    /// A player of `path`, and its request.
    pub(crate) fn open(host: &str, path: &str, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&get(host, path));
        Self::default()
    }

    /// Bytes have come, and are at the end of `input`.
    ///
    /// # Errors
    ///
    /// Why the player ends.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        now: u64,
        watch: &mut Watch,
        stats: &mut Stats,
    ) -> Result<(), String> {
        if !self.answered {
            let Some(response) = Response::take(input)? else {
                return Ok(());
            };
            if response.status != 200 {
                return Err(format!("HTTP: status {}", response.status));
            }
            if response.chunked {
                return Err("HTTP: a chunked response, which is not understood here".to_owned());
            }
            self.answered = true;
        }
        while let Some(tag) = self.tags.next(input)? {
            watch.message(tag.type_id, &tag.body, now, stats);
        }
        Ok(())
    }
}

/// A player of HLS, over one connection.
#[derive(Debug)]
pub(crate) struct Hls {
    host: String,
    playlist: String,
    /// What has been asked for; `None`: nothing, until it is time for the playlist again.
    asked: Option<Asked>,
    /// When to ask for the playlist again, in microseconds.
    again: u64,
    response: Option<Response>,
    /// Paths of segments to fetch, and the number of the one after them.
    segments: VecDeque<String>,
    next: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    Playlist,
    Segment,
}

impl Hls {
    /// A player of `path`, and its first request.
    pub(crate) fn open(host: &str, path: &str, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&get(host, path));
        Self {
            host: host.to_owned(),
            playlist: path.to_owned(),
            asked: Some(Asked::Playlist),
            again: 0,
            response: None,
            segments: VecDeque::new(),
            next: None,
        }
    }

    /// Asks for what is due.
    pub(crate) fn ask(&mut self, now: u64, out: &mut Vec<u8>) {
        if self.asked.is_some() {
            return;
        }
        if let Some(path) = self.segments.pop_front() {
            out.extend_from_slice(&get(&self.host, &path));
            self.asked = Some(Asked::Segment);
        } else if now >= self.again {
            out.extend_from_slice(&get(&self.host, &self.playlist));
            self.asked = Some(Asked::Playlist);
        }
    }

    /// Bytes have come, and are at the end of `input`.
    ///
    /// # Errors
    ///
    /// Why the player ends.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        now: u64,
        watch: &mut Watch,
        stats: &mut Stats,
    ) -> Result<(), String> {
        loop {
            let response = match self.response {
                Some(response) => response,
                None => {
                    let Some(response) = Response::take(input)? else {
                        return Ok(());
                    };
                    *self.response.insert(response)
                }
            };
            let length = response.length.ok_or("HTTP: a response without a length")?;
            if input.len() < length {
                return Ok(());
            }
            let body = input.split_to(length);
            self.response = None;
            match (self.asked.take(), response.status) {
                // It may not have been written yet, or be gone: ask again in a second.
                (Some(Asked::Playlist), 404) => self.again = now.saturating_add(1_000_000),
                (Some(Asked::Playlist), 200) => self.listed(&body, now)?,
                (Some(Asked::Segment), 200) => Segment::new(&body).watch(now, watch, stats),
                (_, status) => return Err(format!("HTTP: status {status}")),
            }
        }
    }

    /// Looks what is new in the playlist.
    fn listed(&mut self, body: &[u8], now: u64) -> Result<(), String> {
        let text = core::str::from_utf8(body).map_err(|_| "a playlist that is no text")?;
        if !text.starts_with("#EXTM3U") || body.len() > MAX_PLAYLIST {
            return Err("it is not a playlist".to_owned());
        }
        let value = |tag| text.lines().find_map(|line| line.strip_prefix(tag));
        let target: u64 = value("#EXT-X-TARGETDURATION:")
            .and_then(|n| n.parse().ok())
            .unwrap_or(10);
        self.again = now.saturating_add(target.saturating_mul(500_000));
        let first: u64 = value("#EXT-X-MEDIA-SEQUENCE:")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let paths: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let (directory, _) = self.playlist.rsplit_once('/').unwrap_or_default();
        let from_end = paths.len().saturating_sub(FROM_END);
        let from = u64::try_from(from_end).unwrap_or(0).saturating_add(first);
        let next = self.next.unwrap_or(from);
        for (number, path) in (first..).zip(&paths).filter(|&(number, _)| number >= next) {
            self.segments.push_back(match path.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None => format!("{directory}/{path}"),
            });
            self.next = Some(number.saturating_add(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_of_hls_starts_near_the_end_and_asks_for_what_is_new() {
        let mut out = Vec::new();
        let mut hls = Hls::open("a", "live/x.m3u8", &mut out);
        assert!(out.starts_with(b"GET /live/x.m3u8 HTTP/1.1\r\nHost: a\r\n"));
        let (mut watch, mut stats) = (Watch::new(0), Stats::default());
        let mut answer = |hls: &mut Hls, body: &str| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut input = BytesMut::from(format!("{head}{body}").as_bytes());
            hls.received(&mut input, 0, &mut watch, &mut stats).unwrap();
            assert!(input.is_empty());
        };
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n";
        answer(
            &mut hls,
            &format!("{head}#EXTINF:2,\nx/7.ts\n#EXTINF:2,\nx/8.ts\nx/9.ts\nx/10.ts\n"),
        );
        for number in [8, 9, 10] {
            let mut out = Vec::new();
            hls.ask(0, &mut out);
            let expected = format!("GET /live/x/{number}.ts ");
            assert!(out.starts_with(expected.as_bytes()));
            answer(&mut hls, "");
        }
        let mut out = Vec::new();
        hls.ask(999_999, &mut out);
        assert!(out.is_empty());
        hls.ask(1_000_000, &mut out);
        assert!(out.starts_with(b"GET /live/x.m3u8 "));
        answer(
            &mut hls,
            &format!("{head}x/7.ts\nx/8.ts\nx/9.ts\nx/10.ts\nx/11.ts\n"),
        );
        assert_eq!(hls.segments, ["live/x/11.ts"]);
    }

    #[test]
    fn a_refusal_ends_a_player() {
        let mut out = Vec::new();
        let mut flv = Flv::open("a", "live/x.flv", &mut out);
        let mut input = BytesMut::from(&b"HTTP/1.1 404 Not Found\r\n\r\n"[..]);
        let (mut watch, mut stats) = (Watch::new(0), Stats::default());
        let ended = flv.received(&mut input, 0, &mut watch, &mut stats);
        assert_eq!(ended.unwrap_err(), "HTTP: status 404");
    }
}
