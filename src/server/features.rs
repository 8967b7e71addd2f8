//! What this build has beside the core: each a module, a cargo feature, and one line here.

use crate::config::Config;

/// The features that are built in and configured. The core calls what is there.
#[derive(Debug, Default)]
pub struct Features {}

impl Features {
    /// Those of this build that the configuration wants.
    pub const fn of_this_build(_config: &Config) -> Self {
        Self {}
    }
}
