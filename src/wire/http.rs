//! HTTP/1.1 as far as files and live streams need it: request head in, response head out
//! (RFC 9112 for the messages, RFC 9110 for what they mean).

use core::fmt::{self, Write as _};
use core::ops::Range;

use crate::limits;

/// The head of one request. It has no body: a request with one is refused.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The host that is asked, and its port; of the target, or `Host` [HTTP §7.2].
    pub host: Option<&'a str>,
    /// The target without scheme, authority and query; `*` only of OPTIONS. Not decoded.
    pub path: &'a str,
    /// What follows `?`.
    pub query: &'a str,
    /// Whether the peer expects the connection to go on after the answer.
    pub keep_alive: bool,
    /// `Authorization`: a secret.
    pub authorization: Option<&'a str>,
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// `Referer`: the page that the peer is on, or so it says.
    pub referer: Option<&'a str>,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// The resource.
    Get,
    /// What would be said about it.
    Head,
    /// What can be done with it.
    Options,
    /// That it be gone.
    Delete,
}

/// Why a request is refused. What follows it on the connection has no known beginning, or is a
/// body: the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpError {
    /// Not a request head.
    Malformed,
    /// Longer than [`limits::MAX_HTTP_HEAD`], or more fields than [`limits::MAX_HTTP_FIELDS`].
    TooLarge,
    /// None of [`Method`].
    Method,
    /// It has a body.
    Body,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
}

impl HttpError {
    /// The status code that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Method => 405,
            Self::Body => 413,
            Self::TooLarge => 431,
            Self::Version => 505,
        }
    }
}

/// Shows no query and no secret.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Request");
        shown
            .field("method", &self.method)
            .field("path", &self.path);
        shown.finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    /// Takes the head of a request off the front of `input`; with it, its length.
    ///
    /// `Ok(None)` asks for more bytes. How the bytes were cut into reads does not change the
    /// result.
    ///
    /// # Errors
    ///
    /// The request is refused, and the connection with it.
    pub fn parse(input: &'a [u8]) -> Result<Option<(Self, usize)>, HttpError> {
        let window = input.get(..limits::MAX_HTTP_HEAD).unwrap_or(input);
        let mut fields = [httparse::EMPTY_HEADER; limits::MAX_HTTP_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let length = match head.parse(window) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if input.len() <= limits::MAX_HTTP_HEAD => {
                return Ok(None);
            }
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(HttpError::TooLarge);
            }
            Err(httparse::Error::Version) => return Err(HttpError::Version),
            Err(_) => return Err(HttpError::Malformed),
        };
        // The parser lets a line end with LF alone. A proxy in front of us may not: then we would
        // not mean the same request.
        let mut previous = 0;
        for &byte in window.iter().take(length) {
            if byte == b'\n' && previous != b'\r' {
                return Err(HttpError::Malformed);
            }
            previous = byte;
        }
        let request = Self::from_head(&head)?;
        Ok(Some((request, length)))
    }

    fn from_head(head: &httparse::Request<'_, 'a>) -> Result<Self, HttpError> {
        let (method, target, version) = head
            .method
            .zip(head.path)
            .zip(head.version)
            .map(|((method, target), version)| (method, target, version))
            .ok_or(HttpError::Malformed)?;
        let fields = Fields(head.headers);
        let hosts = fields.all("host").count();
        if hosts > 1 || (hosts == 0 && version > 0) {
            return Err(HttpError::Malformed);
        }
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            "DELETE" => Method::Delete,
            _ => return Err(HttpError::Method),
        };
        let is_empty = |length: &[u8]| length.iter().all(|&digit| digit == b'0');
        if fields.all("transfer-encoding").next().is_some()
            || !fields.all("content-length").all(is_empty)
        {
            return Err(HttpError::Body);
        }
        let (authority, target) = origin_form(target, method).ok_or(HttpError::Malformed)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok(Self {
            method,
            host: authority.or_else(|| fields.text("host")),
            path,
            query,
            keep_alive: !fields.connection("close")
                && (version > 0 || fields.connection("keep-alive")),
            authorization: fields.text("authorization"),
            range: fields.text("range"),
            if_range: fields.text("if-range"),
            if_none_match: fields.text("if-none-match"),
            if_modified_since: fields.text("if-modified-since"),
            referer: fields.text("referer"),
        })
    }

    /// Whether the peer has the file already [HTTP §13.2.2].
    ///
    /// Deviation: a date counts only if it is the one we gave out, as with nginx.
    pub fn has(&self, etag: &str, last_modified: &str) -> bool {
        match self.if_none_match {
            Some(tags) => tags
                .split(',')
                .map(|tag| tag.trim_matches([' ', '\t']))
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag),
            None => self.if_modified_since == Some(last_modified),
        }
    }

    /// The part that the peer wants of a file of `length` bytes [HTTP §14.2].
    ///
    /// What is not one range of bytes is ignored, as the specification allows, and so is a range
    /// that depends on a date: the peer then gets the whole file.
    pub fn part(&self, length: u64, etag: &str) -> Part {
        let is_current = |validator| validator == etag;
        if self.method != Method::Get || !self.if_range.is_none_or(is_current) {
            return Part::Whole;
        }
        let range = self.range.and_then(|range| range.strip_prefix("bytes="));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
            return Part::Whole;
        };
        let range = match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1),
            (Some(first), None) if last.is_empty() => first..length,
            (None, Some(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
            _ => return Part::Whole,
        };
        if range.start < range.end.min(length) {
            Part::Range(range.start..range.end.min(length))
        } else {
            Part::Unsatisfiable
        }
    }
}

