//! The thread that accepts connections at one address.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use log::warn;
use socket2::SockRef;

use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::thread::Role;
use crate::server::{Server, rtmp};

/// Accepts until `closing`, and then, unless everything stops, what waits in the backlog: closing
/// the listener would reset it.
pub fn accept(server: &Arc<Server>, listener: &TcpListener, closing: &AtomicBool) {
    while !closing.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((socket, _)) => admit(server, socket),
            Err(error) if is_quiet(error.kind()) => {}
            Err(error) => {
                // Out of descriptors or memory. The connection stays in the backlog: wait for
                // others to end rather than spin.
                warn!("cannot accept: {error}");
                thread::sleep(limits::POLL);
            }
        }
    }
    if !server.is_stopping() && listener.set_nonblocking(true).is_ok() {
        let end = deadline(limits::BACKLOG_TIME);
        while Instant::now() < end {
            let Ok((socket, _)) = listener.accept() else {
                break;
            };
            admit(server, socket);
        }
    }
}

/// Starts a thread for the connection, or closes it.
fn admit(server: &Arc<Server>, socket: std::net::TcpStream) {
    if server.is_full() {
        let most = server.config.max_connections;
        server.shed(format_args!("max_connections is {most}"));
        return;
    }
    // An accepted socket inherits the listener's mode.
    let _ = SockRef::from(&socket).set_nonblocking(false);
    let id = server.next_id();
    // Fails only if the peer has gone already.
    let Ok(connection) = Connection::new(id, socket) else {
        return;
    };
    let connection = Arc::new(connection);
    server.register(&connection);
    let server_ = Arc::clone(server);
    let spawned = server.threads.spawn(Role::Rtmp, id, move || {
        rtmp::serve(&server_, &connection);
    });
    if let Err(error) = spawned {
        server.shed(error);
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
