//! How far a peer has got when it attacks.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::bystander::Bystander;
use crate::support::chunk::Message;
use crate::support::connection::Connection;
use crate::support::media::Kind;
use crate::support::peer::{Player, Publisher, play, publishing};

/// What a peer has done so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// The handshake.
    Early,
    /// Also `connect` and `createStream`.
    Idle,
    /// It publishes a stream of its own, which nobody plays.
    Publishing,
    /// It plays the stream that must not be disturbed.
    Playing,
}

impl Stage {
    /// All but the first.
    pub(crate) const CONNECTED: [Self; 3] = [Self::Idle, Self::Publishing, Self::Playing];

    /// A peer that has got so far.
    pub(crate) fn reach(self, bystander: &Bystander) -> Connection {
        let address = bystander.address();
        match self {
            Self::Early => Connection::open(address).unwrap(),
            Self::Idle => Player::open(address, "live", None).connection,
            Self::Publishing => publisher(bystander).connection,
            Self::Playing => {
                let mut player = play(address, "live", "bystander");
                player.frame();
                player.connection
            }
        }
    }
}

/// A publisher of a stream of its own, after its headers.
pub(crate) fn publisher(bystander: &Bystander) -> Publisher {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    publishing(bystander.address(), &format!("attacker-{number}"))
}

/// A publisher that has sent frame 1, and a player that has got it.
pub(crate) fn watched(bystander: &Bystander) -> (Publisher, Player) {
    let mut publisher = publisher(bystander);
    publisher.send_frame(Kind::Key, 1, 0, 100);
    let mut player = play(bystander.address(), "live", &publisher.name);
    assert_eq!(player.frame().0, 1);
    (publisher, player)
}

/// Asserts that whoever does this at `stage` is let go for the reason `why`.
pub(crate) fn assert_ends(
    bystander: &Bystander,
    stage: Stage,
    why: &str,
    attack: impl FnOnce(&mut Connection),
) {
    let mut connection = stage.reach(bystander);
    let peer = connection.socket().local_addr().unwrap();
    attack(&mut connection);
    bystander.assert_ended(peer, why);
}

/// Asserts that whoever does this at `stage` is served on.
pub(crate) fn assert_goes_on(
    bystander: &Bystander,
    stage: Stage,
    attack: impl FnOnce(&mut Connection),
) {
    let mut connection = stage.reach(bystander);
    attack(&mut connection);
    bystander.assert_goes_on(&mut connection);
}

/// Sends messages to a server that may have closed.
pub(crate) fn send_all(connection: &mut Connection, messages: &[Message]) {
    for message in messages {
        if connection.send(message).is_err() {
            return;
        }
    }
}

/// A message on message stream 0 and chunk stream 3.
pub(crate) fn message(type_id: u8, payload: &[u8]) -> Message {
    Message {
        csid: 3,
        type_id,
        payload: payload.to_vec(),
        ..Message::default()
    }
}
