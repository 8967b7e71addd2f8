//! Who listens where, from `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)).

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket of this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Bound {
    /// Where.
    pub(super) address: SocketAddr,
    /// Whose.
    pub(super) uid: u32,
}

/// Every listening socket that the system tells us about; none if it does not.
pub(super) fn listeners() -> Vec<Bound> {
    let mut all = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(path).unwrap_or_default();
        all.extend(text.lines().filter_map(listener));
    }
    all
}

/// A line about a listening socket: `sl local_address rem_address st queues timer retransmits uid`.
fn listener(line: &str) -> Option<Bound> {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match ip.len() {
        8 => (Ipv4Addr::from(word(ip)?), port).into(),
        32 => (ip6(ip)?, port).into(),
        _ => return None,
    };
    (state == "0A").then_some(Bound { address, uid })
}

fn ip6(hex: &str) -> Option<Ipv6Addr> {
    let mut bytes = Vec::with_capacity(16);
    let mut rest = hex;
    while let Some((first, others)) = rest.split_at_checked(8) {
        bytes.extend(word(first)?);
        rest = others;
    }
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// Four bytes of an address: printed as a number of the machine, but in the network's order.
fn word(hex: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_proc_are_read() {
        let line = |local: &str, state: &str| {
            format!(
                "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 65534 \
                 0 4711 1 0000000000000000 100 0 0 10 0"
            )
        };
        let cases = [
            ("0100007F:078F", "127.0.0.1:1935"),
            ("00000000:4B96", "0.0.0.0:19350"),
            ("00000000000000000000000000000000:078F", "[::]:1935"),
            ("00000000000000000000000001000000:078F", "[::1]:1935"),
            ("B80D0120000000000000000001000000:0001", "[2001:db8::1]:1"),
        ];
        for (local, address) in cases {
            let bound = Bound {
                address: address.parse().unwrap(),
                uid: 65534,
            };
            assert_eq!(listener(&line(local, "0A")), Some(bound));
            assert_eq!(listener(&line(local, "01")), None);
        }
        assert_eq!(
            listener("  sl  local_address rem_address   st tx_queue"),
            None
        );
        assert_eq!(listener(""), None);
    }

    #[test]
    fn a_socket_of_ours_is_listed_as_ours() {
        let uid = nix::unistd::geteuid().as_raw();
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(ip) else {
                continue; // A machine without IPv6.
            };
            let address = socket.local_addr().unwrap();
            assert!(listeners().contains(&Bound { address, uid }), "{address}");
        }
    }
}
