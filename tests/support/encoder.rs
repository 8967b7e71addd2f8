//! An encoder: publishes in real time what HLS can be made of, and comes back when it is disconnected.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::amf::Value;
use super::chunk::Status;
use super::connection::End;
use super::media;
use super::peer::{Publisher, publish_with};
use super::segments::picture;

/// Between two pictures.
const INTERVAL: Duration = Duration::from_millis(40);

/// The server wants us to [E-RTMP v2].
const RECONNECT: &str = "NetConnection.Connect.ReconnectRequest";

/// A keyframe and the pictures that depend on it.
const GROUP: u32 = 25;

/// A running one. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Encoder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// How often it has been told yes.
    turns: AtomicU32,
}

impl Encoder {
    /// Publishes `live/name`; returns at once. `reconnects`: it says that it can reconnect, and does
    /// when it is asked to [E-RTMP v2].
    pub(crate) fn start(address: SocketAddr, name: &str, reconnects: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let (name, ours) = (name.to_owned(), Arc::clone(&shared));
        let run = move || ours.run(address, &name, reconnects);
        let thread = Some(thread::Builder::new().spawn(run).unwrap());
        Self { shared, thread }
    }

    /// How often it has been told that it may publish.
    pub(crate) fn turns(&self) -> u32 {
        self.shared.turns.load(Ordering::Relaxed)
    }

    /// Stops, and fails the test if something failed in it.
    pub(crate) fn stop(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _failed = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, address: SocketAddr, name: &str, reconnects: bool) {
        let capabilities = [("capsEx", Value::from(1.0))];
        let more: &[_] = if reconnects { &capabilities } else { &[] };
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(publisher) = publish_with(address, "live", name, more) {
                self.turns.fetch_add(1, Ordering::Relaxed);
                // However it ended, it comes back.
                let _ended = self.turn(publisher);
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Sends until it is disconnected, asked to reconnect, or stopped. Time begins at 0 again, as
    /// that of encoders does.
    fn turn(&self, mut publisher: Publisher) -> io::Result<()> {
        let began = Instant::now();
        publisher.try_send(18, 0, &media::metadata())?;
        publisher.try_send(9, 0, &media::AVC_HEADER)?;
        publisher.try_send(8, 0, &media::AAC_HEADER)?;
        for index in 0.. {
            let key = index % GROUP == 0;
            let time = (INTERVAL * index).as_millis() as u32;
            publisher.try_send(9, time, &picture(key, 0, &[time as u8 | 1; 400]))?;
            publisher.try_send(8, time, b"\xaf\x01sound")?;
            publisher.try_send(8, time + 20, b"\xaf\x01sound")?;
            match self.listen(&mut publisher, began + INTERVAL * (index + 1)) {
                Heard::Nothing => {}
                Heard::Leave => {
                    publisher.unpublish();
                    break;
                }
                Heard::End => break,
            }
        }
        Ok(())
    }

    /// Reads what the server says until `until`.
    fn listen(&self, publisher: &mut Publisher, until: Instant) -> Heard {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match publisher.connection.receive_within(left) {
                Ok(message) => {
                    let asked = |status: Status| status.code == RECONNECT;
                    if message.status().is_some_and(asked) {
                        return Heard::Leave;
                    }
                }
                Err(End::Silent) if self.stop.load(Ordering::Relaxed) => return Heard::Leave,
                Err(End::Silent) => return Heard::Nothing,
                Err(End::Closed | End::Reset) => return Heard::End,
            }
        }
    }
}

/// What there is to do after a look at what the server says.
enum Heard {
    Nothing,
    Leave,
    End,
}
