//! H: the handshake, and the connection as such.

use crate::support::bystander::Bystander;
use crate::support::connection::{Connection, End};

#[test]
fn h3_what_is_not_rtmp_is_closed_at_its_first_byte() {
    let bystander = Bystander::start("");
    for first in [0, 2, 4, 6, b'G', 0x16, 0xff] {
        let mut connection = Connection::tcp(bystander.address(), None).unwrap();
        let peer = connection.socket().local_addr().unwrap();
        connection.send_raw(&[first]).unwrap();
        let why = format!("version {first} is not RTMP (3)");
        bystander.assert_ended(peer, &why);
        assert_ne!(connection.drain(), (vec![], End::Silent), "{first}");
    }
    bystander.end("H3 | 7 other first bytes | closed at the first byte");
}
