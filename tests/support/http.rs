//! A scripted HTTP client, and what it gets of HTTP-FLV.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::SockRef;

use super::DEADLINE;
use super::chunk::Message;
use super::media;

/// A server with HTTP on a port of its own, serving `html` in its directory, and HTTP-FLV.
pub(crate) const CONFIG: &str = include_str!("http.conf");

/// A connection, as raw as a test wants it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// From the status line to the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field that is there once, or not at all.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {}", self.head);
        value
    }
}

/// One `GET` on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Response {
    let mut client = Client::open(address);
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    client.response(true)
}

impl Client {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            unread: Vec::new(),
        }
    }

    /// Shrinks the receive buffer, so that not reading is soon felt.
    pub(crate) fn shrink(self) -> Self {
        let socket = SockRef::from(&self.socket);
        // Not so small that the kernel sends it drops.
        socket.set_recv_buffer_size(128 * 1024).unwrap();
        self
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).unwrap();
    }

    /// The next response; `with_body`: of the length that its head says.
    pub(crate) fn response(&mut self, with_body: bool) -> Response {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more(), "closed before a response: {:?}", self.unread);
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let line = head.strip_prefix("HTTP/1.1 ").unwrap();
        let status = line.split(' ').next().unwrap().parse();
        let mut response = Response {
            status: status.unwrap(),
            head,
            body: Vec::new(),
        };
        let length = response.field("Content-Length").map(str::parse);
        if let Some(Ok(length)) = length.filter(|_| with_body) {
            response.body = self.take(length);
        }
        response
    }

    /// Whether the connection has ended, with nothing unread.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more()
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.more(), "closed in the middle");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads once; false at the end, also if that is a reset.
    pub(crate) fn more(&mut self) -> bool {
        let mut buffer = vec![0; 256 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A player of HTTP-FLV that has been told yes.
#[derive(Debug)]
pub(crate) struct FlvPlayer {
    pub(crate) client: Client,
    /// Audio and video, as the FLV header says.
    pub(crate) flags: u8,
}

impl FlvPlayer {
    /// Plays `live/name`, with a query string if `name` has one behind `.flv`.
    pub(crate) fn play(address: SocketAddr, name: &str) -> Self {
        Self::asked(Client::open(address), name)
    }

    /// The same on this connection.
    pub(crate) fn asked(mut client: Client, name: &str) -> Self {
        let host = client.socket.peer_addr().unwrap();
        client.send(&format!(
            "GET /live/{name} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ));
        let response = client.response(false);
        assert_eq!(response.status, 200, "{}", response.head);
        assert_eq!(response.field("Content-Type"), Some("video/x-flv"));
        assert_eq!(response.field("Connection"), Some("close"));
        assert_eq!(response.field("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(response.field("Content-Length"), None);
        let header = client.take(13);
        assert_eq!(header[..4], *b"FLV\x01");
        assert_eq!(header[5..], [0, 0, 0, 9, 0, 0, 0, 0]);
        let flags = header[4];
        Self { client, flags }
    }

    /// The next tag; `None` at the end of the stream, between two tags.
    pub(crate) fn tag(&mut self) -> Option<Message> {
        if self.client.unread.is_empty() && !self.client.more() {
            return None;
        }
        let header = self.client.take(11);
        let u24 = |at: usize| u32::from_be_bytes([0, header[at], header[at + 1], header[at + 2]]);
        let length = u24(1);
        assert_eq!(u24(8), 0, "a stream id");
        let payload = self.client.take(length as usize);
        let size = self.client.take(4);
        assert_eq!(size, (length + 11).to_be_bytes());
        Some(Message {
            type_id: header[0],
            timestamp: u24(4) | u32::from(header[7]) << 24,
            payload,
            ..Message::default()
        })
    }

    /// The next audio or video.
    pub(crate) fn media(&mut self) -> Message {
        loop {
            let tag = self.tag().expect("the stream is over");
            if tag.is_media() {
                return tag;
            }
        }
    }

    /// The next numbered frame.
    pub(crate) fn frame(&mut self) -> (u32, Message) {
        loop {
            let tag = self.media();
            if let Some(number) = media::number(&tag) {
                return (number, tag);
            }
        }
    }

    /// Reads frames up to `last`, without a gap; the number of the first.
    pub(crate) fn frames_until(&mut self, last: u32) -> u32 {
        let (first, _) = self.frame();
        let mut number = first;
        while number < last {
            let (next, _) = self.frame();
            assert_eq!(next, number + 1);
            number = next;
        }
        first
    }
}
