//! What a `connect` says, and the answer to one that is granted [RTMP §7.2.1.1].

use core::fmt;

use crate::limits;
use crate::wire::amf0::Value;
use crate::wire::command::{self, Command};

/// Enhanced RTMP's flags in the property `capsEx` of a `connect` and of its answer.
pub mod caps_ex {
    /// It can be asked to connect anew.
    pub const RECONNECT: u8 = 1;
    /// Several tracks in one stream.
    pub const MULTITRACK: u8 = 2;
    /// Modifiers of a media packet.
    pub const MOD_EX: u8 = 4;
    /// One of them: nanoseconds.
    pub const TIMESTAMP_NANO_OFFSET: u8 = 8;
    /// Ours: we connect anew and ask others to, and media passes untouched.
    pub const OURS: u8 = RECONNECT | MULTITRACK | MOD_EX | TIMESTAMP_NANO_OFFSET;
}

/// Properties that only a peer sends who speaks Enhanced RTMP.
const ENHANCED: [&str; 4] = [
    "fourCcList",
    "videoFourCcInfoMap",
    "audioFourCcInfoMap",
    "capsEx",
];

/// What a peer says of itself, as it says it: only for who knows to quote it. Each is empty if it is
/// not there, or longer than [`limits::MAX_INTRODUCTION_LENGTH`]. Its `Debug` shows nothing: there may
/// be secrets in it.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Introduction {
    /// The application, with its query string.
    pub app: String,
    /// Where it believes to connect to.
    pub tc_url: String,
    /// The page that its player is on.
    pub page_url: String,
    /// Its player.
    pub swf_url: String,
}

impl Introduction {
    /// The one of a `connect`.
    pub fn of(command: &Command) -> Self {
        let property = |name| {
            let text = command.property(0, name).and_then(Value::as_str);
            let fits = |text: &&str| text.len() <= limits::MAX_INTRODUCTION_LENGTH;
            text.filter(fits).unwrap_or_default().to_owned()
        };
        Self {
            app: property("app"),
            tc_url: property("tcUrl"),
            page_url: property("pageUrl"),
            swf_url: property("swfUrl"),
        }
    }
}

impl fmt::Debug for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introduction").finish_non_exhaustive()
    }
}

/// The properties of the server, and the information object. Who speaks Enhanced RTMP is told that
/// we forward every codec.
pub fn answer(command: &Command) -> [Value; 2] {
    let properties = command::object(&[
        ("fmsVer", command::string("FMS/3,5,3,888")),
        ("capabilities", Value::Number(127.0)),
        ("mode", Value::Number(1.0)),
    ]);
    let (code, description) = ("NetConnection.Connect.Success", "connected");
    let mut info = command::status_object("status", code, description);
    let encoding = command.property(0, "objectEncoding");
    let encoding = encoding.and_then(Value::as_number).unwrap_or(0.0);
    let mut more = vec![("objectEncoding", Value::Number(encoding))];
    let asked = |name| command.property(0, name).is_some();
    if ENHANCED.into_iter().any(asked) {
        /// `CanForward`.
        const CAN_FORWARD: f64 = 4.0;
        let any = command::object(&[("*", Value::Number(CAN_FORWARD))]);
        let list = Value::StrictArray(vec![command::string("*")]);
        more.push(("fourCcList", list));
        more.push(("videoFourCcInfoMap", any.clone()));
        more.push(("audioFourCcInfoMap", any));
        more.push(("capsEx", Value::Number(f64::from(caps_ex::OURS))));
    }
    if let Value::Object(properties) = &mut info {
        properties.extend(
            more.into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    [properties, info]
}

/// Whether the peer says that it can be asked to connect anew.
pub fn reconnects(command: &Command) -> bool {
    let flags = command.property(0, "capsEx").and_then(Value::as_number);
    // The lowest bit, of a number that may be any.
    flags.is_some_and(|flags| flags % 2.0 == f64::from(caps_ex::RECONNECT))
}

/// A URL without what may be a secret: what follows `?`, and the user and password before the host; and
/// not longer than [`limits::MAX_SHOWN_URL`].
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let scheme = url.find("//").map_or(0, |at| at.saturating_add(2));
    let (scheme, rest) = url.split_at(scheme);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = rest.get(authority.len()..).unwrap_or_default();
    let url = [scheme, host, path].concat();
    let fits =
        |&(at, character): &(usize, char)| at < limits::MAX_SHOWN_URL && !character.is_control();
    let characters = url.char_indices().take_while(fits);
    characters.map(|(_, character)| character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_and_no_more_than_a_bound() {
        assert_eq!(shown("rtmp://a/live?key=1"), "rtmp://a/live");
        assert_eq!(shown("http://a/#key=1"), "http://a/");
        for url in ["rtmp://me:secret@a/live", "rtmp://me@b:secret@a/live"] {
            assert_eq!(shown(url), "rtmp://a/live");
        }
        assert_eq!(shown("me:secret@a/live@b"), "a/live@b");
        assert_eq!(shown("a\nb"), "a");
        let long = "ä".repeat(limits::MAX_SHOWN_URL);
        assert!(shown(&long).len() <= limits::MAX_SHOWN_URL + 1);
    }
}
