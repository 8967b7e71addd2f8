//! Static keys: who knows one may publish or play what it is for.

use core::fmt;
use core::hint::black_box;
use std::path::Path;

use super::Access;
use super::error::ConfigError;
use crate::limits;

/// One entry of `keys`, or one line of the key file: `publish live/* KEY`. Its `Debug` does not show
/// the key.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(super) struct StreamKey {
    access: Access,
    app: Pattern,
    name: Pattern,
    key: Box<str>,
}

/// A name, or the beginning of names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Pattern {
    text: Box<str>,
    /// It ended with `*`.
    open: bool,
}

/// What the keys say to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// No key is about the stream.
    NotNeeded,
    /// One of the stream's keys was given.
    Right,
    /// The stream needs a key, and none was given.
    Missing,
    /// None of the stream's keys was given.
    Wrong,
}

impl StreamKey {
    /// What an entry may look like.
    pub(super) const EXPECTED: &str = "\"publish\" or \"play\", a stream (\"live/camera\", \
        \"live/*\" or \"*\") and a key of 8 to 128 letters, digits, \".\", \"_\", \"~\" and \"-\", \
        or a list of those";

    /// Reads `publish|play <stream> <key>`. A key needs no escape in a URL.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let access = Access::parse(words.next()?)?;
        let stream = words.next()?;
        let (app, name) = match stream.split_once('/') {
            Some((app, name)) => (Pattern::parse(app)?, Pattern::parse(name)?),
            None if stream == "*" => (Pattern::parse("*")?, Pattern::parse("*")?),
            None => return None,
        };
        let key = words.next()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        let is_key = (limits::MIN_KEY_LENGTH..=limits::MAX_KEY_LENGTH).contains(&key.len())
            && key.bytes().all(plain);
        (is_key && words.next().is_none()).then(|| Self {
            access,
            app,
            name,
            key: key.into(),
        })
    }

    /// The entries of a key file: one on a line, `#` begins a comment.
    pub(super) fn read_file(path: &Path) -> Result<Vec<Self>, ConfigError> {
        let file = path.display().to_string();
        let text = super::read(path, &file, "`security.key_file`")?;
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line may hold a key: it is not shown.
            let wrong = || ConfigError::at(&file, number, format!("expected {}", Self::EXPECTED));
            keys.push(Self::parse(line).ok_or_else(wrong)?);
        }
        Ok(keys)
    }

    fn is_about(&self, access: Access, (app, name): (&str, &str)) -> bool {
        self.access == access && self.app.matches(app) && self.name.matches(name)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamKey")
            .field("access", &self.access)
            .field("app", &self.app)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Pattern {
    /// A name, perhaps with `*` at its end and nowhere else.
    fn parse(text: &str) -> Option<Self> {
        let begin = text.strip_suffix('*');
        let rest = begin.unwrap_or(text);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let is_pattern = !text.is_empty() && rest.bytes().all(allowed);
        is_pattern.then(|| Self {
            text: rest.into(),
            open: begin.is_some(),
        })
    }

    fn matches(&self, name: &str) -> bool {
        if self.open {
            name.starts_with(&*self.text)
        } else {
            name == &*self.text
        }
    }
}

/// What `keys` say to a request with these query strings.
pub(super) fn check(
    keys: &[StreamKey],
    access: Access,
    stream: (&str, &str),
    queries: [&str; 2],
) -> Verdict {
    let mut about = keys
        .iter()
        .filter(|key| key.is_about(access, stream))
        .peekable();
    if about.peek().is_none() {
        return Verdict::NotNeeded;
    }
    let Some(given) = queries.into_iter().find_map(key_of) else {
        return Verdict::Missing;
    };
    // Every key is looked at, so that how long it takes says nothing about which came near.
    if about.fold(false, |found, key| found | is_same(given, &key.key)) {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

/// The value of `key=` in a query string.
pub fn key_of(query: &str) -> Option<&str> {
    let mut parameters = query.split('&');
    parameters.find_map(|parameter| parameter.strip_prefix("key="))
}

/// In a time that says nothing about where they differ, only whether they are equally long.
fn is_same(given: &str, key: &str) -> bool {
    let pairs = given.bytes().zip(key.bytes());
    let differing = pairs.fold(0, |bits, (ours, theirs)| black_box(bits | (ours ^ theirs)));
    differing == 0 && given.len() == key.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Vec<StreamKey> {
        let keys = texts.iter().map(|text| StreamKey::parse(text).unwrap());
        keys.collect()
    }

    #[test]
    fn a_key_opens_what_it_is_for() {
        let keys = keys(&[
            "publish live/* publish-1",
            "publish live/* publish-2",
            "publish live/camera camera-key",
            "play vip/* members-only",
            "play vip/* guest-key",
        ]);
        let cases = [
            (Access::Publish, "live/a", "key=publish-1", Verdict::Right),
            (Access::Publish, "live/a", "key=publish-2", Verdict::Right),
            (Access::Publish, "live/a", "key=camera-key", Verdict::Wrong),
            (
                Access::Publish,
                "live/camera",
                "key=camera-key",
                Verdict::Right,
            ),
            (
                Access::Publish,
                "live/camera",
                "key=publish-1",
                Verdict::Right,
            ),
            (Access::Publish, "live/a", "", Verdict::Missing),
            (
                Access::Publish,
                "live/a",
                "token=publish-1",
                Verdict::Missing,
            ),
            (
                Access::Publish,
                "live/a",
                "a=b&key=publish-1&c",
                Verdict::Right,
            ),
            (Access::Publish, "live/a", "key=", Verdict::Wrong),
            (Access::Publish, "live/a", "key=publish-", Verdict::Wrong),
            (Access::Publish, "live/a", "key=publish-11", Verdict::Wrong),
            (Access::Publish, "live/a", "key=qublish-1", Verdict::Wrong),
            // The first one counts.
            (
                Access::Publish,
                "live/a",
                "key=x&key=publish-1",
                Verdict::Wrong,
            ),
            (Access::Publish, "other/a", "", Verdict::NotNeeded),
            (Access::Play, "live/a", "", Verdict::NotNeeded),
            (Access::Play, "vip/a", "key=guest-key", Verdict::Right),
            (Access::Play, "vip/a", "key=publish-1", Verdict::Wrong),
        ];
        for (access, stream, query, verdict) in cases {
            let stream = stream.split_once('/').unwrap();
            assert_eq!(
                check(&keys, access, stream, [query, ""]),
                verdict,
                "{stream:?} {query}"
            );
            assert_eq!(
                check(&keys, access, stream, ["", query]),
                verdict,
                "{stream:?} {query}"
            );
        }
    }

    #[test]
    fn patterns_are_names_and_beginnings_of_names() {
        let cases = [
            ("*", "live/a", true),
            ("*/*", "live/a", true),
            ("live/a", "live/a", true),
            ("live/a", "live/ab", false),
            ("live/a*", "live/ab", true),
            ("live/a*", "live/a", true),
            ("li*/a", "live/a", true),
            ("li*/a", "other/a", false),
        ];
        for (pattern, stream, about) in cases {
            let key = StreamKey::parse(&format!("play {pattern} 12345678")).unwrap();
            let stream = stream.split_once('/').unwrap();
            assert_eq!(key.is_about(Access::Play, stream), about, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_entry_is_none() {
        let longest = "x".repeat(limits::MAX_KEY_LENGTH);
        assert!(StreamKey::parse(&format!("publish * {longest}")).is_some());
        for text in [
            "",
            "publish",
            "publish *",
            "publish 12345678",
            "publish live 12345678",
            "record * 12345678",
            "publish * 1234567",
            "publish * 12345678 more",
            "publish * 1234567&",
            "publish * 1234567%",
            "publish a*b/c 12345678",
            "publish a/b/c 12345678",
            "publish /a 12345678",
            "publish a/ 12345678",
            &format!("publish * {longest}x"),
        ] {
            assert_eq!(StreamKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_does_not_show_itself() {
        let shown = format!("{:?}", keys(&["publish live/* secret-key"]));
        assert!(!shown.contains("secret-key"), "{shown}");
    }
}
