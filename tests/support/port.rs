//! A port that several servers of one test share and that nobody else gets.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// Holds a port that the system chose, without listening on it.
#[derive(Debug)]
pub(crate) struct SharedPort {
    socket: Socket,
}

impl SharedPort {
    /// A port of the IPv4 loopback address.
    pub(crate) fn loopback() -> Self {
        Self::on("127.0.0.1:0")
    }

    /// A port of `address`, which must be written as the servers' `listen` will be: a socket on
    /// another form of the same port would take part of the connections.
    pub(crate) fn on(address: &str) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(false).unwrap();
        }
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        Self { socket }
    }

    /// The address with the port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }
}

/// An address of the loopback where nobody listens. It is held, so nobody will.
pub(crate) fn dead() -> SharedPort {
    SharedPort::loopback()
}
