//! Listening on a port that several processes share.

use core::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, SockRef, Socket, Type};

use super::proc_net::{self, Bound};
use crate::config::ListenAddress;
use crate::limits;
use crate::server::connection::set_options;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP/1.1.
    Http,
    /// The same, for the API.
    Api,
    /// RTMP, or a short request, by a process that shares our port.
    Sibling,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtmp => "rtmp",
            Self::Http => "http",
            Self::Api => "api",
            Self::Sibling => "sibling",
        })
    }
}

/// The address of a sibling, or of our door for them: they have none of TCP's.
pub const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket. `accept` gives up after [`limits::ACCEPT_POLL`] with `WouldBlock`; an accepted
    /// socket inherits that timeout for its reads.
    pub listener: Socket,
    /// Where it listens, with the port that the system chose; means nothing for siblings.
    pub address: SocketAddr,
    /// For whom.
    pub protocol: Protocol,
}

/// Listens on every address, with `SO_REUSEPORT`.
///
/// # Errors
///
/// The first address that cannot be had, why, and what to do.
pub fn bind(protocol: Protocol, addresses: &[ListenAddress]) -> Result<Vec<Listener>, PortError> {
    let bind_one = |address: &ListenAddress| bind_one(protocol, *address);
    addresses.iter().map(bind_one).collect()
}

/// Warns if a port of `ours` is also bound in another form: the kernel prefers the more specific
/// address, so one process takes all connections of the other.
pub fn warn_of_other_forms(ours: &[(Protocol, SocketAddr)]) {
    let ours: Vec<_> = ours.iter().map(|(_, address)| *address).collect();
    for (own, other) in other_forms(&ours, &proc_net::listeners()) {
        log::warn!(
            "{own} is also bound as {} (by user {}): one takes the connections of the other; \
             write the same `listen` for all processes that share the port",
            other.address,
            other.uid
        );
    }
}

/// Why we cannot listen.
#[derive(Debug)]
pub struct PortError {
    address: SocketAddr,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// A process of another user listens there.
    OtherUser(u32),
    /// A process of our user listens there, and does not share.
    NotShared,
    /// Somebody has it, but does not listen.
    InUse,
    /// A port of the system's.
    Privileged,
    /// Not an address of this machine.
    NotOurs,
    Other(io::Error),
}

impl PortError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        let cause = match error.raw_os_error() {
            Some(libc::EADDRINUSE) => holder(address, &proc_net::listeners()),
            Some(libc::EACCES) => Cause::Privileged,
            Some(libc::EADDRNOTAVAIL) => Cause::NotOurs,
            _ => Cause::Other(error),
        };
        Self { address, cause }
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.address.port();
        write!(f, "cannot listen on {}: ", self.address)?;
        match &self.cause {
            Cause::OtherUser(uid) => write!(
                f,
                "a process of user {uid} holds the port, and only processes of one user can share \
                 it; start them as the same user, or change `listen`"
            ),
            Cause::NotShared => write!(
                f,
                "a program that does not share the port (no SO_REUSEPORT) holds it; stop it (`ss \
                 -ltnp sport = :{port}` shows it), or change `listen`"
            ),
            Cause::InUse => write!(
                f,
                "the port is in use, though nothing listens on it; `ss -tanp sport = :{port}` \
                 shows by whom, or change `listen`"
            ),
            Cause::Privileged => write!(
                f,
                "the system does not let this user have the port; change `listen` to one from \
                 1024, or give it the capability CAP_NET_BIND_SERVICE"
            ),
            Cause::NotOurs => write!(
                f,
                "this machine does not have the address; change `listen` to one that it has, or \
                 to the port alone"
            ),
            Cause::Other(error) => write!(f, "{error}; change `listen`"),
        }
    }
}

impl core::error::Error for PortError {}

fn bind_one(protocol: Protocol, address: ListenAddress) -> Result<Listener, PortError> {
    if let Some(ip) = address.ip {
        return listen(protocol, SocketAddr::new(ip, address.port), true);
    }
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port));
    match listen(protocol, every, false) {
        Err(error) if error.is_without_ipv6() => {
            let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port));
            let listener = listen(protocol, every, false)?;
            log::info!(
                "this machine has no IPv6: listening on {}",
                listener.address
            );
            Ok(listener)
        }
        result => result,
    }
}

impl PortError {
    fn is_without_ipv6(&self) -> bool {
        match &self.cause {
            Cause::NotOurs => true,
            Cause::Other(error) => error.raw_os_error() == Some(libc::EAFNOSUPPORT),
            Cause::OtherUser(_) | Cause::NotShared | Cause::InUse | Cause::Privileged => false,
        }
    }
}

fn listen(protocol: Protocol, address: SocketAddr, only_v6: bool) -> Result<Listener, PortError> {
    let listening = || -> io::Result<Listener> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        socket.set_read_timeout(Some(limits::ACCEPT_POLL))?;
        // Before anybody can connect.
        set_options(&SockRef::from(&socket))?;
        socket.bind(&address.into())?;
        socket.listen(limits::LISTEN_BACKLOG)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Listener {
            listener: socket,
            address,
            protocol,
        })
    };
    listening().map_err(|error| PortError::new(address, error))
}

