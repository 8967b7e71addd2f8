//! The connections there are, and whether there is room for one more.

use core::fmt;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::limits;
use crate::server::connection::Connection;
use crate::server::port::Protocol;

/// Counts connections: all of them, those of each address, and those that speak HTTP.
#[derive(Debug)]
pub struct Connections {
    table: Mutex<Table>,
}

/// Every change is made by calls that leave it whole after a panic, too.
#[derive(Debug, Default)]
struct Table {
    most: usize,
    most_per_address: usize,
    places: usize,
    http: usize,
    /// Those beside the places of all others.
    siblings: usize,
    api: ByAddress,
    by_address: ByAddress,
    living: HashMap<u64, Weak<Connection>>,
}

/// How many there are of each address of which there are any.
#[derive(Debug, Default)]
struct ByAddress(HashMap<IpAddr, usize>);

impl ByAddress {
    fn of(&self, address: IpAddr) -> usize {
        self.0.get(&address).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.0.values().sum()
    }

    fn more(&mut self, address: IpAddr) {
        let count = self.0.entry(address).or_default();
        *count = count.saturating_add(1);
    }

    fn less(&mut self, address: IpAddr) {
        if let Some(count) = self.0.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }
}

/// Why a connection is closed before anything is read from it. Says what the operator can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoom {
    /// There are as many as there may be.
    Total(usize),
    /// As many speak HTTP as may.
    Http(usize),
    /// There are as many of the peer's address as there may be.
    Address(IpAddr, usize),
    /// There are as many of siblings as there may be.
    Siblings,
    /// There are as many to the API as there may be.
    Api,
    /// There are as many to the API of the peer's address as there may be.
    ApiAddress(IpAddr),
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(most) => write!(f, "max_connections is {most}"),
            Self::Http(most) => write!(f, "{most} of max_connections speak HTTP"),
            Self::Address(address, most) => {
                write!(f, "{address}: max_connections_per_address is {most}")
            }
            Self::Siblings => {
                let most = limits::MAX_SIBLING_CONNECTIONS;
                write!(f, "{most} are of processes that share the port")
            }
            Self::Api => {
                let most = limits::MAX_API_CONNECTIONS;
                write!(f, "{most} are to the API")
            }
            Self::ApiAddress(address) => {
                let most = limits::MAX_API_CONNECTIONS_PER_ADDRESS;
                write!(f, "{address}: {most} are to the API")
            }
        }
    }
}

impl Table {
    fn take(&mut self, address: IpAddr, protocol: Protocol) -> Result<(), NoRoom> {
        match protocol {
            Protocol::Sibling if self.siblings >= limits::MAX_SIBLING_CONNECTIONS => {
                return Err(NoRoom::Siblings);
            }
            Protocol::Sibling => self.siblings = self.siblings.saturating_add(1),
            Protocol::Api => {
                if self.api.all() >= limits::MAX_API_CONNECTIONS {
                    return Err(NoRoom::Api);
                }
                if self.api.of(address) >= limits::MAX_API_CONNECTIONS_PER_ADDRESS {
                    return Err(NoRoom::ApiAddress(address));
                }
                self.api.more(address);
            }
            Protocol::Rtmp | Protocol::Http => {
                let most_http = self.most.div_ceil(4).saturating_mul(limits::HTTP_QUARTERS);
                if self.places >= self.most {
                    return Err(NoRoom::Total(self.most));
                }
                if protocol == Protocol::Http && self.http >= most_http {
                    return Err(NoRoom::Http(most_http));
                }
                if self.by_address.of(address) >= self.most_per_address {
                    return Err(NoRoom::Address(address, self.most_per_address));
                }
                self.places = self.places.saturating_add(1);
                self.http = self.http.saturating_add(is_http(protocol));
                self.by_address.more(address);
            }
        }
        Ok(())
    }

    fn give_back(&mut self, address: IpAddr, protocol: Protocol) {
        match protocol {
            Protocol::Sibling => self.siblings = self.siblings.saturating_sub(1),
            Protocol::Api => self.api.less(address),
            Protocol::Rtmp | Protocol::Http => {
                self.places = self.places.saturating_sub(1);
                self.http = self.http.saturating_sub(is_http(protocol));
                self.by_address.less(address);
            }
        }
    }
}

impl Connections {
    /// None yet, and never more than `most`, or than `most_per_address` of one address.
    pub fn new(most: usize, most_per_address: usize) -> Self {
        let table = Table {
            most,
            most_per_address,
            ..Table::default()
        };
        Self {
            table: Mutex::new(table),
        }
    }

    /// From now on so many are let in. Of those that are there, none ends.
    pub fn allow(&self, most: usize, most_per_address: usize) {
        let mut table = self.lock();
        table.most = most;
        table.most_per_address = most_per_address;
    }

