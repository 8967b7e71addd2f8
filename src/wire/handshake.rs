//! The handshake's packets [RTMP §5.2].
//!
//! Only the simple handshake. The one with digests was for Flash; a peer that offers it goes on
//! without when the four bytes after our time are zero.

/// C0 and S0: the version [RTMP §5.2.2]. Others mean encryption (6) or no RTMP at all.
pub const VERSION: u8 = 3;

/// Bytes of each of C1, S1, C2 and S2 [RTMP §5.2.3, §5.2.4].
pub const PACKET_LENGTH: usize = 1536;

/// C0 and C1, or S0 and S1: what one side says first.
pub const OPENING_LENGTH: usize = 1 + PACKET_LENGTH;

/// The client's opening. C2, later, is S1 sent back.
///
/// `seed` makes one connection's bytes differ from another's; they protect nothing.
pub fn c0_c1(seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(OPENING_LENGTH);
    out.push(VERSION);
    // Time and zero, four bytes each [RTMP §5.2.3]. The time may be 0: we have no use for an epoch.
    out.extend_from_slice(&[0; 8]);
    let filler = PACKET_LENGTH.saturating_sub(8);
    out.extend(random(seed).flat_map(u64::to_be_bytes).take(filler));
    out
}

/// All that a server says: its opening, and S2. To be sent as soon as C1 is here, in one write.
///
/// Deviation: S2 is C1 with nothing changed, as most servers send it; [RTMP §5.2.4] would have the
/// time at which C1 was read in its second four bytes.
pub fn s0_s1_s2(c1: &[u8; PACKET_LENGTH], seed: u64) -> Vec<u8> {
    let mut out = c0_c1(seed);
    out.extend_from_slice(c1);
    out
}

/// `SplitMix64`: different numbers for any two seeds.
fn random(mut seed: u64) -> impl Iterator<Item = u64> {
    core::iter::repeat_with(move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_asks_for_the_simple_handshake() {
        let opening = c0_c1(1);
        assert_eq!(opening.len(), OPENING_LENGTH);
        assert_eq!(opening[..9], [VERSION, 0, 0, 0, 0, 0, 0, 0, 0]);
        // The generator's published first number for seed 0.
        assert_eq!(c0_c1(0)[9..17], 0xe220_a839_7b1d_cdaf_u64.to_be_bytes());
        assert_ne!(opening, c0_c1(2));
    }

    #[test]
    fn the_reply_ends_with_c1() {
        let mut c1 = [0xaa; PACKET_LENGTH];
        c1[..4].copy_from_slice(b"time");
        let reply = s0_s1_s2(&c1, 1);
        assert_eq!(reply.len(), 1 + 2 * PACKET_LENGTH);
        assert_eq!(reply[..OPENING_LENGTH], c0_c1(1));
        assert_eq!(reply[OPENING_LENGTH..], c1);
    }
}
