//! Who may publish and play.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::stream_key::{self, StreamKey, Verdict};

/// `[security]`: rules by address, in SRS's order: who is denied, then who is allowed.
///
/// Deviation: where the file has no `allow` for an access, SRS allows everybody or nobody,
/// depending on the other rules; here everybody may play, and loopback may publish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Security {
    enabled: bool,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    pub(super) keys: Vec<StreamKey>,
    /// Has more of these.
    pub(super) key_file: Option<PathBuf>,
}

/// What a peer asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// To publish a stream.
    Publish,
    /// To play one.
    Play,
}

/// Why a peer may not do what it asked for. It says what the operator can do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A rule of `security.deny` is about this address.
    Denied(Access, IpAddr),
    /// No rule of `security.allow` is about this address.
    NotAllowed(Access, IpAddr),
}

impl Security {
    /// Rules from the file; an access without any `allow` gets the default one.
    pub(super) fn new(enabled: bool, mut allow: Vec<Rule>, deny: Vec<Rule>) -> Self {
        for (access, peers) in [
            (Access::Publish, Peers::Loopback),
            (Access::Play, Peers::All),
        ] {
            if !allow.iter().any(|rule| rule.access == access) {
                allow.push(Rule { access, peers });
            }
        }
        Self {
            enabled,
            allow,
            deny,
            keys: Vec::new(),
            key_file: None,
        }
    }

    /// Whether a peer may publish or play. An IPv4-mapped IPv6 address counts as IPv4.
    ///
    /// # Errors
    ///
    /// It may not; the reason can be told to the peer and to the log.
    pub fn check(&self, action: Access, peer: IpAddr) -> Result<(), Refusal> {
        let peer = peer.to_canonical();
        let matches = |rule: &Rule| rule.access == action && rule.peers.contain(peer);
        if !self.enabled {
            Ok(())
        } else if self.deny.iter().any(matches) {
            Err(Refusal::Denied(action, peer))
        } else if self.allow.iter().any(matches) {
            Ok(())
        } else {
            Err(Refusal::NotAllowed(action, peer))
        }
    }

    /// Whether a request for the stream `app/name` with these query strings has the key it needs.
    pub fn check_key(&self, action: Access, stream: (&str, &str), queries: [&str; 2]) -> Verdict {
        let keys = if self.enabled { &*self.keys } else { &[] };
        stream_key::check(keys, action, stream, queries)
    }
}

impl Access {
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "publish" => Some(Self::Publish),
            "play" => Some(Self::Play),
            _ => None,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Play => "play",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(access, peer) => write!(
                f,
                "{peer} may not {access}: a rule of security.deny is about it"
            ),
            Self::NotAllowed(access, peer) => write!(
                f,
                "{peer} may not {access}: add \"{access} {peer}\" to security.allow if it should"
            ),
        }
    }
}

/// One entry of `allow` or `deny`: `publish 10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Rule {
    access: Access,
    peers: Peers,
}

impl Rule {
    /// What a rule may look like.
    pub(super) const EXPECTED: &str = "\"publish\" or \"play\" and \"all\", \"private\", \
        \"loopback\", an address or a network (\"publish 192.168.0.0/16\"), or a list of those";

    /// Reads `publish|play all|private|loopback|<ip>|<ip>/<bits>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let access = Access::parse(words.next()?)?;
        let peers = match words.next()? {
            "all" => Peers::All,
            "private" => Peers::Private,
            "loopback" => Peers::Loopback,
            network => Peers::Network(Network::parse(network)?),
        };
        words.next().is_none().then_some(Self { access, peers })
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Peers {
    All,
    /// Addresses that do not reach us through the internet [RFC 1918, 3927, 4193, 4291].
    Private,
    Loopback,
    Network(Network),
}

impl Peers {
    fn contain(self, peer: IpAddr) -> bool {
        match (self, peer) {
            (Self::All, _) => true,
            (Self::Private, IpAddr::V4(ip)) => ip.is_private() || ip.is_link_local(),
            (Self::Private, IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
            (Self::Loopback, ip) => ip.is_loopback(),
            (Self::Network(network), ip) => network.contains(ip),
        }
    }
}

/// The addresses that agree with one in their first bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        // Peers are compared as IPv4 where they are mapped, so a mapped network must be, too.
        let canonical = address.to_canonical();
        let mapped = if canonical == address { 0 } else { 96 };
        Some(Self {
            address: canonical,
            bits: bits.checked_sub(mapped)?,
        })
    }

    fn contains(self, peer: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (self.address, peer) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                prefix_v4(ours, bits) == prefix_v4(theirs, bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                prefix_v6(ours, bits) == prefix_v6(theirs, bits)
            }
            _ => false,
        }
    }
}

