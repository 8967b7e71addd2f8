//! Names to addresses, with a deadline that the system's resolver does not have.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::config::OriginAddress;
use crate::server::thread::{Role, Threads};

/// Resolves each host in a thread of its own, since `getaddrinfo` cannot be cancelled. Whoever
/// asks for a host that is being resolved waits for the same answer, so there are never more
/// threads than origins in the configuration.
#[derive(Debug, Default)]
pub struct Resolver {
    asked: Arc<Mutex<HashMap<OriginAddress, Arc<Lookup>>>>,
}

#[derive(Debug, Default)]
struct Lookup {
    answer: Mutex<Option<Result<Vec<SocketAddr>, String>>>,
    answered: Condvar,
}

impl Resolver {
    /// The addresses of `origin` as they are now.
    ///
    /// # Errors
    ///
    /// There are none, the name server says no, or nothing until `deadline`.
    pub fn resolve(
        &self,
        threads: &Threads,
        id: u64,
        origin: &OriginAddress,
        deadline: Instant,
    ) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = origin.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, origin.port)]);
        }
        let lookup = self.lookup(threads, id, origin)?;
        let answer = lookup.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = deadline.saturating_duration_since(Instant::now());
        let waited = lookup
            .answered
            .wait_timeout_while(answer, wait, |answer| answer.is_none());
        let (answer, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*answer {
            Some(Ok(addresses)) if addresses.is_empty() => Err(io::Error::new(
                ErrorKind::NotFound,
                "the name has no address",
            )),
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(error)) => Err(io::Error::new(ErrorKind::NotFound, error.clone())),
            None => Err(ErrorKind::TimedOut.into()),
        }
    }

    fn lookup(
        &self,
        threads: &Threads,
        id: u64,
        origin: &OriginAddress,
    ) -> io::Result<Arc<Lookup>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = asked.get(origin) {
            return Ok(Arc::clone(lookup));
        }
        let lookup = Arc::new(Lookup::default());
        let (answers, all, origin_) =
            (Arc::clone(&lookup), Arc::clone(&self.asked), origin.clone());
        threads.spawn(Role::Resolve, id, move || {
            let answer = (origin_.host.as_str(), origin_.port)
                .to_socket_addrs()
                .map(Iterator::collect)
                .map_err(|error| error.to_string());
            // The next attempt asks again: DNS may move an origin.
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&origin_);
            *answers
                .answer
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(answer);
            answers.answered.notify_all();
        })?;
        asked.insert(origin.clone(), Arc::clone(&lookup));
        Ok(lookup)
    }
}
