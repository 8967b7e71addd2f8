//! A scripted origin: as good, as slow or as silent as a test wants it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::amf::Value;
use super::connection::Connection;
use super::peer::Publisher;

/// A listener that plays an origin. What connects and is not accepted meets silence.
#[derive(Debug)]
pub(crate) struct Origin {
    listener: TcpListener,
}

/// What an edge asked an origin for, before it was answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) connection: Connection,
    /// The argument of `connect`.
    pub(crate) object: Value,
    /// `publish` or `play`.
    pub(crate) command: String,
    /// The name, with its query string.
    pub(crate) name: String,
}

impl Origin {
    /// Listens on a port of its own.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener }
    }

    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Accepts a connection, without a word.
    pub(crate) fn accept_tcp(&self) -> io::Result<TcpStream> {
        Ok(self.listener.accept()?.0)
    }

    /// Accepts a connection and shakes hands.
    pub(crate) fn accept(&self) -> io::Result<Connection> {
        Connection::accepted(self.accept_tcp()?)
    }

    /// Accepts a connection and answers it up to its `publish` or `play`; `None` if it ends before.
    pub(crate) fn asked(&self) -> Option<Asked> {
        Asked::by(self.accept().ok()?)
    }

    /// The same, if a connection waits to be accepted.
    pub(crate) fn poll(&self) -> Option<Asked> {
        self.listener.set_nonblocking(true).unwrap();
        let waiting = self.listener.accept();
        self.listener.set_nonblocking(false).unwrap();
        let (socket, _) = waiting.ok()?;
        Asked::by(Connection::accepted(socket).ok()?)
    }
}

impl Asked {
    /// Answers a connection up to its `publish` or `play`; `None` if it ends before.
    pub(crate) fn by(mut connection: Connection) -> Option<Self> {
        let mut object = Value::Null;
        loop {
            let message = connection.receive().ok()?;
            let Some((command, transaction, arguments)) = message.command() else {
                continue;
            };
            let second = match command.as_str() {
                "connect" => {
                    object = arguments[0].clone();
                    Value::object(&[("code", "NetConnection.Connect.Success".into())])
                }
                "createStream" => Value::from(1.0),
                "publish" | "play" => {
                    return Some(Self {
                        connection,
                        object,
                        command,
                        name: arguments[1].text().to_owned(),
                    });
                }
                _ => Value::Null,
            };
            let answer = [Value::Null, second];
            connection
                .command(0, "_result", transaction, &answer)
                .ok()?;
        }
    }

    /// Says yes. What comes back can send media, as a publisher can.
    pub(crate) fn grant(mut self) -> Publisher {
        let code = match self.command.as_str() {
            "publish" => "NetStream.Publish.Start",
            _ => "NetStream.Play.Start",
        };
        self.answer("status", code, "");
        Publisher::new(self.connection, 1, &self.name)
    }

    /// Says no.
    pub(crate) fn refuse(&mut self, code: &str) {
        self.answer("error", code, "");
    }

    /// Says no, and why.
    pub(crate) fn refuse_with(&mut self, code: &str, why: &str) {
        self.answer("error", code, why);
    }

    fn answer(&mut self, level: &str, code: &str, description: &str) {
        let status = Value::object(&[
            ("level", level.into()),
            ("code", code.into()),
            ("description", description.into()),
        ]);
        let answer = [Value::Null, status];
        self.connection
            .command(1, "onStatus", 0.0, &answer)
            .unwrap();
    }
}
