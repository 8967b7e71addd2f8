//! One RTMP connection of a scripted peer. Every read and write has a deadline.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::DEADLINE;
use super::amf::{self, Value};
use super::chunk::{Cut, Message, Reader, Status, cut};

/// Why nothing more was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The peer closed, after a whole message.
    Closed,
    /// The kernel reset the connection: what was on its way is lost.
    Reset,
    /// The deadline passed.
    Silent,
}

/// A connection after the handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    reader: Reader,
    /// Payload bytes of the chunks we write.
    chunk_size: usize,
    transaction: f64,
    /// What came while we waited for something else.
    pub(crate) passed: VecDeque<Message>,
    /// Bytes received after the handshake's three.
    pub(crate) received: u64,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::open_with(address, None)
    }

    /// Connects with a receive buffer of so many bytes, and shakes hands.
    pub(crate) fn open_with(address: SocketAddr, buffer: Option<usize>) -> io::Result<Self> {
        let mut connection = Self::tcp(address, buffer)?;
        connection.handshake()?;
        Ok(connection)
    }

    /// Takes the server's part on a socket that a listener accepted.
    pub(crate) fn accepted(socket: TcpStream) -> io::Result<Self> {
        let mut connection = Self::on(socket)?;
        let mut c0c1 = vec![0; 1 + 1536];
        connection.socket.read_exact(&mut c0c1)?;
        let mut answer = vec![3; 1 + 1536];
        answer[5..9].fill(0);
        answer.extend(&c0c1[1..]);
        connection.socket.write_all(&answer)?;
        let mut c2 = vec![0; 1536];
        connection.socket.read_exact(&mut c2)?;
        Ok(connection)
    }

    /// Connects; the handshake is up to the test.
    pub(crate) fn tcp(address: SocketAddr, buffer: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), DEADLINE)?;
        Self::on(socket.into())
    }

    /// Over a socket that is connected; the handshake is up to the test.
    pub(crate) fn on(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            socket,
            reader: Reader::new(),
            chunk_size: 128,
            transaction: 0.0,
            passed: VecDeque::new(),
            received: 0,
        })
    }

    /// Shakes hands.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        let mut c0c1 = vec![3; 1 + 1536];
        c0c1[5..9].fill(0);
        self.socket.write_all(&c0c1)?;
        let mut answer = vec![0; 1 + 2 * 1536];
        self.socket.read_exact(&mut answer)?;
        assert_eq!(answer[0], 3, "S0");
        assert_eq!(answer[5..9], [0; 4], "S1 must ask for the simple handshake");
        assert_eq!(answer[1 + 1536 + 8..], c0c1[9..], "S2 must echo C1");
        self.socket.write_all(&answer[1..=1536])
    }

    /// The socket, for what only it can do.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Writes bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Writes a message as an ordinary client would.
    pub(crate) fn send(&mut self, message: &Message) -> io::Result<()> {
        let chunks = cut(message, Cut::plain(self.chunk_size));
        self.send_raw(&chunks.concat())
    }

    /// Announces a chunk size and uses it.
    pub(crate) fn set_chunk_size(&mut self, size: u32) {
        self.send_control(1, &size.to_be_bytes());
        self.chunk_size = size as usize;
    }

    /// Writes a protocol control or user control message.
    pub(crate) fn send_control(&mut self, type_id: u8, payload: &[u8]) {
        self.send(&Message {
            csid: 2,
            type_id,
            payload: payload.to_vec(),
            ..Message::default()
        })
        .unwrap();
    }

    /// Writes a command with a transaction id; returns the id.
    pub(crate) fn call(&mut self, stream: u32, name: &str, arguments: &[Value]) -> f64 {
        self.transaction += 1.0;
        self.command(stream, name, self.transaction, arguments)
            .unwrap();
        self.transaction
    }

    /// Writes a command.
    pub(crate) fn command(
        &mut self,
        stream: u32,
        name: &str,
        transaction: f64,
        arguments: &[Value],
    ) -> io::Result<()> {
        let mut values = vec![name.into(), transaction.into()];
        values.extend_from_slice(arguments);
        self.send(&Message {
            // As librtmp.
            csid: match name {
                "publish" => 4,
                _ if stream == 0 => 3,
                _ => 8,
            },
            type_id: 20,
            stream,
            payload: amf::encode(&values),
            ..Message::default()
        })
    }

    /// Waits for the answer to a call: its arguments, or the status that refuses it. Other messages
    /// go to [`Self::passed`].
    pub(crate) fn answer(&mut self, transaction: f64) -> Result<Vec<Value>, Status> {
        loop {
            let message = self.receive().map_err(end_as_status)?;
            match message.command() {
                Some((name, id, arguments)) if name == "_result" && id == transaction => {
                    return Ok(arguments);
                }
                Some((name, id, arguments)) if name == "_error" && id == transaction => {
                    return Err(Status::from_value(&arguments[1]));
                }
                _ => self.passed.push_back(message),
            }
        }
    }

    /// Waits for an `onStatus`. Other messages go to [`Self::passed`].
    pub(crate) fn status(&mut self) -> Result<Status, Status> {
        loop {
            let message = self.receive().map_err(end_as_status)?;
            match message.status() {
                Some(status) => return Ok(status),
                None => self.passed.push_back(message),
            }
        }
    }

    /// The `connect` of an ordinary client.
    pub(crate) fn connect(&mut self, app: &str) -> Result<Vec<Value>, Status> {
        self.connect_with(app, &[])
    }

    /// The same, with more properties.
    pub(crate) fn connect_with(
        &mut self,
        app: &str,
        more: &[(&str, Value)],
    ) -> Result<Vec<Value>, Status> {
        let address = self.socket.peer_addr().unwrap();
        let url = format!("rtmp://{address}/{app}");
        // Of two with one name, the first counts.
        let mut properties = more.to_vec();
        properties.extend([
            ("app", app.into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
            ("tcUrl", url.as_str().into()),
        ]);
        let object = Value::object(&properties);
        let call = self.call(0, "connect", &[object]);
        self.answer(call)
    }

    /// The next message, within the general deadline.
    pub(crate) fn receive(&mut self) -> Result<Message, End> {
        self.receive_within(DEADLINE)
    }

    /// The next message.
    pub(crate) fn receive_within(&mut self, wait: Duration) -> Result<Message, End> {
        let deadline = Instant::now() + wait;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(message) = self.reader.next_message() {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(End::Silent);
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    assert!(!self.reader.is_within_message(), "closed within a message");
                    return Err(End::Closed);
                }
                Ok(length) => {
                    self.received += length as u64;
                    self.reader.push(&buffer[..length]);
                }
                Err(error) if timed_out(&error) => return Err(End::Silent),
                Err(_) => return Err(End::Reset),
            }
        }
    }

    /// Reads until the peer ends the connection, and returns how, with what came before.
    pub(crate) fn drain(&mut self) -> (Vec<Message>, End) {
        let mut messages = Vec::new();
        loop {
            match self.receive() {
                Ok(message) => messages.push(message),
                Err(end) => return (messages, end),
            }
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&self) {
        let _gone = self.socket.shutdown(Shutdown::Write);
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A connection that ended instead of an answer.
fn end_as_status(end: End) -> Status {
    Status {
        level: "end".to_owned(),
        code: format!("{end:?}"),
        description: String::new(),
    }
}
