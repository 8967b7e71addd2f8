//! What this build has beside the core: each a module, a cargo feature, and one line here.

use std::sync::Arc;

use crate::config::{Config, HttpHooks};
use crate::server::hook::Hooks;

/// The features that are built in. The core calls what is there.
#[derive(Debug, Default)]
pub struct Features {
    /// Asks and tells others about peers, as the configuration of the moment says.
    pub hooks: Option<Arc<dyn Hooks>>,
}

impl Features {
    /// Those of this build.
    pub fn of_this_build() -> Self {
        Self {
            #[cfg(feature = "hooks")]
            hooks: Some(Arc::new(crate::server::hooks::WebHooks::default())),
            #[cfg(not(feature = "hooks"))]
            hooks: None,
        }
    }

    /// Whether this build has what the configuration wants.
    ///
    /// # Errors
    ///
    /// What it lacks, and what to do.
    pub fn suffice(config: &Config) -> Result<(), String> {
        let hooks = config.http_hooks != HttpHooks::default();
        let wanted = [("hooks", hooks, cfg!(feature = "hooks"))];
        match wanted.iter().find(|(_, wanted, built)| *wanted && !built) {
            Some((what, ..)) => Err(format!(
                "this build has no {what}: build it with the feature `{what}`"
            )),
            None => Ok(()),
        }
    }
}