/// How much of a file is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// These bytes; at least one.
    Range(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// The fields of a head; names are compared without case.
struct Fields<'h, 'a>(&'h [httparse::Header<'a>]);

impl<'a> Fields<'_, 'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |field: &&httparse::Header<'a>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.value)
    }

    /// The first value, if it is text.
    fn text(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.all(name).next()?).ok()
    }

    fn connection(&self, option: &str) -> bool {
        let mut options = self
            .all("connection")
            .flat_map(|value| value.split(|&byte| byte == b','));
        options.any(|given| given.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    }
}

/// The target from its path on [HTTP §7.1], and its authority: clients that take us for a proxy send
/// all of the URL.
fn origin_form(target: &str, method: Method) -> Option<(Option<&str>, &str)> {
    if target.starts_with('/') || (target == "*" && method == Method::Options) {
        return Some((None, target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    Some((Some(authority), path))
}

/// Digits; the largest number if they say more.
fn number(digits: &str) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The head of a response, while it is being written. Values are ours: nothing of a request is
/// ever repeated.
#[derive(Clone, Debug)]
pub struct Head(String);

/// Fields that let any page read, and so play, what is here.
const CROSS_ORIGIN: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: Content-Length, Content-Range, Date\r\n";

impl Head {
    /// Begins with the status line; `date` in seconds since 1970. Any page may read the response.
    pub fn new(status: u16, date: u64) -> Self {
        Self::begin(status, date, CROSS_ORIGIN)
    }

    /// The same, but no page of another site may.
    pub fn private(status: u16, date: u64) -> Self {
        Self::begin(status, date, "")
    }

    fn begin(status: u16, date: u64, cross_origin: &str) -> Self {
        let mut text = String::with_capacity(512);
        let reason = reason(status);
        // No browser is to guess types. Writing to a string cannot fail.
        let _ = write!(
            text,
            "HTTP/1.1 {status} {reason}\r\nDate: {}\r\n{cross_origin}\
             X-Content-Type-Options: nosniff\r\n",
            Date(date)
        );
        Self(text)
    }

    /// Appends a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl fmt::Display) -> Self {
        let _ = write!(self.0, "{name}: {value}\r\n");
        self
    }

    /// The whole head; `keep_alive` as the request asked for it and we grant it.
    pub fn finish(self, keep_alive: bool) -> Vec<u8> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut bytes = self.field("Connection", connection).0.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// What a status code is called [HTTP §15].
pub const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// What is sent to a connection for which there is no room.
pub const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Access-Control-Allow-Origin: *\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Seconds since 1970, shown as HTTP shows dates [HTTP §5.6.7].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Date(pub u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [(&str, u64); 12] = [
            ("Jan", 31),
            ("Feb", 28),
            ("Mar", 31),
            ("Apr", 30),
            ("May", 31),
            ("Jun", 30),
            ("Jul", 31),
            ("Aug", 31),
            ("Sep", 30),
            ("Oct", 31),
            ("Nov", 30),
            ("Dec", 31),
        ];
        // The last second of the year 9999: a date has four digits.
        let seconds = self.0.min(253_402_300_799);
        let mut day = seconds / 86_400;
        let weekday = usize::try_from(day % 7).ok().and_then(|at| DAYS.get(at));
        let mut year = 1970_u64;
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let days_of = |year| if is_leap(year) { 366 } else { 365 };
        while let Some(rest) = day.checked_sub(days_of(year)) {
            day = rest;
            year = year.saturating_add(1);
        }
        let mut month = "";
        for (name, days) in MONTHS {
            month = name;
            let leap_day = u64::from(name == "Feb" && is_leap(year));
            match day.checked_sub(days.saturating_add(leap_day)) {
                Some(rest) => day = rest,
                None => break,
            }
        }
        write!(
            f,
            "{}, {:02} {month} {year} {:02}:{:02}:{:02} GMT",
            weekday.unwrap_or(&""),
            day.saturating_add(1),
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}
