//! `[http_hooks]`: who is asked about peers, and told about them.

use core::fmt;

use toml::de::DeValue;

use super::document::Document;
use super::{OriginAddress, value};
use crate::limits;

/// `[http_hooks]`; without `enabled`, all lists are empty. Each is asked or told in this order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HttpHooks {
    /// Whether a peer may connect.
    pub on_connect: Vec<HookUrl>,
    /// One that was let in is gone.
    pub on_close: Vec<HookUrl>,
    /// Whether one may publish.
    pub on_publish: Vec<HookUrl>,
    /// One that could has ended.
    pub on_unpublish: Vec<HookUrl>,
    /// Whether one may play.
    pub on_play: Vec<HookUrl>,
    /// One that could has ended.
    pub on_stop: Vec<HookUrl>,
    /// There is another segment.
    pub on_hls: Vec<HookUrl>,
}

impl HttpHooks {
    /// Whether this one is asked or told anything.
    pub fn has(&self, url: &HookUrl) -> bool {
        let asked = [&self.on_connect, &self.on_publish, &self.on_play];
        let told = [&self.on_close, &self.on_unpublish, &self.on_stop];
        let mut lists = asked.into_iter().chain(told).chain([&self.on_hls]);
        lists.any(|urls| urls.contains(url))
    }
}

/// `http://host[:port][/path][?query]`.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct HookUrl {
    /// Where the server is; port 80 if the file does not say.
    pub address: OriginAddress,
    /// From the path on; begins with a slash. Its query may be a secret.
    pub target: String,
}

/// The query is not shown.
impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "http://{}{path}", self.address)
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl HookUrl {
    /// HTTP's port.
    const PORT: u16 = 80;

    fn parse(value: &DeValue<'_>) -> Option<Self> {
        let rest = value.as_str()?.strip_prefix("http://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let is_plain = target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let fits = target.len() <= limits::MAX_QUERY_LENGTH;
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        (is_plain && fits).then_some(Self {
            address: value::address(authority, Self::PORT)?,
            target,
        })
    }
}

/// The block; mistakes stay with the document.
pub(super) fn http_hooks(file: &mut Document<'_>) -> HttpHooks {
    let enabled = file.switch("http_hooks.enabled", false);
    if enabled && !cfg!(feature = "hooks") {
        // Of any vhost: nobody would be asked.
        let message = "this build has no hooks: build it with the feature `hooks`";
        file.refuse("http_hooks.enabled", message);
    }
    let expected = "\"http://host[:port]/path\", or a list of those (for https:// put a proxy on \
                    this machine in between)";
    let mut urls = |key| file.read_list(key, vec![], expected, HookUrl::parse);
    let hooks = HttpHooks {
        on_connect: urls("http_hooks.on_connect"),
        on_close: urls("http_hooks.on_close"),
        on_publish: urls("http_hooks.on_publish"),
        on_unpublish: urls("http_hooks.on_unpublish"),
        on_play: urls("http_hooks.on_play"),
        on_stop: urls("http_hooks.on_stop"),
        on_hls: urls("http_hooks.on_hls"),
    };
    if enabled { hooks } else { HttpHooks::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(String, u16, String)> {
        let url = HookUrl::parse(&DeValue::String(text.into()))?;
        Some((url.address.host, url.address.port, url.target))
    }

    #[test]
    fn urls_of_hooks() {
        let cases = [
            (
                "http://127.0.0.1:8085/api/v1/streams",
                Some(("127.0.0.1", 8085, "/api/v1/streams")),
            ),
            ("http://hooks.example", Some(("hooks.example", 80, "/"))),
            (
                "http://hooks.example?a=b",
                Some(("hooks.example", 80, "/?a=b")),
            ),
            ("http://[::1]:81/a?b=/c", Some(("::1", 81, "/a?b=/c"))),
            ("http://[::1]/", Some(("::1", 80, "/"))),
            ("https://hooks.example/", None),
            ("hooks.example/", None),
            ("http:///a", None),
            ("http://user@hooks.example/", None),
            ("http://hooks.example:0/", None),
            ("http://hooks.example/a b", None),
            ("http://hooks.example/a\r\nb", None),
            ("http://hooks.example/#a", None),
            ("http://hooks.example/é", None),
        ];
        for (text, expected) in cases {
            let expected =
                expected.map(|(host, port, target)| (host.to_owned(), port, target.to_owned()));
            assert_eq!(parse(text), expected, "{text}");
        }
        let longest = format!("http://a/{}", "a".repeat(limits::MAX_QUERY_LENGTH - 1));
        assert!(parse(&longest).is_some());
        assert!(parse(&format!("{longest}a")).is_none());
    }

    #[test]
    fn a_secret_in_a_url_stays_out_of_logs() {
        let url = HookUrl::parse(&DeValue::String("http://a/b?secret".into())).unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://a:80/b http://a:80/b");
    }
}
