//! Where streams come from and go to at the moment, for who looks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What comes from elsewhere, or goes there.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Link {
    /// The stream at this path is fetched.
    Pull(String),
    /// What this connection publishes is forwarded.
    Forward(u64),
}

/// Of each, where it is connected; `None`: nowhere, it is being looked for.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<Link, Option<String>>>);

impl Links {
    /// It is connected there; `None`: nowhere, but soon.
    pub fn set(&self, link: Link, at: Option<&str>) {
        self.lock().insert(link, at.map(str::to_owned));
    }

    /// It is over.
    pub fn remove(&self, link: &Link) {
        self.lock().remove(link);
    }

    /// All of them.
    pub fn all(&self) -> HashMap<Link, Option<String>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Link, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
