//! The thread that accepts connections at one address, whatever is spoken there.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use socket2::{SockAddr, Socket};

use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::port::{Listener, NOWHERE, Protocol};
use crate::server::siblings::door;
use crate::server::thread::Role;
use crate::server::{Server, http, rtmp};
use crate::wire::http::NO_ROOM;

/// Accepts until `closing`, and then, unless everything stops, what waits in the backlog: closing
/// the listener would reset it.
pub fn accept(server: &Arc<Server>, at: &Listener, closing: &AtomicBool) {
    let listener = &at.listener;
    let mut turned_away = TurnedAway::default();
    while !closing.load(Ordering::Acquire) {
        turned_away.tidy();
        match listener.accept() {
            Ok(accepted) => admit(server, at.protocol, accepted, &mut turned_away),
            Err(error) if is_quiet(error.kind()) => {}
            Err(error) => {
                // Out of descriptors or memory. The connection stays in the backlog: wait for
                // others to end rather than spin.
                server.shed(error);
                thread::sleep(limits::POLL);
            }
        }
    }
    if !server.is_stopping() && listener.set_nonblocking(true).is_ok() {
        let end = deadline(limits::BACKLOG_TIME);
        while Instant::now() < end {
            let Ok(accepted) = listener.accept() else {
                break;
            };
            admit(server, at.protocol, accepted, &mut turned_away);
        }
    }
}

/// Starts a thread for the connection, or closes it.
fn admit(
    server: &Arc<Server>,
    protocol: Protocol,
    (socket, peer): (Socket, SockAddr),
    away: &mut TurnedAway,
) {
    let peer = peer.as_socket().unwrap_or(NOWHERE);
    let place = match server.connections.place(peer.ip(), protocol) {
        Ok(place) => place,
        Err(no_room) => {
            server.shed(no_room);
            if matches!(protocol, Protocol::Http | Protocol::Api) {
                away.push(socket);
            }
            return;
        }
    };
    let id = server.next_id();
    let kind = server.totals.of(protocol);
    kind.accepted.more();
    let total = Arc::clone(&kind.traffic);
    let place = Some(place);
    let connection = Arc::new(Connection::new(id, socket, peer, protocol, total, place));
    server.connections.enter(&connection);
    let server_ = Arc::clone(server);
    let role = match protocol {
        Protocol::Rtmp | Protocol::Sibling => Role::Rtmp,
        Protocol::Http | Protocol::Api => Role::Http,
    };
    let spawned = server.threads.run(role, id, move || match protocol {
        Protocol::Rtmp => rtmp::serve(&server_, &connection),
        Protocol::Http | Protocol::Api => http::serve(&server_, &connection),
        Protocol::Sibling => door::serve(&server_, &connection),
    });
    if let Err(error) = spawned {
        server.shed(error);
    }
}

/// Connections that were told that there is no room, until they have had time to read it.
#[derive(Debug, Default)]
struct TurnedAway(VecDeque<(Instant, Socket)>);

impl TurnedAway {
    fn push(&mut self, socket: Socket) {
        // Nothing was sent before: it fits, and if not, the peer is not owed more.
        let _ = socket.send_with_flags(NO_ROOM, libc::MSG_DONTWAIT);
        let _ = socket.shutdown(Shutdown::Write);
        if self.0.len() >= limits::MAX_TURNED_AWAY {
            self.0.pop_front();
        }
        self.0
            .push_back((deadline(limits::LINGER_DEADLINE), socket));
    }

    fn tidy(&mut self) {
        let now = Instant::now();
        self.0.retain(|(until, _)| now < *until);
    }
}

/// Nothing that needs saying: no connection, or one that went away while it waited.
fn is_quiet(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::InvalidInput // shut down: the flag says what to do
    )
}
