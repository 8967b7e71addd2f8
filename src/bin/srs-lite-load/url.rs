//! What to publish or to play, and over what.

use core::fmt;

/// How a stream is taken or given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// RTMP.
    Rtmp,
    /// A live FLV file over HTTP.
    Flv,
    /// HLS.
    Hls,
}

/// An address of one stream or of many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    /// By its scheme and its ending.
    pub(crate) protocol: Protocol,
    /// `host:port`.
    pub(crate) host: String,
    /// What stands behind `host:port/`; `{}` in it is the number of the stream.
    pub(crate) path: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Rtmp => "rtmp",
            Protocol::Flv | Protocol::Hls => "http",
        };
        write!(f, "{scheme}://{}/{}", self.host, self.path)
    }
}

impl Url {
    /// Takes an address apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what it should be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why| {
            format!("`{text}`: {why}; rtmp://HOST/APP/STREAM, http://HOST/…/STREAM.flv or ….m3u8")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("no stream"))?;
        let file = path.split('?').next().unwrap_or_default();
        let (protocol, port) = match scheme {
            "rtmp" if path.contains('/') => (Protocol::Rtmp, 1935),
            "rtmp" => return Err(wrong("no stream")),
            "http" if file.ends_with(".m3u8") => (Protocol::Hls, 80),
            "http" => (Protocol::Flv, 80),
            _ => return Err(wrong("an unknown scheme")),
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port && !host.ends_with(']') {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        Ok(Self {
            protocol,
            host,
            path: path.to_owned(),
        })
    }

    /// Whether it names many streams.
    pub(crate) fn is_pattern(&self) -> bool {
        self.path.contains("{}")
    }

    /// The path of the stream with this number.
    pub(crate) fn path(&self, number: usize) -> String {
        self.path.replace("{}", &number.to_string())
    }

    /// Application and stream of an RTMP path.
    pub(crate) fn app_and_stream(path: &str) -> (&str, &str) {
        path.rsplit_once('/').unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_ending_say_how() {
        for (text, protocol, host, path) in [
            ("rtmp://a/live/x", Protocol::Rtmp, "a:1935", "live/x"),
            (
                "rtmp://[::1]:19350/live/x?k=v",
                Protocol::Rtmp,
                "[::1]:19350",
                "live/x?k=v",
            ),
            (
                "rtmp://[::1]/live/x",
                Protocol::Rtmp,
                "[::1]:1935",
                "live/x",
            ),
            (
                "http://a:8080/live/x.flv",
                Protocol::Flv,
                "a:8080",
                "live/x.flv",
            ),
            (
                "http://a/live/x.m3u8?k=v",
                Protocol::Hls,
                "a:80",
                "live/x.m3u8?k=v",
            ),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.protocol, &*url.host, &*url.path),
                (protocol, host, path),
                "{text}"
            );
        }
        for text in ["rtmp://a/live", "live/x", "rtmp://a", "https://a/x.flv"] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains("rtmp://HOST/APP/STREAM"), "{error}");
        }
    }

    #[test]
    fn a_pattern_names_many() {
        let url = Url::parse("rtmp://a/live/s{}").unwrap();
        assert!(url.is_pattern());
        assert_eq!(url.path(7), "live/s7");
        assert_eq!(Url::app_and_stream("live/s7"), ("live", "s7"));
    }
}
