//! Names of virtual hosts: which one a request is for.

use core::fmt;
use core::net::Ipv4Addr;

use crate::limits;

/// The name of a vhost, in lower case: safe as one component of a path or URL, and in a log.
///
/// Letters, digits, `.`, `-` and `_`, as of a host, but no address, no dot at its ends and no two in a
/// row. Whether there is such a vhost the configuration says, which takes the same names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VhostName(Box<str>);

impl VhostName {
    /// Checks `text`, which may be a peer's; capital letters do not count. `None`: whoever asks for it
    /// asks for the default vhost.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let is_name =
            (1..=limits::MAX_NAME_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
        let has_dots = text.starts_with('.') || text.ends_with('.') || text.contains("..");
        let is_address = text.parse::<Ipv4Addr>().is_ok();
        (is_name && !has_dots && !is_address).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The host of `host[:port]`, as a `Host` field has it.
    pub fn of_authority(text: &str) -> Option<Self> {
        Self::parse(text.split_once(':').map_or(text, |(host, _port)| host))
    }

    /// The host of a URL, as a `tcUrl` is one.
    pub fn of_url(text: &str) -> Option<Self> {
        let (_scheme, rest) = text.split_once("://")?;
        Self::of_authority(rest.split(['/', '?']).next()?)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VhostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parameters of a query that name the vhost; the first one counts more.
const PARAMETERS: [&str; 2] = ["vhost=", "domain="];

/// What the parameters of these queries name, if one of them is there. Whoever comes first in the list
/// counts more.
pub fn named_in<'a>(queries: &[&'a str]) -> Option<&'a str> {
    let value = |name: &str| {
        let mut parameters = queries.iter().flat_map(|query| query.split('&'));
        parameters.find_map(|parameter| parameter.strip_prefix(name))
    };
    PARAMETERS.iter().find_map(|name| value(name))
}

/// The query without these parameters: what is asked of an origin names another vhost, or none.
pub fn without_names(query: &str) -> String {
    let is_other = |parameter: &&str| !PARAMETERS.iter().any(|name| parameter.starts_with(name));
    let others: Vec<_> = query.split('&').filter(is_other).collect();
    others.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hosts_without_capital_letters() {
        let longest = "a".repeat(limits::MAX_NAME_LENGTH);
        for (text, expected) in [
            ("a.test", "a.test"),
            ("A.Test", "a.test"),
            ("localhost", "localhost"),
            ("__defaultVhost__", "__defaultvhost__"),
            ("1.2.3", "1.2.3"),
            ("-a_b-", "-a_b-"),
            (&longest, &longest),
        ] {
            let name = VhostName::parse(text).unwrap();
            assert_eq!(name.as_str(), expected);
        }
        for text in [
            "",
            ".",
            "..",
            ".a",
            "a.",
            "a..b",
            "a/b",
            "../a",
            "a b",
            "a\n",
            "a\0",
            "a%2e",
            "é.test",
            "127.0.0.1",
            "[::1]",
            "a:1",
            "a?b",
            "user@a",
            &format!("{longest}a"),
        ] {
            assert_eq!(VhostName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_host_of_a_url() {
        for (text, expected) in [
            ("rtmp://a.test/live", Some("a.test")),
            ("rtmp://A.test:1935/live", Some("a.test")),
            ("rtmp://a.test", Some("a.test")),
            ("rtmp://a.test?x", Some("a.test")),
            ("rtmps://a.test/", Some("a.test")),
            ("rtmp://127.0.0.1:1935/live", None),
            ("rtmp://[::1]:1935/live", None),
            ("rtmp://user@a.test/live", None),
            ("rtmp:///live", None),
            ("rtmp://../live", None),
            ("a.test/live", None),
            ("", None),
        ] {
            let host = VhostName::of_url(text);
            assert_eq!(host.as_ref().map(VhostName::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_query_names_a_vhost() {
        for (queries, expected) in [
            (["vhost=a", ""], Some("a")),
            (["", "vhost=a"], Some("a")),
            (["vhost=a", "vhost=b"], Some("a")),
            (["domain=a", "vhost=b"], Some("b")),
            (["k=1&domain=a&x", ""], Some("a")),
            (["vhost=", ""], Some("")),
            (["xvhost=a", "Vhost=a"], None),
            (["", ""], None),
        ] {
            assert_eq!(named_in(&queries), expected, "{queries:?}");
        }
        for (query, rest) in [
            ("vhost=a", ""),
            ("k=1&vhost=a&&domain=b&x", "k=1&&x"),
            ("k=vhost=a", "k=vhost=a"),
            ("", ""),
        ] {
            assert_eq!(without_names(query), rest);
        }
    }
}
