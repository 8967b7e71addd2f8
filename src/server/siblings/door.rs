//! Our private address: who knows the secret gets a stream here, or has one given up.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;

use log::{info, warn};
use socket2::{Domain, SockAddr, Socket, Type};

use super::run_dir::{RunDirError, Secret};
use super::{Holder, Siblings};
use crate::limits;
use crate::server::connection::{Connection, deadline};
use crate::server::handshake::Until;
use crate::server::log::escape;
use crate::server::port::{Listener, NOWHERE, Protocol};
use crate::server::{Server, rtmp};

/// A sibling wants to play: RTMP follows.
const PLAY: u8 = b'P';
/// It wants to publish what is published here: the length of the stream's path and the path follow.
const GIVE_UP: u8 = b'G';
/// The answer to that.
const DONE: u8 = b'D';

/// What a sibling is here for.
enum Errand {
    Play,
    /// To have the stream at this path.
    GiveUp(String),
}

impl Siblings {
    /// Opens the door.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn listen(&self) -> Result<Listener, RunDirError> {
        let path = self.directory.file(&door(&self.id));
        let listening = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_read_timeout(Some(limits::ACCEPT_POLL))?;
            socket.bind(&SockAddr::unix(&path)?)?;
            // Nobody else gets here anyway: the directory is ours alone.
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            socket.listen(limits::LISTEN_BACKLOG)?;
            Ok(socket)
        };
        Ok(Listener {
            listener: listening().map_err(|error| RunDirError::new(&path, &error))?,
            address: NOWHERE,
            protocol: Protocol::Sibling,
        })
    }

    /// Goes to a sibling's door, to play.
    ///
    /// # Errors
    ///
    /// It is gone, or does not open.
    pub fn visit(&self, holder: &Holder, id: u64) -> io::Result<Connection> {
        self.knock(holder, id, &[PLAY])
    }

    /// Has a sibling give up the stream at `path`.
    ///
    /// # Errors
    ///
    /// It is gone, or does not answer until `until`.
    pub fn demand(&self, holder: &Holder, path: &str, id: u64, until: Instant) -> io::Result<()> {
        let length = u16::try_from(path.len()).map_err(io::Error::other)?;
        let request = [&[GIVE_UP], &length.to_be_bytes()[..], path.as_bytes()].concat();
        let connection = self.knock(holder, id, &request)?;
        let mut answer = [0];
        Until(&connection, until).read_exact(&mut answer)?;
        if answer == [DONE] {
            return Ok(());
        }
        Err(ErrorKind::InvalidData.into())
    }

    fn knock(&self, holder: &Holder, id: u64, request: &[u8]) -> io::Result<Connection> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Until its queue has room; and then for what we send.
        socket.set_write_timeout(Some(limits::SIBLING_CONNECT_DEADLINE))?;
        socket.set_send_buffer_size(limits::SOCKET_SEND_BYTES)?;
        socket.connect(&SockAddr::unix(self.directory.file(&door(&holder.id)))?)?;
        let total = Arc::clone(&self.traffic);
        let connection = Connection::new(id, socket, NOWHERE, Protocol::Sibling, total, None);
        let request = [&self.secret[..], request].concat();
        connection.write(&request, deadline(limits::SIBLING_CONNECT_DEADLINE))?;
        Ok(connection)
    }
}

/// The file of the door of the process of this id.
fn door(id: &str) -> String {
    format!("{id}.sock")
}

/// Serves who is at our door. The body of its thread.
pub fn serve(server: &Arc<Server>, connection: &Arc<Connection>) {
    let Some(siblings) = &server.siblings else {
        return;
    };
    let mut peer = Until(connection, deadline(limits::HANDSHAKE_DEADLINE));
    match errand(&mut peer, &siblings.secret) {
        Ok(Errand::Play) => rtmp::serve(server, connection),
        // Who waits no longer has told its publisher no.
        Ok(Errand::GiveUp(_)) if connection.is_closed_by_peer() => {}
        Ok(Errand::GiveUp(path)) => {
            info!("{}: given up to a sibling that publishes it", escape(&path));
            server.give_up(&path);
            // If it is gone, it is gone.
            let _ = peer.write_all(&[DONE]);
            connection.linger();
        }
        Err(error) => {
            if let Some(others) = siblings.strangers.count(Instant::now()) {
                warn!(
                    "{connection}: a stranger at our door in run_dir, closed: {error}; {others} \
                     more since it was last said"
                );
            }
            connection.shut();
        }
    }
}

fn errand(peer: &mut impl Read, ours: &Secret) -> io::Result<Errand> {
    let mut theirs = Secret::default();
    peer.read_exact(&mut theirs)?;
    // All of it, so that the time tells nothing.
    let pairs = theirs.iter().zip(ours);
    if pairs.fold(0, |differ, (one, other)| differ | (one ^ other)) != 0 {
        return Err(io::Error::other("it does not know the secret"));
    }
    let mut byte = [0];
    peer.read_exact(&mut byte)?;
    match byte {
        [PLAY] => Ok(Errand::Play),
        [GIVE_UP] => {
            let mut length = [0; 2];
            peer.read_exact(&mut length)?;
            let mut path = vec![0; usize::from(u16::from_be_bytes(length))];
            peer.read_exact(&mut path)?;
            let path = String::from_utf8(path).map_err(io::Error::other)?;
            Ok(Errand::GiveUp(path))
        }
        _ => Err(io::Error::other("its request is of another version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_the_secret_is_let_in_and_nobody_else() {
        let secret: Secret = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let come = |bytes: &[u8]| errand(&mut [&secret[..], bytes].concat().as_slice(), &secret);
        assert!(matches!(come(b"P"), Ok(Errand::Play)));
        let path = |bytes| match come(bytes) {
            Ok(Errand::GiveUp(path)) => Some(path),
            Ok(Errand::Play) | Err(_) => None,
        };
        assert_eq!(path(b"G\x00\x06live/a").as_deref(), Some("live/a"));
        for wrong in [
            &b""[..],
            b"X",
            b"G\x00",
            b"G\x00\x06live/",
            b"G\x00\x02\xff\xff",
        ] {
            assert!(come(wrong).is_err(), "{wrong:?}");
        }
        for index in 0..secret.len() {
            let mut other = secret;
            other[index] ^= 1;
            let come = errand(&mut [&other[..], b"P"].concat().as_slice(), &secret);
            assert!(come.is_err(), "{index}");
        }
        assert!(errand(&mut &secret[..31], &secret).is_err());
    }
}
