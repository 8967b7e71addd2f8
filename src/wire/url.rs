//! The address of a stream, as an origin that redirects us gives it.

use core::fmt;
use core::net::Ipv6Addr;

use crate::limits;
use crate::wire::name::{self, Name, NameError};

/// `rtmp://host[:port]/app[/stream][?query]`: with a stream, or, as in a `tcUrl`, without. The query
/// is checked and left out: whoever goes there has its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url {
    /// Name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// 1935 if the text does not say.
    pub port: u16,
    /// The application.
    pub app: Name,
    /// The stream, if there is one.
    pub stream: Option<Name>,
}

/// RTMP's port.
const PORT: u16 = 1935;

impl Url {
    /// Takes `text` apart; nothing is cleaned or unescaped.
    ///
    /// # Errors
    ///
    /// It is not the address of a stream over plain RTMP.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("rtmp://").ok_or(UrlError::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
        let (host, port) = authority_of(authority)?;
        let (path, _query) = name::split_query(path)?;
        let (app, stream) = path.split_once('/').unwrap_or((path, ""));
        let stream = (!stream.is_empty()).then(|| Name::parse(stream));
        Ok(Self {
            host,
            port,
            app: Name::parse(app)?,
            stream: stream.transpose()?,
        })
    }
}

/// Host and port; who has user information in front of them (`user@`) has no host.
fn authority_of(text: &str) -> Result<(String, u16), UrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
        let host: Ipv6Addr = host.parse().map_err(|_error| UrlError::Host)?;
        let port = match port.strip_prefix(':') {
            None if !port.is_empty() => return Err(UrlError::Port),
            port => port,
        };
        (host.to_string(), port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let fits = (1..=limits::MAX_HOST_LENGTH).contains(&host.len());
        if !fits || !host.bytes().all(allowed) {
            return Err(UrlError::Host);
        }
        (host.to_owned(), port)
    };
    let port = port.map_or(Some(PORT), |port| {
        // "+1" is a number, too.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse().ok().filter(|&port| digits && port > 0)
    });
    Ok((host, port.ok_or(UrlError::Port)?))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let Self {
            host, port, app, ..
        } = self;
        write!(f, "rtmp://{open}{host}{close}:{port}/{app}")?;
        match &self.stream {
            Some(stream) => write!(f, "/{stream}"),
            None => Ok(()),
        }
    }
}

/// Why a text is not the address of a stream. Never repeats it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `rtmp://`.
    Scheme,
    /// No host name or address, or one that is too long, or something before it.
    Host,
    /// A port that is not a number from 1 to 65535.
    Port,
    /// Nothing after the host.
    Path,
    /// The application, the stream or the query.
    Name(NameError),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Scheme => write!(f, "it does not begin with rtmp://"),
            Self::Host => write!(f, "its host is not a name or an address"),
            Self::Port => write!(f, "its port is not a number from 1 to 65535"),
            Self::Path => write!(f, "it has no application"),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl From<NameError> for UrlError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_streams() {
        for (text, host, port, app, stream) in [
            ("rtmp://a/live/x", "a", 1935, "live", Some("x")),
            (
                "rtmp://10.0.0.1:19350/live/x?k=v/../@",
                "10.0.0.1",
                19350,
                "live",
                Some("x"),
            ),
            (
                "rtmp://[2001:db8:0::1]:1/a/b",
                "2001:db8::1",
                1,
                "a",
                Some("b"),
            ),
            ("rtmp://[::1]/a/b", "::1", 1935, "a", Some("b")),
            // What SRS's `redirect` says, and what it said before.
            ("rtmp://a.b:1935/live", "a.b", 1935, "live", None),
            ("rtmp://a/live/?vhost=b", "a", 1935, "live", None),
            ("rtmp://a/live?vhost=b/x", "a", 1935, "live", None),
        ] {
            let url = Url::parse(text).unwrap();
            let name = url.stream.as_ref().map(Name::as_str);
            let parts = (&*url.host, url.port, url.app.as_str(), name);
            assert_eq!(parts, (host, port, app, stream), "{text}");
            assert_eq!(Url::parse(&url.to_string()), Ok(url), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_refused() {
        const CASES: &[(&str, UrlError)] = &[
            ("", UrlError::Scheme),
            ("rtmps://a/live/x", UrlError::Scheme),
            ("http://a/live/x", UrlError::Scheme),
            ("//a/live/x", UrlError::Scheme),
            (" rtmp://a/live/x", UrlError::Scheme),
            ("rtmp://a", UrlError::Path),
            ("rtmp://a?live/x", UrlError::Host),
            ("rtmp:///live/x", UrlError::Host),
            ("rtmp://:1/live/x", UrlError::Host),
            ("rtmp://user@a/live/x", UrlError::Host),
            ("rtmp://user:1@a/live/x", UrlError::Port),
            ("rtmp://a\n/live/x", UrlError::Host),
            ("rtmp://a b/live/x", UrlError::Host),
            ("rtmp://é/live/x", UrlError::Host),
            ("rtmp://::1/live/x", UrlError::Host),
            ("rtmp://[::1/live/x", UrlError::Host),
            ("rtmp://[a]/live/x", UrlError::Host),
            ("rtmp://[fe80::1%1]/live/x", UrlError::Host),
            ("rtmp://[::1]1/live/x", UrlError::Port),
            ("rtmp://a:/live/x", UrlError::Port),
            ("rtmp://a:0/live/x", UrlError::Port),
            ("rtmp://a:+1/live/x", UrlError::Port),
            ("rtmp://a:65536/live/x", UrlError::Port),
            ("rtmp://a:1:2/live/x", UrlError::Port),
            ("rtmp://a/", UrlError::Name(NameError::Empty)),
            ("rtmp://a//x", UrlError::Name(NameError::Empty)),
            ("rtmp://a/live/x/y", UrlError::Name(NameError::Character)),
            ("rtmp://a/live/x\r", UrlError::Name(NameError::Character)),
            ("rtmp://a/live/..", UrlError::Name(NameError::Dots)),
            // SRS's oldest form, with a virtual host.
            (
                "rtmp://a/live...vhost...b/x",
                UrlError::Name(NameError::Dots),
            ),
            (
                "rtmp://a/live/x?\n",
                UrlError::Name(NameError::QueryCharacter),
            ),
        ];
        for &(text, expected) in CASES {
            assert_eq!(Url::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_host_is_as_long_as_the_limit_and_no_longer() {
        let limit = limits::MAX_HOST_LENGTH;
        let parse = |length| Url::parse(&format!("rtmp://{}/live/x", "a".repeat(length)));
        assert_eq!(parse(limit).map(|url| url.host.len()), Ok(limit));
        assert_eq!(parse(limit + 1), Err(UrlError::Host));
    }
}
