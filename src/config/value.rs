//! Values of the file → ours. What does not fit is `None`; the caller knows what was expected.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use log::LevelFilter;
use toml::de::DeValue;

use super::{Cluster, DEFAULT_VHOST, ListenAddress, OriginAddress};
use crate::limits;

/// RTMP's port, where an origin's address has none.
const RTMP_PORT: u16 = 1935;

/// A whole number within `range`.
pub(super) fn number<T>(value: &DeValue<'_>, range: RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<i64> + PartialOrd,
{
    let integer = value.as_integer()?;
    let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    T::try_from(number)
        .ok()
        .filter(|number| range.contains(number))
}

/// Seconds, perhaps with a fraction, within `range`.
pub(super) fn seconds(value: &DeValue<'_>, range: RangeInclusive<u64>) -> Option<Duration> {
    let range = Duration::from_secs(*range.start())..=Duration::from_secs(*range.end());
    let duration = match value.as_float() {
        Some(float) => Duration::try_from_secs_f64(float.as_str().parse().ok()?).ok()?,
        None => Duration::from_secs(number(value, 0..=u64::MAX)?),
    };
    Some(duration).filter(|duration| range.contains(duration))
}

/// A number, perhaps with a fraction, within `range`.
pub(super) fn ratio(value: &DeValue<'_>, range: RangeInclusive<f64>) -> Option<f64> {
    let ratio = match value.as_float() {
        Some(float) => float.as_str().parse().ok()?,
        None => f64::from(number(value, 0..=i32::MAX)?),
    };
    Some(ratio).filter(|ratio| range.contains(ratio))
}

/// What a line of a playlist may begin with. With names of full length, the longest playlist still
/// is within `MAX_PLAYLIST_BYTES`.
pub(super) fn url_prefix<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    let text = value.as_str().filter(|text| text.len() <= 100)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !text.starts_with('#')).then_some(text)
}

/// Characters of ASCII that can be seen, and spaces, at most so many.
pub(super) fn printable<'a>(value: &'a DeValue<'_>, most: usize) -> Option<&'a str> {
    let text = value.as_str().filter(|text| text.len() <= most)?;
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    plain.then_some(text)
}

/// Milliseconds within `range`.
pub(super) fn milliseconds(value: &DeValue<'_>, range: RangeInclusive<u64>) -> Option<Duration> {
    number(value, range).map(Duration::from_millis)
}

/// A port, `"ip:port"` or `"[ip]:port"`.
pub(super) fn listen_address(value: &DeValue<'_>) -> Option<ListenAddress> {
    let Some(text) = value.as_str() else {
        let port = number(value, 0..=u16::MAX)?;
        return Some(ListenAddress { ip: None, port });
    };
    let Some((host, port)) = split_port(text) else {
        return text
            .parse()
            .ok()
            .map(|port| ListenAddress { ip: None, port });
    };
    Some(ListenAddress {
        ip: Some(ip(host)?),
        port: port.parse().ok()?,
    })
}

/// `"host"`, `"host:port"` or `"[ip]:port"`.
pub(super) fn origin_address(value: &DeValue<'_>) -> Option<OriginAddress> {
    address(value.as_str()?, RTMP_PORT)
}

/// The same as text; `port`: if it has none.
pub(super) fn address(text: &str, port: u16) -> Option<OriginAddress> {
    let (host, port) = match split_port(text) {
        Some((host, port)) => (host, port.parse().ok().filter(|&port| port > 0)?),
        None => (text, port),
    };
    let is_name = (1..=limits::MAX_HOST_LENGTH).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let host = match ip(host) {
        Some(ip) => ip.to_string(),
        None if is_name => host.to_owned(),
        None => return None,
    };
    Some(OriginAddress { host, port })
}

/// The name of a vhost, in lower case: what `wire` takes for one.
pub(super) fn vhost_name(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_name = (1..=limits::MAX_NAME_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
    let has_dots = text.starts_with('.') || text.ends_with('.') || text.contains("..");
    let is_address = text.parse::<Ipv4Addr>().is_ok();
    let is_default = text.eq_ignore_ascii_case(DEFAULT_VHOST);
    (is_name && !has_dots && !is_address && !is_default).then(|| text.to_ascii_lowercase())
}

/// The name of a vhost, perhaps with the variable in it.
pub(super) fn vhost_transform<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    let text = value.as_str()?;
    let name = text.replace(Cluster::SAME_VHOST, "a");
    vhost_name(&name).map(|_| text)
}

