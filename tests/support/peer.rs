//! A scripted publisher and a scripted player.

use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Duration;

use super::amf::Value;
use super::chunk::{Message, Status};
use super::connection::{Connection, End};
use super::{DEADLINE, media};

/// Chunk size that OBS and librtmp use.
const CHUNK_SIZE: u32 = 4096;

/// A connection that may send media.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) connection: Connection,
    /// The message stream.
    pub(crate) stream: u32,
    pub(crate) name: String,
}

/// Publishes as OBS 29.0.2 was seen to do; returns when told yes, or with the refusal.
pub(crate) fn publish(address: SocketAddr, app: &str, name: &str) -> Result<Publisher, Status> {
    publish_with(address, app, name, &[])
}

/// The same, with more properties of `connect`.
pub(crate) fn publish_with(
    address: SocketAddr,
    app: &str,
    name: &str,
    more: &[(&str, Value)],
) -> Result<Publisher, Status> {
    let mut connection = Connection::open(address).unwrap();
    connection.set_chunk_size(CHUNK_SIZE);
    connection.connect_with(app, more)?;
    publish_on(connection, name)
}

/// The same on a connection whose `connect` was granted.
pub(crate) fn publish_on(mut connection: Connection, name: &str) -> Result<Publisher, Status> {
    let release = connection.call(0, "releaseStream", &[Value::Null, name.into()]);
    let announce = connection.call(0, "FCPublish", &[Value::Null, name.into()]);
    let create = connection.call(0, "createStream", &[Value::Null]);
    connection.answer(release)?;
    connection.answer(announce)?;
    let stream = connection.answer(create)?[1].number() as u32;
    connection.call(
        stream,
        "publish",
        &[Value::Null, name.into(), "live".into()],
    );
    let status = connection.status()?;
    if status.code != "NetStream.Publish.Start" {
        return Err(status);
    }
    Ok(Publisher::new(connection, stream, name))
}

/// A publisher of `live/name` that was told yes and has sent its headers.
pub(crate) fn publishing(address: SocketAddr, name: &str) -> Publisher {
    let mut publisher = publish(address, "live", name).unwrap();
    publisher.send_headers(0);
    publisher
}

/// Publishes `live/name` at the same moment as everybody at the `barrier`; `None` if told no.
pub(crate) fn race(address: SocketAddr, name: &str, barrier: &Barrier) -> Option<Publisher> {
    let mut connection = Connection::open(address).unwrap();
    connection.connect("live").unwrap();
    let create = connection.call(0, "createStream", &[Value::Null]);
    let stream = connection.answer(create).unwrap()[1].number() as u32;
    let arguments = [Value::Null, name.into(), "live".into()];
    barrier.wait();
    connection.call(stream, "publish", &arguments);
    let status = connection.status().ok()?;
    (status.code == "NetStream.Publish.Start").then(|| Publisher::new(connection, stream, name))
}

impl Publisher {
    /// A connection that was told that it may send.
    pub(crate) fn new(connection: Connection, stream: u32, name: &str) -> Self {
        Self {
            connection,
            stream,
            name: name.to_owned(),
        }
    }

    /// Sends a message on the stream; `csid` is the customary one of the type.
    pub(crate) fn send(&mut self, type_id: u8, timestamp: u32, payload: &[u8]) {
        self.try_send(type_id, timestamp, payload).unwrap();
    }

    /// The same, for a peer that may have closed.
    pub(crate) fn try_send(
        &mut self,
        type_id: u8,
        timestamp: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        self.connection.send(&Message {
            csid: u32::from(type_id.saturating_sub(4).clamp(4, 6)),
            type_id,
            timestamp,
            stream: self.stream,
            payload: payload.to_vec(),
        })
    }

    /// Waits until the server has read and handed on what was sent.
    pub(crate) fn await_read(&mut self) {
        let name = self.name.as_str().into();
        let call = self
            .connection
            .call(0, "releaseStream", &[Value::Null, name]);
        self.connection.answer(call).unwrap();
    }

    /// Metadata and both sequence headers.
    pub(crate) fn send_headers(&mut self, timestamp: u32) {
        self.send(18, timestamp, &media::metadata());
        self.send(9, timestamp, &media::AVC_HEADER);
        self.send(8, timestamp, &media::AAC_HEADER);
    }

    /// A numbered frame of so many bytes.
    pub(crate) fn send_frame(&mut self, kind: media::Kind, number: u32, time: u32, size: usize) {
        let payload = media::frame(kind, number, size);
        self.send(kind.type_id(), time, &payload);
    }

    /// A keyframe and `more` frames of video and audio in turn, numbered from `number`, 20 ms
    /// apart; returns the number after the last.
    pub(crate) fn send_group(&mut self, number: u32, more: u32) -> u32 {
        for index in 0..=more {
            let kind = match index {
                0 => media::Kind::Key,
                _ if index % 2 == 1 => media::Kind::Audio,
                _ => media::Kind::Inter,
            };
            let number = number + index;
            self.send_frame(kind, number, number * 20, 200);
        }
        number + more + 1
    }

