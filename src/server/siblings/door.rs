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
use crate::server::connection::{Connection, deadline, remaining};
use crate::server::handshake::Until;
use crate::server::log::escape;
use crate::server::port::{Listener, NOWHERE, Protocol};
use crate::server::{Server, rtmp};

/// A sibling wants to play: RTMP follows.
const PLAY: u8 = b'P';
/// It wants to publish what is published here: the length of the stream's path and the path follow.
const GIVE_UP: u8 = b'G';
/// It wants to know what is here, as the API would say it.
const OVERVIEW: u8 = b'O';
/// It wants a client to be gone: the length of the client's id and the id follow.
const KICK: u8 = b'K';
/// The answer to these: it is done, or there is no such client.
const DONE: u8 = b'D';
const NOBODY: u8 = b'N';

/// What a sibling is here for.
enum Errand {
    Play,
    /// To have the stream at this path.
    GiveUp(String),
    Overview,
    /// To end the connection of this client.
    Kick(String),
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
        let until = deadline(limits::SIBLING_CONNECT_DEADLINE);
        self.knock(holder, id, &[PLAY], until)
    }

    /// Has a sibling give up the stream at `path`.
    ///
    /// # Errors
    ///
    /// It is gone, or does not answer until `until`.
    pub fn demand(&self, holder: &Holder, path: &str, id: u64, until: Instant) -> io::Result<()> {
        match self.ask_about(GIVE_UP, path, (holder, id), until)? {
            DONE => Ok(()),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Has a sibling end the connection of a client; whether it is one of its own.
    ///
    /// # Errors
    ///
    /// It is gone, or does not answer until `until`.
    pub fn kick(&self, holder: &Holder, client: &str, id: u64, until: Instant) -> io::Result<bool> {
        Ok(self.ask_about(KICK, client, (holder, id), until)? == DONE)
    }

    /// Asks a sibling what it says of itself; [`overview`] reads the answer.
    ///
    /// # Errors
    ///
    /// It is gone, or does not take the question until `until`.
    pub fn ask_overview(&self, holder: &Holder, id: u64, until: Instant) -> io::Result<Connection> {
        self.knock(holder, id, &[OVERVIEW], until)
    }

    /// Asks for something with a name; the answer.
    fn ask_about(
        &self,
        errand: u8,
        name: &str,
        (holder, id): (&Holder, u64),
        until: Instant,
    ) -> io::Result<u8> {
        let length = u16::try_from(name.len()).map_err(io::Error::other)?;
        let request = [&[errand], &length.to_be_bytes()[..], name.as_bytes()].concat();
        let connection = self.knock(holder, id, &request, until)?;
        let mut answer = [0];
        Until(&connection, until).read_exact(&mut answer)?;
        let [answer] = answer;
        Ok(answer)
    }

    fn knock(
        &self,
        holder: &Holder,
        id: u64,
        request: &[u8],
        until: Instant,
    ) -> io::Result<Connection> {
        let until = until.min(deadline(limits::SIBLING_CONNECT_DEADLINE));
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Until its queue has room; and then for what we send.
        socket.set_write_timeout(Some(remaining(until)?))?;
        socket.set_send_buffer_size(limits::SOCKET_SEND_BYTES)?;
        socket.connect(&SockAddr::unix(self.directory.file(&door(&holder.id)))?)?;
        let total = Arc::clone(&self.traffic);
        let connection = Connection::new(id, socket, NOWHERE, Protocol::Sibling, total, None);
        let request = [&self.secret[..], request].concat();
        connection.write(&request, until)?;
        Ok(connection)
    }
}

/// What a sibling says of itself that was asked for that over this connection.
///
/// # Errors
///
/// It is gone, does not say so until `until`, or has no API.
pub fn overview(asked: &Connection, until: Instant) -> io::Result<Vec<u8>> {
    let mut peer = Until(asked, until);
    let mut length = [0; 4];
    peer.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > limits::MAX_OVERVIEW_BYTES {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut said = Vec::new();
    peer.take(u64::try_from(length).map_err(io::Error::other)?)
        .read_to_end(&mut said)?;
    if said.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(said)
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
        Ok(Errand::Kick(client)) => {
            let answer = if server.kick(&client) { DONE } else { NOBODY };
            let _ = peer.write_all(&[answer]);
            connection.linger();
        }
        // Without an API nothing is said.
        Ok(Errand::Overview) => {
            let api = server.features.api.as_ref();
            let said = api.map(|api| api.say(server)).unwrap_or_default();
            let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
            let said = [&length.to_be_bytes()[..], &said].concat();
            let until = deadline(limits::SIBLING_OVERVIEW_DEADLINE);
            let _ = connection.write(&said, until);
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
        [GIVE_UP] => Ok(Errand::GiveUp(name(peer)?)),
        [OVERVIEW] => Ok(Errand::Overview),
        [KICK] => Ok(Errand::Kick(name(peer)?)),
        _ => Err(io::Error::other("its request is of another version")),
    }
}

/// A name, after its length.
fn name(peer: &mut impl Read) -> io::Result<String> {
    let mut length = [0; 2];
    peer.read_exact(&mut length)?;
    let mut name = vec![0; usize::from(u16::from_be_bytes(length))];
    peer.read_exact(&mut name)?;
    String::from_utf8(name).map_err(io::Error::other)
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
            Ok(Errand::Play | Errand::Overview | Errand::Kick(_)) | Err(_) => None,
        };
        assert_eq!(path(b"G\x00\x06live/a").as_deref(), Some("live/a"));
        assert!(matches!(come(b"O"), Ok(Errand::Overview)));
        assert!(matches!(come(b"K\x00\x01a"), Ok(Errand::Kick(client)) if client == "a"));
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
