//! What this build has beside the core: each a module, a cargo feature, and one line here.

use core::fmt;
use std::sync::Arc;

use crate::server::Server;
use crate::server::connection::Connection;
use crate::server::hook::Hooks;
use crate::server::http::Answer;
use crate::server::siblings::Siblings;
use crate::wire::http::Request;

/// The features that are built in. The core calls what is there.
#[derive(Debug, Default)]
pub struct Features {
    /// Shows what is live.
    pub(super) page: Option<Box<dyn Page>>,
    /// Says what the process does.
    pub(super) api: Option<Box<dyn Api>>,
    /// Asks and tells others about peers.
    pub(super) hooks: Option<Box<dyn Hooks>>,
}

/// What the process says of itself.
pub(super) trait Api: fmt::Debug + Send + Sync {
    /// The answer to a request at the API's port; `None`: to one who may know, and asks for nothing
    /// of the API's.
    fn answer(
        &self,
        server: &Arc<Server>,
        connection: &Connection,
        request: &Request<'_>,
    ) -> Option<Answer>;

    /// What a sibling is told.
    fn say(&self, server: &Server) -> Vec<u8>;
}

/// Answers beside the files.
pub(super) trait Page: fmt::Debug + Send + Sync {
    /// What is at this path; `None`: the page has nothing there. `manages`: to one who may know of
    /// clients, and end them.
    fn answer(&self, server: &Arc<Server>, path: &str, manages: bool) -> Option<Answer>;
}

impl Features {
    /// Those of this build.
    pub fn of_this_build() -> Self {
        Self {
            #[cfg(feature = "api")]
            api: Some(Box::new(super::api::HttpApi::default())),
            #[cfg(not(feature = "api"))]
            api: None,
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

/// What `--status` says of all processes that meet somewhere.
pub type Status = fn(&Siblings) -> Result<String, String>;

/// `None`: this build has no API.
#[cfg(feature = "api")]
pub const STATUS: Option<Status> = Some(super::api::status::of_all);
/// `None`: this build has no API.
#[cfg(not(feature = "api"))]
pub const STATUS: Option<Status> = None;
