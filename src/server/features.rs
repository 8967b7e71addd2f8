//! What this build has beside the core: each a module, a cargo feature, and one line here.

use core::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::server::Server;
use crate::server::hook::Hooks;
use crate::server::http::Answer;

/// The features that are built in. The core calls what is there.
#[derive(Debug, Default)]
pub struct Features {
    /// Shows what is live.
    pub(super) page: Option<Box<dyn Page>>,
    /// Asks and tells others about peers.
    pub(super) hooks: Option<Box<dyn Hooks>>,
}

/// Answers beside the files.
pub(super) trait Page: fmt::Debug + Send + Sync {
    /// What is at this path; `None`: the page has nothing there.
    fn answer(&self, server: &Arc<Server>, path: &str) -> Option<Answer>;
}

impl Features {
    /// Those of this build that the configuration wants.
    pub fn of_this_build(_config: &Config) -> Self {
        Self {
            #[cfg(feature = "page")]
            page: Some(Box::new(super::page::LivePage::default())),
            #[cfg(not(feature = "page"))]
            page: None,
            #[cfg(feature = "hooks")]
            hooks: Some(Box::new(super::hooks::WebHooks::default())),
            #[cfg(not(feature = "hooks"))]
            hooks: None,
        }
    }
}
