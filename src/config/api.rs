//! `[http_api]`.

use core::fmt;
use std::net::Ipv4Addr;

use super::document::Document;
use super::read::listen;
use super::{ListenAddress, value};
use crate::limits;

/// `[http_api]`, if it is enabled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpApi {
    /// Its addresses. Never empty.
    pub listen: Vec<ListenAddress>,
    /// Whether pages of other sites may read what it says.
    pub crossdomain: bool,
    /// `[http_api.auth]`: what to ask for, if it is enabled.
    pub auth: Option<Login>,
}

/// Who may use the API.
#[derive(Clone, Eq, PartialEq)]
pub struct Login {
    /// Never empty, and without a colon.
    pub username: String,
    /// Never empty.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Login");
        shown.field("username", &self.username);
        shown.finish_non_exhaustive()
    }
}

/// `others`: where something else listens.
pub(super) fn http_api(file: &mut Document<'_>, others: &[ListenAddress]) -> Option<HttpApi> {
    let enabled = file.switch("http_api.enabled", false);
    let crossdomain = file.switch("http_api.crossdomain", false);
    let is_guarded = file.switch("http_api.auth.enabled", false);
    let default = ListenAddress {
        ip: Some(Ipv4Addr::LOCALHOST.into()),
        port: 1985,
    };
    let listen = listen(file, "http_api.listen", default);
    let mut text = |key| {
        let expected = "text of up to 128 printable characters, a user's name without a colon";
        file.read(key, String::new(), expected, |value| {
            value::printable(value, limits::MAX_LOGIN_LENGTH).map(str::to_owned)
        })
    };
    let login = Login {
        username: text("http_api.auth.username"),
        password: text("http_api.auth.password"),
    };
    if login.username.contains(':') {
        let message = "a user's name has no colon: it ends the name when it is sent";
        file.refuse("http_api.auth.username", message);
    }
    if is_guarded && (login.username.is_empty() || login.password.is_empty()) {
        let message = "needs a `username` and a `password`";
        file.refuse("http_api.auth.enabled", message);
    }
    let is_taken = |own: &&ListenAddress| own.port > 0 && others.contains(own);
    if enabled && listen.iter().any(|own| is_taken(&own)) {
        let message = "something else listens there; choose another port";
        file.refuse("http_api.listen", message);
    }
    enabled.then(|| HttpApi {
        listen,
        crossdomain,
        auth: is_guarded.then_some(login),
    })
}
