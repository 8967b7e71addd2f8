//! One RTMP connection to the server that is measured: bytes in, bytes out, no socket.

use bytes::BytesMut;
use srs_lite::session::acknowledgement::Acknowledger;
use srs_lite::session::action::chunks;
use srs_lite::session::assembler::Assembler;
use srs_lite::session::client::{ClientRequest, ClientSession, Event, Purpose};
use srs_lite::session::media::Media;
use srs_lite::session::server::Via;
use srs_lite::wire::handshake::{OPENING_LENGTH, PACKET_LENGTH, c0_c1};

use crate::url::Url;

/// What the server said that matters here.
#[derive(Debug)]
pub(crate) enum Said {
    /// We may publish on this message stream, or media will come.
    Yes(u32),
    /// A message of the stream.
    Media(Media),
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Rtmp {
    /// What is asked for once the handshake is over.
    asked: Option<ClientRequest>,
    session: Option<ClientSession>,
    assembler: Assembler,
    acknowledger: Acknowledger,
    /// What has come of the server's part of the handshake is dropped with it.
    handshake: bool,
}

impl Rtmp {
    /// A connection that asks for `path`, and its first bytes. `seed` makes them differ from those
    /// of others.
    pub(crate) fn open(
        purpose: Purpose,
        host: &str,
        path: &str,
        seed: u64,
        out: &mut Vec<u8>,
    ) -> Self {
        let (app, stream) = Url::app_and_stream(path);
        out.extend_from_slice(&c0_c1(seed));
        let mut assembler = Assembler::default();
        assembler.trust();
        Self {
            asked: Some(ClientRequest {
                vhost: None,
                purpose,
                host: host.to_owned(),
                app: app.to_owned(),
                stream: stream.to_owned(),
                via: Via::default(),
            }),
            session: None,
            assembler,
            acknowledger: Acknowledger::default(),
            handshake: true,
        }
    }

    /// `length` bytes have come, and are at the end of `input`.
    ///
    /// # Errors
    ///
    /// Why the connection is over.
    pub(crate) fn received(
        &mut self,
        length: usize,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
        mut said: impl FnMut(Said),
    ) -> Result<(), String> {
        let mut events = Vec::new();
        if self.handshake {
            const BOTH: usize = OPENING_LENGTH + PACKET_LENGTH;
            if input.len() < BOTH {
                return Ok(());
            }
            let opening = input.split_to(BOTH);
            let s1 = opening.get(1..OPENING_LENGTH).unwrap_or_default();
            out.extend_from_slice(s1);
            self.handshake = false;
            let asked = self.asked.take();
            self.session = asked.map(|asked| ClientSession::new(asked, &mut events));
        }
        if let Some(message) = self.acknowledger.received(length) {
            out.extend_from_slice(&chunks(&message));
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        loop {
            for event in events.drain(..) {
                match event {
                    Event::Send(bytes) => out.extend_from_slice(&bytes),
                    Event::Granted(stream) => said(Said::Yes(stream)),
                    Event::Deliver(media) => said(Said::Media(media)),
                    Event::Refused(code, why) => return Err(format!("refused: {code} ({why})")),
                    Event::Redirect(url) => return Err(format!("the stream is at {url}")),
                    // Who measures stays until the end.
                    Event::Reconnect => {}
                    Event::Ended => return Err("the stream is over".to_owned()),
                }
            }
            let next = self.assembler.next_message(input);
            let Some(message) = next.map_err(|error| error.to_string())? else {
                return Ok(());
            };
            self.acknowledger.heed(&message);
            let handled = session.handle(message, &mut events);
            handled.map_err(|error| error.to_string())?;
        }
    }
}