/// The level of SRS's name for it: its `trace` is what others call info, its `info` is more.
pub(super) fn level(value: &DeValue<'_>) -> Option<LevelFilter> {
    match value.as_str()? {
        "verbose" => Some(LevelFilter::Trace),
        "info" | "debug" => Some(LevelFilter::Debug),
        "trace" => Some(LevelFilter::Info),
        "warn" => Some(LevelFilter::Warn),
        "error" => Some(LevelFilter::Error),
        "off" => Some(LevelFilter::Off),
        _ => None,
    }
}

/// What stands before and after the colon of the port; IPv6 addresses need brackets.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    // Without brackets the last colon may be one of an IPv6 address.
    let is_clear = !host.contains(':') || host.ends_with(']');
    is_clear.then_some((host, port))
}

/// An address: IPv4 as it is, IPv6 in brackets.
fn ip(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(ip) => ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn addresses_to_listen_on() {
        let cases = [
            ("1935", Some((None, 1935))),
            ("0", Some((None, 0))),
            ("0x78f", Some((None, 1935))),
            ("'1935'", Some((None, 1935))),
            ("'192.168.1.170:1935'", Some((Some("192.168.1.170"), 1935))),
            ("'[::1]:1935'", Some((Some("::1"), 1935))),
            ("65536", None),
            ("1935.0", None),
            ("''", None),
            ("'192.168.1.170'", None),
            ("'192.168.1.170:'", None),
            ("'host:1935'", None),
            ("'[127.0.0.1]:1935'", None),
            ("'[::1]'", None),
            ("true", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(ip, port)| ListenAddress {
                ip: ip.map(|ip: &str| ip.parse().unwrap()),
                port,
            });
            assert_eq!(listen_address(&toml(text)), expected, "{text}");
        }
    }

    #[test]
    fn addresses_of_origins() {
        let cases = [
            ("'127.0.0.1:19350'", Some(("127.0.0.1", 19350))),
            ("'origin.example'", Some(("origin.example", 1935))),
            ("'my_origin-1:1'", Some(("my_origin-1", 1))),
            ("'[2001:db8::1]:19350'", Some(("2001:db8::1", 19350))),
            ("'[2001:db8::1]'", Some(("2001:db8::1", 1935))),
            ("'2001:db8::1'", None),
            ("'a:65536'", None),
            ("'a:0'", None),
            ("':1935'", None),
            ("''", None),
            ("'a b'", None),
            ("'a/b'", None),
            ("1935", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(host, port)| OriginAddress {
                host: host.to_owned(),
                port,
            });
            assert_eq!(origin_address(&toml(text)), expected, "{text}");
        }
    }

    #[test]
    fn times_have_bounds_and_seconds_fractions() {
        let cases = [
            ("5", Some(5000)),
            ("0.25", Some(250)),
            ("0", Some(0)),
            ("60", Some(60_000)),
            ("60.001", None),
            ("-1", None),
            ("-0.1", None),
            ("inf", None),
            ("nan", None),
            ("1e300", None),
            ("99999999999999999999", None),
            ("'5'", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(seconds(&toml(text), 0..=60), expected, "{text}");
        }
        assert_eq!(
            milliseconds(&toml("1_000"), 1..=1000),
            Some(Duration::from_secs(1))
        );
        assert_eq!(milliseconds(&toml("0.5"), 0..=1000), None);
    }

    #[test]
    fn levels_mean_what_they_mean_in_srs() {
        let names = ["off", "error", "warn", "trace", "info", "verbose"];
        for (name, expected) in names.into_iter().zip(LevelFilter::iter()) {
            assert_eq!(level(&toml(&format!("'{name}'"))), Some(expected), "{name}");
        }
        assert_eq!(level(&toml("'loud'")), None);
    }
}