/// The first `bits` of an address; `None` of a network of no bits, which is everything.
fn prefix_v4(ip: Ipv4Addr, bits: u32) -> Option<u32> {
    ip.to_bits().checked_shr(32_u32.saturating_sub(bits))
}

fn prefix_v6(ip: Ipv6Addr, bits: u32) -> Option<u128> {
    ip.to_bits().checked_shr(128_u32.saturating_sub(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts
            .iter()
            .map(|text| Rule::parse(text).unwrap())
            .collect()
    }

    fn may(security: &Security, action: Access, peer: &str) -> bool {
        security.check(action, peer.parse().unwrap()).is_ok()
    }

    #[test]
    fn by_default_everybody_plays_and_loopback_publishes() {
        let security = Security::new(true, vec![], vec![]);
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(may(&security, Access::Publish, peer), "{peer}");
        }
        for peer in [
            "10.0.0.1",
            "203.0.113.7",
            "fe80::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!may(&security, Access::Publish, peer), "{peer}");
            assert!(may(&security, Access::Play, peer), "{peer}");
        }
    }

    #[test]
    fn rules_for_one_access_leave_the_other_as_it_is() {
        let security = Security::new(true, rules(&["publish private"]), vec![]);
        assert!(may(&security, Access::Play, "203.0.113.7"));
        let security = Security::new(true, rules(&["play private"]), vec![]);
        assert!(may(&security, Access::Publish, "127.0.0.1"));
        assert!(!may(&security, Access::Play, "203.0.113.7"));
    }

    #[test]
    fn who_is_denied_is_not_allowed() {
        let security = Security::new(
            true,
            rules(&["publish all"]),
            rules(&["publish 10.1.0.0/16", "play 2001:db8::/32"]),
        );
        assert!(!may(&security, Access::Publish, "10.1.2.3"));
        assert!(!may(&security, Access::Publish, "::ffff:10.1.2.3"));
        assert!(may(&security, Access::Publish, "10.2.0.0"));
        assert!(may(&security, Access::Play, "10.1.2.3"));
        assert!(!may(&security, Access::Play, "2001:db8:1::1"));
        // A deny alone does not open the rest.
        let security = Security::new(true, vec![], rules(&["publish 10.1.0.0/16"]));
        assert!(!may(&security, Access::Publish, "203.0.113.7"));
    }

    #[test]
    fn disabled_it_allows_everything() {
        let security = Security::new(false, vec![], rules(&["publish all", "play all"]));
        assert!(may(&security, Access::Publish, "203.0.113.7"));
        assert!(may(&security, Access::Play, "203.0.113.7"));
    }

    #[test]
    fn private_is_the_local_networks_and_no_more() {
        let security = Security::new(true, rules(&["publish private"]), vec![]);
        let inside = [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "169.254.1.1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:192.168.1.1",
        ];
        let outside = [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "169.253.255.255",
            "127.0.0.1",
            "::1",
            "fe00::1",
            "fec0::1",
            "::10.0.0.1",
            "::ffff:11.0.0.0",
        ];
        for peer in inside {
            assert!(may(&security, Access::Publish, peer), "{peer}");
        }
        for peer in outside {
            assert!(!may(&security, Access::Publish, peer), "{peer}");
        }
    }

    #[test]
    fn a_network_is_its_first_bits() {
        let cases = [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.1.2.3/31", "10.1.2.2", true),
            ("10.1.2.3/31", "10.1.2.4", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("2001:db8::/127", "2001:db8::1", true),
            ("2001:db8::/127", "2001:db8::2", false),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("::ffff:10.0.0.0/104", "11.0.0.0", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
        ];
        for (network, peer, expected) in cases {
            let security = Security::new(true, rules(&[&format!("play {network}")]), vec![]);
            assert_eq!(
                may(&security, Access::Play, peer),
                expected,
                "{network} {peer}"
            );
        }
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for text in [
            "",
            "publish",
            "all",
            "publish everyone",
            "record all",
            "publish all all",
            "publish 10.0.0.0/33",
            "publish ::/129",
            "publish 10.0.0.0/-1",
            "publish 10.0.0.0/",
            "publish 10.0.0/8",
            "publish ::ffff:10.0.0.0/95",
            "Publish all",
            "publish host.name",
        ] {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let peer = IpAddr::from([203, 0, 113, 7]);
        assert_eq!(
            Refusal::NotAllowed(Access::Publish, peer).to_string(),
            "203.0.113.7 may not publish: add \"publish 203.0.113.7\" to security.allow if it should"
        );
        assert_eq!(
            Refusal::Denied(Access::Play, peer).to_string(),
            "203.0.113.7 may not play: a rule of security.deny is about it"
        );
    }
}