/// Who holds a port that is in use.
fn holder(address: SocketAddr, bound: &[Bound]) -> Cause {
    let own_uid = nix::unistd::geteuid().as_raw();
    let same_port = |other: &&Bound| {
        let theirs = other.address;
        theirs.port() == address.port() && (theirs == address || overlap(theirs.ip(), address.ip()))
    };
    let mut holders = bound.iter().filter(same_port).peekable();
    if holders.peek().is_none() {
        return Cause::InUse;
    }
    match holders.find(|other| other.uid != own_uid) {
        Some(other) => Cause::OtherUser(other.uid),
        None => Cause::NotShared,
    }
}

/// Pairs of our addresses and others' in another form, that take the same connections.
fn other_forms<'a>(ours: &[SocketAddr], bound: &'a [Bound]) -> Vec<(SocketAddr, &'a Bound)> {
    let foreign = bound.iter().filter(|other| !ours.contains(&other.address));
    let mut pairs: Vec<(SocketAddr, &Bound)> = Vec::new();
    for other in foreign {
        let theirs = other.address;
        let is_ours =
            |own: &&SocketAddr| own.port() == theirs.port() && overlap(own.ip(), theirs.ip());
        let is_new = !pairs.iter().any(|(_, known)| known.address == theirs);
        if let Some(own) = ours.iter().find(is_ours).filter(|_| is_new) {
            pairs.push((*own, other));
        }
    }
    pairs
}

/// Whether one of two different addresses stands for the other, too. The unspecified IPv6 address
/// stands for all, as its socket usually takes IPv4 as well; the IPv4 one for all of IPv4.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V4(_) => wide.is_unspecified() && narrow.is_ipv4(),
        IpAddr::V6(_) => wide.is_unspecified(),
    };
    covers(one, other) || covers(other, one)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn bound(address: &str, uid: u32) -> Bound {
        Bound {
            address: address.parse().unwrap(),
            uid,
        }
    }

    #[test]
    fn two_sockets_share_a_port_and_both_give_up_waiting() {
        let ip = Some(LOOPBACK);
        let one = bind(Protocol::Rtmp, &[ListenAddress { ip, port: 0 }]).unwrap();
        let port = one[0].address.port();
        let two = bind(Protocol::Rtmp, &[ListenAddress { ip, port }]).unwrap();
        assert_eq!(one[0].address, two[0].address);
        for shared in [one, two] {
            let error = shared[0].listener.accept().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_port_alone_takes_ipv4_and_ipv6() {
        let every = bind(Protocol::Rtmp, &[ListenAddress { ip: None, port: 0 }]).unwrap();
        let port = every[0].address.port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if every[0].address.is_ipv6() {
            std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_port_that_is_not_shared_is_refused() {
        let held = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let ip = Some(LOOPBACK);
        let error = bind(Protocol::Rtmp, &[ListenAddress { ip, port }]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on 127.0.0.1:{port}: a program that does not share the port (no \
                 SO_REUSEPORT) holds it; stop it (`ss -ltnp sport = :{port}` shows it), or change \
                 `listen`"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let ip = Some(IpAddr::from([192, 0, 2, 1]));
        let error = bind(Protocol::Rtmp, &[ListenAddress { ip, port: 0 }]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot listen on 192.0.2.1:0: this machine does not have the address; change \
             `listen` to one that it has, or to the port alone"
        );
    }

    #[test]
    fn the_holder_of_a_port_is_found_in_any_form() {
        let own = nix::unistd::geteuid().as_raw();
        let other = own.wrapping_add(1);
        let cases = [
            ("[::]:1935", bound("[::]:1935", own), "shared"),
            ("[::]:1935", bound("127.0.0.1:1935", other), "user"),
            ("127.0.0.1:1935", bound("0.0.0.0:1935", other), "user"),
            ("127.0.0.1:1935", bound("[::]:1935", own), "shared"),
            ("127.0.0.1:1935", bound("127.0.0.2:1935", own), "nobody"),
            ("127.0.0.1:1935", bound("[::1]:1935", own), "nobody"),
            ("127.0.0.1:1935", bound("127.0.0.1:1936", own), "nobody"),
        ];
        for (ours, theirs, expected) in cases {
            let found = match holder(ours.parse().unwrap(), &[theirs]) {
                Cause::OtherUser(uid) => {
                    assert_eq!(uid, other);
                    "user"
                }
                Cause::NotShared => "shared",
                Cause::InUse => "nobody",
                cause @ (Cause::Privileged | Cause::NotOurs | Cause::Other(_)) => {
                    panic!("{cause:?}")
                }
            };
            assert_eq!(found, expected, "{ours} {theirs:?}");
        }
    }

    #[test]
    fn another_form_of_the_port_is_seen_once_and_siblings_are_none() {
        let ours = [
            "[::]:1935".parse().unwrap(),
            "10.0.0.1:1936".parse().unwrap(),
        ];
        let others = [
            bound("[::]:1935", 0),
            bound("127.0.0.1:1935", 0),
            bound("127.0.0.1:1935", 0),
            bound("10.0.0.1:1936", 0),
            bound("10.0.0.2:1936", 0),
            bound("0.0.0.0:1936", 0),
            bound("0.0.0.0:80", 0),
        ];
        let found: Vec<String> = other_forms(&ours, &others)
            .iter()
            .map(|(own, other)| format!("{own} {}", other.address))
            .collect();
        assert_eq!(
            found,
            ["[::]:1935 127.0.0.1:1935", "10.0.0.1:1936 0.0.0.0:1936"]
        );
    }
}