    /// Takes a place for a connection, before anything else is done for it. Those of siblings, and
    /// those to the API, do not count among the others: full of players, a process still gives its
    /// streams to siblings, and lets its operator in.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn place(self: &Arc<Self>, peer: IpAddr, protocol: Protocol) -> Result<Place, NoRoom> {
        let address = household(peer);
        self.lock().take(address, protocol)?;
        Ok(Place {
            connections: Arc::clone(self),
            address,
            protocol,
        })
    }

    /// Lists a connection, for [`Self::living`].
    pub fn enter(&self, connection: &Arc<Connection>) {
        let listed = Arc::downgrade(connection);
        self.lock().living.insert(connection.id, listed);
    }

    /// Takes a connection that ends off the list.
    pub fn leave(&self, id: u64) {
        let mut table = self.lock();
        let living = &mut table.living;
        living.remove(&id);
        // A table that grew among thousands would hold the heap up behind it.
        if living.len() < living.capacity().div_ceil(8) {
            living.shrink_to(living.len().saturating_mul(2));
        }
    }

    /// The connections there are. Dropped outside of the lock: the last holder of one takes it off.
    pub fn living(&self) -> Vec<Arc<Connection>> {
        let table = self.lock();
        table.living.values().filter_map(Weak::upgrade).collect()
    }

    /// How many there are, but for those of siblings and to the API.
    pub fn count(&self) -> usize {
        self.lock().places
    }

    /// Whether there is none but of siblings and to the API.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// Where it is.
    pub connections: Arc<Connections>,
    address: IpAddr,
    protocol: Protocol,
}

impl Place {
    /// Changes it for one among those of `protocol`, if it is none.
    ///
    /// # Errors
    ///
    /// There is no room; it stays as it was.
    pub fn change(&mut self, protocol: Protocol) -> Result<(), NoRoom> {
        if self.protocol != protocol {
            let mut table = self.connections.lock();
            table.take(self.address, protocol)?;
            table.give_back(self.address, self.protocol);
            self.protocol = protocol;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.give_back(self.address, self.protocol);
    }
}

fn is_http(protocol: Protocol) -> usize {
    usize::from(protocol == Protocol::Http)
}

/// What counts as one address: of IPv6 the first 64 bits, which one subscriber has at least.
pub fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_bound_is_reached_and_not_passed_and_places_come_back() {
        let connections = Arc::new(Connections::new(8, 3));
        let place = |host, protocol| connections.place([192, 0, 2, host].into(), protocol);
        let rtmp = |host| place(host, Protocol::Rtmp);
        let mut places: Vec<_> = (0..3).map(|_| rtmp(1).unwrap()).collect();
        let full = NoRoom::Address(ip("192.0.2.1"), 3);
        assert_eq!(rtmp(1).unwrap_err(), full);
        places.extend((2..=6).map(|host| rtmp(host).unwrap()));
        assert_eq!(rtmp(7).unwrap_err(), NoRoom::Total(8));
        drop(places);
        assert_eq!(connections.count(), 0);
        assert!(connections.lock().by_address.0.is_empty());

        let http = |host| place(host, Protocol::Http);
        let _places: Vec<_> = (1..=6).map(|host| http(host).unwrap()).collect();
        assert_eq!(http(7).unwrap_err(), NoRoom::Http(6));
        assert!(rtmp(7).is_ok());

        let api = |host| place(host, Protocol::Api);
        let most = limits::MAX_API_CONNECTIONS_PER_ADDRESS;
        let mut of_one: Vec<_> = (0..most).map(|_| api(1).unwrap()).collect();
        let full = NoRoom::ApiAddress(ip("192.0.2.1"));
        assert_eq!(api(1).unwrap_err(), full);
        let of_others = (most..limits::MAX_API_CONNECTIONS).map(|_| api(2).unwrap());
        let _of_others: Vec<_> = of_others.collect();
        assert_eq!(api(3).unwrap_err(), NoRoom::Api);
        // Who comes to play has a place of players, if there is one.
        let last = of_one.last_mut().unwrap();
        assert_eq!(last.change(Protocol::Http), Err(NoRoom::Http(6)));
        last.change(Protocol::Rtmp).unwrap();
        assert_eq!(connections.count(), 7);
        drop((api(1).unwrap(), rtmp(8).unwrap()));
        drop(of_one);
        assert_eq!(connections.count(), 6);
        assert_eq!(connections.lock().api.of(ip("192.0.2.1")), 0);
    }

    #[test]
    fn a_subscriber_of_ipv6_counts_once() {
        assert_eq!(household(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
        assert_eq!(household(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
        assert_eq!(household(ip("10.0.0.1")), ip("10.0.0.1"));
    }
}
