//! Whether a peer may publish or play: by its address, and by its key.

use core::fmt;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::{Access, Refusal, Security, Verdict};
use crate::limits;
use crate::server::connections::household;

/// Why a peer may not do what it asked for, for it and the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// The vhost is not enabled.
    Disabled,
    /// The application is called like a vhost.
    AppOfVhost,
    /// Because of its address.
    Address(Refusal),
    /// The stream needs a key.
    NoKey(Access),
    /// It has another key.
    WrongKey(Access),
    /// It has come with too many of these.
    TooManyWrong(IpAddr),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "this vhost is not enabled"),
            Self::AppOfVhost => write!(f, "a vhost has this name; an application may not have it"),
            Self::Address(refusal) => refusal.fmt(f),
            Self::NoKey(access) => write!(
                f,
                "to {access} this stream needs a key: add ?key=KEY to its name"
            ),
            Self::WrongKey(access) => write!(f, "this is no key to {access} this stream"),
            Self::TooManyWrong(address) => write!(
                f,
                "too many wrong keys from {address}: wait {} s",
                limits::WRONG_KEY_TIME.as_secs()
            ),
        }
    }
}

/// Who came with wrong keys lately.
#[derive(Debug, Default)]
pub struct Gate {
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    since: Instant,
}

impl Gate {
    /// Whether `peer` may do this with the stream `app/name`, by these query strings; `true`: by its
    /// key.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn check(
        &self,
        security: &Security,
        (access, peer): (Access, IpAddr),
        stream: (&str, &str),
        queries: [&str; 2],
    ) -> Result<bool, Denial> {
        security.check(access, peer).map_err(Denial::Address)?;
        let address = household(peer);
        let now = Instant::now();
        match security.check_key(access, stream, queries) {
            Verdict::NotNeeded => Ok(false),
            Verdict::Missing => Err(Denial::NoKey(access)),
            // Not even a right one is taken then: it would have been guessed.
            Verdict::Right | Verdict::Wrong if self.is_shut(address, now) => {
                Err(Denial::TooManyWrong(address))
            }
            Verdict::Right => Ok(true),
            Verdict::Wrong => {
                self.count(address, now);
                Err(Denial::WrongKey(access))
            }
        }
    }

    /// Whether `peer` may go on, who has come with a right secret, or a wrong one.
    ///
    /// # Errors
    ///
    /// Its address has come with too many wrong ones: not even a right one is taken then.
    pub fn admit(&self, peer: IpAddr, is_right: bool) -> Result<bool, Denial> {
        let (address, now) = (household(peer), Instant::now());
        if self.is_shut(address, now) {
            return Err(Denial::TooManyWrong(address));
        }
        if !is_right {
            self.count(address, now);
        }
        Ok(is_right)
    }

    fn is_shut(&self, address: IpAddr, now: Instant) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wrong.get(&address);
        known.is_some_and(|wrong| !wrong.is_over(now) && wrong.count >= limits::MAX_WRONG_KEYS)
    }

    fn count(&self, address: IpAddr, now: Instant) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if !wrong.contains_key(&address) && wrong.len() >= limits::MAX_WRONG_KEY_ADDRESSES {
            let oldest = wrong.iter().min_by_key(|(_, wrong)| wrong.since);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                wrong.remove(&oldest);
            }
        }
        let first = Wrong {
            count: 0,
            since: now,
        };
        let known = wrong.entry(address).or_insert(first);
        if known.is_over(now) {
            *known = first;
        }
        known.count = known.count.saturating_add(1);
    }
}

impl Wrong {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= limits::WRONG_KEY_TIME
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn ten_wrong_keys_shut_the_gate_for_a_minute() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..limits::MAX_WRONG_KEYS {
            assert!(!gate.is_shut(ADDRESS, now));
            gate.count(ADDRESS, now);
        }
        assert!(gate.is_shut(ADDRESS, now));
        assert!(!gate.is_shut([10, 0, 0, 1].into(), now));
        let later = now + limits::WRONG_KEY_TIME;
        assert!(!gate.is_shut(ADDRESS, later));
        gate.count(ADDRESS, later);
        assert!(!gate.is_shut(ADDRESS, later));
    }

    #[test]
    fn more_addresses_than_are_counted_make_room_for_each_other() {
        let (gate, now) = (Gate::default(), Instant::now());
        let most = u32::try_from(limits::MAX_WRONG_KEY_ADDRESSES).unwrap();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..=most {
            gate.count(address(n), now + Duration::from_millis(n.into()));
        }
        let wrong = gate.wrong.lock().unwrap();
        assert_eq!(wrong.len(), limits::MAX_WRONG_KEY_ADDRESSES);
        assert!(!wrong.contains_key(&address(0)));
    }
}
