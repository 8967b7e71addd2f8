//! Encoders: one thread gives every stream its frames when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use srs_lite::session::action::chunks;
use srs_lite::session::client::Purpose;
use srs_lite::wire::command::SET_DATA_FRAME;
use srs_lite::wire::message::{RawMessage, type_id};

use crate::flv::{File, Reel};
use crate::play::Shared;
use crate::report::Stats;
use crate::rtmp::{Rtmp, Said};
use crate::stamp::{self, Stamp};
use crate::url::Url;

/// Bytes that may wait for a server that takes them too slowly.
const MAX_WAITING: usize = 8 * 1024 * 1024;

/// Streams begin spread over this, in microseconds: encoders are not in step.
const SPREAD: u64 = 2_000_000;

/// Until a server lets us publish, in microseconds.
const PATIENCE: u64 = 15_000_000;

#[derive(Debug)]
struct Publisher {
    socket: TcpStream,
    rtmp: Rtmp,
    input: BytesMut,
    out: Vec<u8>,
    /// Given with the yes.
    stream: Option<u32>,
    /// Until when it must be there.
    deadline: u64,
    /// Where it is, once it has begun.
    reel: Option<Reel>,
}

/// Publishes `file` as `count` streams until it is over.
pub(crate) fn run(file: &File, url: &Url, address: SocketAddr, count: usize, shared: &Arc<Shared>) {
    let mut publishers = Vec::new();
    let mut due = BinaryHeap::new();
    let gap = u64::try_from(count)
        .ok()
        .and_then(|count| SPREAD.checked_div(count))
        .unwrap_or(0);
    let begun = stamp::now();
    for number in 1..=count {
        match Publisher::open(url, address, number) {
            Ok(publisher) => {
                let index = u64::try_from(publishers.len()).unwrap_or(0);
                let at = begun.saturating_add(gap.saturating_mul(index));
                due.push(Reverse((at, publishers.len())));
                publishers.push(publisher);
            }
            Err(error) => shared.stats().fail(&format!("connect: {error}")),
        }
    }
    if publishers.is_empty() {
        shared.begun.store(true, Ordering::Relaxed);
    }
    let mut buffer = vec![0; 16 * 1024];
    while let Some(Reverse((at, index))) = due.pop() {
        let wait = Duration::from_micros(at.saturating_sub(stamp::now()));
        thread::sleep(wait.min(Duration::from_millis(100)));
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let now = stamp::now();
        if at > now {
            due.push(Reverse((at, index)));
            continue;
        }
        let Some(publisher) = publishers.get_mut(index) else {
            continue;
        };
        let mut stats = shared.stats();
        let was_live = publisher.stream.is_some();
        match publisher.turn(file, now, &mut buffer, &mut stats) {
            Ok(next) => {
                due.push(Reverse((next, index)));
                if publisher.stream.is_some() && !was_live {
                    stats.live = stats.live.saturating_add(1);
                }
            }
            Err(why) => {
                stats.fail(&why);
                stats.live = stats.live.saturating_sub(u64::from(was_live));
            }
        }
        let settled = stats.live.saturating_add(stats.ended());
        if settled >= u64::try_from(count).unwrap_or(0) {
            shared.begun.store(true, Ordering::Relaxed);
        }
    }
}

impl Publisher {
    fn open(url: &Url, address: SocketAddr, number: usize) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let seed = u64::try_from(number).unwrap_or(0);
        let mut out = Vec::new();
        let path = url.path(number);
        let rtmp = Rtmp::open(Purpose::Publish, &url.host, &path, seed, &mut out);
        Ok(Self {
            socket,
            rtmp,
            input: BytesMut::new(),
            out,
            stream: None,
            deadline: stamp::now().saturating_add(PATIENCE),
            reel: None,
        })
    }

    /// Sends what is due; when to come again.
    fn turn(
        &mut self,
        file: &File,
        now: u64,
        buffer: &mut [u8],
        stats: &mut Stats,
    ) -> Result<u64, String> {
        self.receive(buffer)?;
        let Some(stream) = self.stream else {
            self.send()?;
            if now >= self.deadline {
                return Err("not allowed to publish within 15 s".to_owned());
            }
            return Ok(now.saturating_add(1000));
        };
        if self.reel.is_none() {
            for tag in &file.head {
                let body = match tag.type_id {
                    type_id::DATA_AMF0 => [SET_DATA_FRAME, &tag.body].concat().into(),
                    _ => tag.body.clone(),
                };
                self.push(stream, tag.type_id, 0, body);
            }
        }
        loop {
            let reel = self.reel.get_or_insert_with(|| Reel::new(now));
            let due = match reel.next(file, now) {
                Ok(due) => due,
                Err(at) => {
                    stats.bytes = stats.bytes.saturating_add(self.send()?);
                    return Ok(at);
                }
            };
            let stamp = Stamp {
                number: due.number,
                sent: now,
            };
            let tag = &due.frame.tag;
            let body = due.frame.place.put(stamp, &tag.body);
            self.push(stream, tag.type_id, due.timestamp, body.into());
            stats.frames = stats.frames.saturating_add(1);
        }
    }

    fn push(&mut self, stream: u32, type_id: u8, timestamp: u32, payload: Bytes) {
        let message_stream_id = stream;
        let message = RawMessage {
            type_id,
            timestamp,
            message_stream_id,
            payload,
        };
        self.out.extend_from_slice(&chunks(&message));
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        let length = match self.socket.read(buffer) {
            Ok(0) => return Err("closed by the server".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        self.input
            .extend_from_slice(buffer.get(..length).unwrap_or_default());
        let stream = &mut self.stream;
        self.rtmp
            .received(length, &mut self.input, &mut self.out, |said| {
                if let Said::Yes(id) = said {
                    *stream = Some(id);
                }
            })
    }

    /// Writes what the socket takes; how much that was.
    fn send(&mut self) -> Result<u64, String> {
        let mut sent = 0;
        while let Some(rest) = self.out.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(length) => sent = sent.saturating_add(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        self.out.drain(..sent.min(self.out.len()));
        if self.out.len() > MAX_WAITING {
            return Err("the server takes the stream too slowly".to_owned());
        }
        Ok(u64::try_from(sent).unwrap_or(0))
    }
}