    /// A keyframe and 24 more frames, 40 ms apart, a megabyte together; returns the number after the
    /// last.
    pub(crate) fn send_megabyte(&mut self, number: u32) -> u32 {
        for index in number..number + 25 {
            let kind = if index == number {
                media::Kind::Key
            } else {
                media::Kind::Inter
            };
            self.send_frame(kind, index, index * 40, 40_000);
        }
        number + 25
    }

    /// Ends as OBS does.
    pub(crate) fn unpublish(mut self) {
        let name = Value::from(self.name.as_str());
        self.connection.call(0, "FCUnpublish", &[Value::Null, name]);
        let stream = Value::from(f64::from(self.stream));
        self.connection
            .call(0, "deleteStream", &[Value::Null, stream]);
        self.connection.finish();
        // Closing with unread answers would reset the connection and lose the last frames.
        self.connection.drain();
    }
}

/// A connection that asked to play.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) connection: Connection,
    /// The message stream.
    pub(crate) stream: u32,
    /// What it was told.
    pub(crate) told: Vec<Status>,
}

/// Asks to play, without waiting for an answer.
pub(crate) fn play(address: SocketAddr, app: &str, name: &str) -> Player {
    let mut player = Player::open(address, app, None);
    player.play(name);
    player
}

impl Player {
    /// Goes as far as a player can before it names the stream. `buffer`: bytes of its receive
    /// buffer.
    pub(crate) fn open(address: SocketAddr, app: &str, buffer: Option<usize>) -> Self {
        let mut connection = Connection::open_with(address, buffer).unwrap();
        connection.connect(app).unwrap();
        Self::on(connection)
    }

    /// The same on a connection whose `connect` was granted.
    pub(crate) fn on(mut connection: Connection) -> Self {
        let create = connection.call(0, "createStream", &[Value::Null]);
        let stream = connection.answer(create).unwrap()[1].number() as u32;
        Self {
            connection,
            stream,
            told: Vec::new(),
        }
    }

    /// Asks to play. As players do it: no transaction id, so no answer but the status.
    pub(crate) fn play(&mut self, name: &str) {
        let arguments = [Value::Null, name.into(), Value::from(-2000.0)];
        let asked = self
            .connection
            .command(self.stream, "play", 0.0, &arguments);
        asked.unwrap();
    }

    /// The next message of any type.
    pub(crate) fn receive(&mut self) -> Result<Message, End> {
        self.receive_within(DEADLINE)
    }

    /// The next message of any type.
    pub(crate) fn receive_within(&mut self, wait: Duration) -> Result<Message, End> {
        let message = match self.connection.passed.pop_front() {
            Some(message) => message,
            None => self.connection.receive_within(wait)?,
        };
        if message.is_media() {
            assert_eq!(message.stream, self.stream, "media on another stream");
        }
        self.told.extend(message.status());
        Ok(message)
    }

    /// The next audio or video message.
    pub(crate) fn media(&mut self) -> Message {
        loop {
            match self.receive() {
                Ok(message) if message.is_media() => return message,
                Ok(_) => {}
                Err(end) => panic!("no media: {end:?}, told {:?}", self.told),
            }
        }
    }

    /// The next numbered frame, checked to be whole: its number and the message.
    pub(crate) fn frame(&mut self) -> (u32, Message) {
        loop {
            let message = self.media();
            if let Some(number) = media::number(&message) {
                return (number, message);
            }
        }
    }

    /// Reads numbered frames up to `last`; checks that each is followed by its successor and that
    /// the timestamps do not run backwards. Returns the first number.
    pub(crate) fn frames_until(&mut self, last: u32) -> u32 {
        let (first, mut message) = self.frame();
        let mut number = first;
        while number < last {
            let (next, next_message) = self.frame();
            assert_eq!(next, number + 1, "frames lost or out of order");
            assert_forward(&message, &next_message);
            (number, message) = (next, next_message);
        }
        assert_eq!(number, last, "the first frame was {first}");
        first
    }

    /// Waits until the player is told `code`.
    pub(crate) fn wait_told(&mut self, code: &str) -> Status {
        loop {
            if let Some(status) = self.told.iter().find(|status| status.code == code) {
                return status.clone();
            }
            if let Err(end) = self.receive() {
                panic!("never told {code}: {end:?}, told {:?}", self.told);
            }
        }
    }
}

/// Checks that time does not run backwards from one message to the next, modulo 2^32.
pub(crate) fn assert_forward(before: &Message, after: &Message) {
    let step = after.timestamp.wrapping_sub(before.timestamp);
    assert!(
        step < 1 << 31,
        "time runs backwards: {} after {}",
        after.timestamp,
        before.timestamp
    );
}
