//! Names of applications and streams: checked once, here, before a path, a log, a playlist or an
//! origin sees them.

use core::fmt;

use crate::limits;
use crate::wire::vhost::{self, VhostName};

/// A name that is safe as one component of a path or URL, and in a log.
///
/// `[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}`, without `..`, and not ending like a file that we make out
/// of names. There is no value of this type for anything else.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Name(Box<str>);

/// Endings that we put after names. With one of its own, a stream could pose as another's file.
const OUR_SUFFIXES: [&str; 4] = ["m3u8", "ts", "flv", "tmp"];

impl Name {
    /// Checks `text`; nothing is cleaned or unescaped.
    ///
    /// # Errors
    ///
    /// `text` is not a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > limits::MAX_NAME_LENGTH {
            return Err(NameError::TooLong(text.len()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !text.bytes().all(allowed) {
            return Err(NameError::Character);
        }
        if text.starts_with('.') || text.contains("..") {
            return Err(NameError::Dots);
        }
        if let Some((_, suffix)) = text.rsplit_once('.')
            && OUR_SUFFIXES.iter().any(|s| s.eq_ignore_ascii_case(suffix))
        {
            return Err(NameError::Suffix);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which stream: shown as `app/name`, or `vhost/app/name`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct StreamPath {
    /// The vhost; `None`: the default one.
    pub vhost: Option<VhostName>,
    /// The application, from `connect` [RTMP §7.2.1.1].
    pub app: Name,
    /// The publishing name [RTMP §7.2.2.6].
    pub name: Name,
}

impl StreamPath {
    /// Takes apart what is shown.
    pub fn parse(text: &str) -> Option<Self> {
        let (vhost, rest) = match vhost_of(text) {
            Some(name) => (Some(VhostName::parse(name)?), text.split_once('/')?.1),
            None => (None, text),
        };
        let (app, name) = rest.split_once('/')?;
        Some(Self {
            vhost,
            app: Name::parse(app).ok()?,
            name: Name::parse(name).ok()?,
        })
    }

    /// The name of its vhost, if that is not the default one.
    pub fn vhost(&self) -> Option<&str> {
        self.vhost.as_ref().map(VhostName::as_str)
    }
}

/// The name of the vhost of a stream that is shown so, if that is not the default one.
pub fn vhost_of(path: &str) -> Option<&str> {
    let (first, rest) = path.split_once('/')?;
    rest.contains('/').then_some(first)
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vhost) = &self.vhost {
            write!(f, "{vhost}/")?;
        }
        write!(f, "{}/{}", self.app, self.name)
    }
}

/// What a peer asks to publish or play. Its `Debug` shows no query: it may be a secret.
#[derive(Clone, Eq, PartialEq)]
pub struct StreamRequest {
    /// The vhost that is asked for. There may be none of this name.
    pub vhost: Option<VhostName>,
    /// Which stream; of the default vhost, until it is known whether there is the other.
    pub path: StreamPath,
    /// What followed `?` in the application: at most [`limits::MAX_QUERY_LENGTH`] bytes, without control
    /// characters.
    pub app_query: String,
    /// What followed `?` in the publishing name. The same holds.
    pub query: String,
}

impl StreamRequest {
    /// Takes apart the application of a `connect` and the name of a `publish` or `play`. `host` is that
    /// of the URL, and what counts if no query names a vhost.
    ///
    /// Slashes around the application are dropped. `app/name` with an empty `stream` is what OBS
    /// sends when all of the URL is in its server field. An ending `.flv` is left out: an edge of SRS that
    /// fetches a stream for an HTTP-FLV player names it so.
    ///
    /// # Errors
    ///
    /// The application or the name is not a [`Name`], or a query passes its bounds.
    pub fn parse(host: Option<&VhostName>, app: &str, stream: &str) -> Result<Self, NameError> {
        let (app, app_query) = split_query(app)?;
        let (stream, query) = split_query(stream)?;
        let app = app.trim_matches('/');
        let (app, stream) = match app.split_once('/') {
            Some((app, name)) if stream.is_empty() => (app, name),
            _ => (app, stream),
        };
        let stream = stream.strip_suffix(".flv").unwrap_or(stream);
        let vhost = match vhost::named_in(&[&query, &app_query]) {
            Some(named) => VhostName::parse(named),
            None => host.cloned(),
        };
        Ok(Self {
            vhost,
            path: StreamPath {
                vhost: None,
                app: Name::parse(app)?,
                name: Name::parse(stream)?,
            },
            app_query,
            query,
        })
    }

    /// Both query strings. A parameter may be in either: players differ in what they split where.
    pub fn queries(&self) -> [&str; 2] {
        [&self.query, &self.app_query]
    }
}

impl fmt::Debug for StreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRequest")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What stands before the first `?`, and what after, within [`StreamRequest`]'s bounds for it.
pub(super) fn split_query(text: &str) -> Result<(&str, String), NameError> {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    if query.len() > limits::MAX_QUERY_LENGTH {
        return Err(NameError::QueryTooLong(query.len()));
    }
    if query.chars().any(char::is_control) {
        return Err(NameError::QueryCharacter);
    }
    Ok((before, query.to_owned()))
}

/// Why a name or its query is refused. Says what is allowed; never repeats the peer's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameError {
    /// No application or no stream name.
    Empty,
    /// More bytes than [`limits::MAX_NAME_LENGTH`].
    TooLong(usize),
    /// Another character than letters, digits, `_`, `-` and `.`.
    Character,
    /// A dot at the start, or two in a row.
    Dots,
    /// An ending of files that we write.
    Suffix,
    /// More bytes than [`limits::MAX_QUERY_LENGTH`].
    QueryTooLong(usize),
    /// A control character in a query.
    QueryCharacter,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "the application or the stream has no name"),
            Self::TooLong(length) => {
                let limit = limits::MAX_NAME_LENGTH;
                write!(f, "a name of {length} bytes; up to {limit} are allowed")
            }
            Self::Character => {
                write!(f, "a name may hold A-Z a-z 0-9 _ - . and nothing else")
            }
            Self::Dots => write!(f, "a name may not start with a dot or hold two in a row"),
            Self::Suffix => write!(f, "a name may not end in .m3u8, .ts, .flv or .tmp"),
            Self::QueryTooLong(length) => {
                let limit = limits::MAX_QUERY_LENGTH;
                write!(f, "a query of {length} bytes; up to {limit} are allowed")
            }
            Self::QueryCharacter => write!(f, "a query may not hold control characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        const CASES: &[(&str, Result<(), NameError>)] = &[
            ("livestream", Ok(())),
            ("-_9.a-B", Ok(())),
            ("a.", Ok(())),
            ("ts", Ok(())),
            ("a.ts.b", Ok(())),
            ("a.tsx", Ok(())),
            ("", Err(NameError::Empty)),
            ("a/b", Err(NameError::Character)),
            ("a\\b", Err(NameError::Character)),
            ("a b", Err(NameError::Character)),
            ("a\n", Err(NameError::Character)),
            ("a\0", Err(NameError::Character)),
            ("a%2e", Err(NameError::Character)),
            ("a?b", Err(NameError::Character)),
            ("é", Err(NameError::Character)),
            (".", Err(NameError::Dots)),
            ("..", Err(NameError::Dots)),
            (".a", Err(NameError::Dots)),
            ("a..b", Err(NameError::Dots)),
            ("a.m3u8", Err(NameError::Suffix)),
            ("a.b.Ts", Err(NameError::Suffix)),
            ("a.FLV", Err(NameError::Suffix)),
            ("a.tmp", Err(NameError::Suffix)),
        ];
        for &(text, expected) in CASES {
            assert_eq!(Name::parse(text).map(drop), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_the_limit_and_no_longer() {
        let limit = limits::MAX_NAME_LENGTH;
        assert!(Name::parse(&"a".repeat(limit)).is_ok());
        let long = Name::parse(&"a".repeat(limit + 1));
        assert_eq!(long, Err(NameError::TooLong(limit + 1)));
    }

    #[test]
    fn requests() {
        const CASES: &[([&str; 2], [&str; 3])] = &[
            (["live", "a"], ["live/a", "", ""]),
            (["/live/", "a"], ["live/a", "", ""]),
            (["live", "a?k=1?2"], ["live/a", "", "k=1?2"]),
            (["live/?t=/x", "a"], ["live/a", "t=/x", ""]),
            (["live?", "a?"], ["live/a", "", ""]),
            (["live/a", ""], ["live/a", "", ""]),
            (["live/a?t", "?k"], ["live/a", "t", "k"]),
            (["live", "a.flv?k"], ["live/a", "", "k"]),
            (["live/a.b.flv", ""], ["live/a.b", "", ""]),
        ];
        for &([app, stream], expected) in CASES {
            let request = StreamRequest::parse(None, app, stream).unwrap();
            let shown = request.path.to_string();
            let parts = [&shown, &request.app_query, &request.query];
            assert_eq!(parts, expected, "{app:?} {stream:?}");
        }
    }

    #[test]
    fn a_request_is_for_the_vhost_of_its_query_or_of_its_host() {
        let host = VhostName::parse("h.test").unwrap();
        for (app, stream, vhost) in [
            ("live", "a", Some("h.test")),
            ("live?vhost=A.test", "a", Some("a.test")),
            ("live?k&vhost=a", "b?vhost=b&x", Some("b")),
            ("live", "a?domain=a&key=1", Some("a")),
            ("live", "a?vhost=10.0.0.1", None),
            ("live", "a?vhost=../a", None),
        ] {
            let request = StreamRequest::parse(Some(&host), app, stream).unwrap();
            let name = request.vhost.as_ref().map(VhostName::as_str);
            assert_eq!(name, vhost, "{app} {stream}");
            assert_eq!(request.path.vhost, None);
        }
    }

    #[test]
    fn a_stream_is_shown_with_its_vhost() {
        for (text, vhost) in [("live/a", None), ("a.test/live/a", Some("a.test"))] {
            let path = StreamPath::parse(text).unwrap();
            assert_eq!((path.vhost(), vhost_of(text)), (vhost, vhost));
            assert_eq!(path.to_string(), text);
        }
        for text in ["", "a", "a/", "/a/b", "a/b/c/d", "../a/b", "a/../b"] {
            assert_eq!(StreamPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn requests_that_are_refused() {
        const CASES: &[(&str, &str, NameError)] = &[
            ("", "a", NameError::Empty),
            ("/", "a", NameError::Empty),
            ("live", "", NameError::Empty),
            ("live", "?k", NameError::Empty),
            ("live", ".flv", NameError::Empty),
            ("live", "a.flv.flv", NameError::Suffix),
            ("live/a", "b", NameError::Character),
            ("live/a/b", "", NameError::Character),
            ("live//a", "", NameError::Character),
            ("live", "/a", NameError::Character),
            ("live/..", "", NameError::Dots),
            ("live", "a?k\r\n", NameError::QueryCharacter),
            ("live?\u{85}", "a", NameError::QueryCharacter),
        ];
        for &(app, stream, expected) in CASES {
            let result = StreamRequest::parse(None, app, stream);
            assert_eq!(result, Err(expected), "{app:?} {stream:?}");
        }
    }

    #[test]
    fn a_query_is_as_long_as_the_limit_and_no_longer() {
        let limit = limits::MAX_QUERY_LENGTH;
        let ask = |length| StreamRequest::parse(None, "live", &format!("a?{}", "k".repeat(length)));
        assert_eq!(ask(limit).map(|request| request.query.len()), Ok(limit));
        assert_eq!(ask(limit + 1), Err(NameError::QueryTooLong(limit + 1)));
    }

    #[test]
    fn a_secret_in_a_query_stays_out_of_logs() {
        let request = StreamRequest::parse(None, "live?secret", "a?secret").unwrap();
        assert!(!format!("{request:?}").contains("secret"));
    }
}
