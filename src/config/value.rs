//! Values of the file → ours. What does not fit is `None`; the caller knows what was expected.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use log::LevelFilter;
use toml::de::DeValue;

use super::{ListenAddress, OriginAddress};

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
    let text = value.as_str()?;
    let (host, port) = match split_port(text) {
        Some((host, port)) => (host, port.parse().ok().filter(|&port| port > 0)?),
        None => (text, RTMP_PORT),
    };
    let host = match ip(host) {
        Some(ip) => ip.to_string(),
        None => host.to_owned(),
    };
    let is_name = |host: &str| {
        (1..=253).contains(&host.len())
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let is_host = is_name(&host) || host.parse::<Ipv6Addr>().is_ok();
    is_host.then_some(OriginAddress { host, port })
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
