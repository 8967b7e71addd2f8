//! The configuration of the moment.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Config;

/// Shared by all who want to know it again and again: each sees the old one or the new one, whole.
#[derive(Clone, Debug)]
pub struct Current(Arc<RwLock<Arc<Config>>>);

impl Current {
    /// Begins with this one.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The configuration of this moment. Whoever decides several things by it keeps it meanwhile.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is this one.
    pub fn set(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}
