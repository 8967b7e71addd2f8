//! The only request paths that exist.

use super::name::{Name, StreamPath};
use super::vhost::VhostName;

/// A path below the served directory: `/app/name.m3u8`, or any other file there that is not hidden.
/// `/vhost/app/name.m3u8` is of that vhost, whoever is asked.
///
/// The path is parsed, not cleaned. There is no value of this type for `..`, an absolute path, an
/// escape, a directory or a dotfile, so nothing after this point has to look for one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpPath<'a> {
    /// Without the slash at its beginning; of a stream, from the application on.
    text: &'a str,
    /// What it stands for.
    pub kind: Kind,
}

/// What a path stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `/`.
    Index,
    /// `/app/name.flv`: a live stream.
    Flv(StreamPath),
    /// `/app/name.m3u8`.
    Playlist(StreamPath),
    /// `/app/name/123.ts`: never written twice.
    Segment(StreamPath),
    /// Any other file.
    File,
}

impl<'a> HttpPath<'a> {
    /// Takes apart the path of a request to the vhost `named`; anything unusual is `None` and becomes a
    /// 404. A directory whose name `is_vhost` has the files of that vhost: no path leads to one of its
    /// streams without being of it.
    pub fn parse(
        path: &'a str,
        named: Option<&VhostName>,
        is_vhost: impl Fn(&VhostName) -> bool,
    ) -> Option<Self> {
        let text = path.strip_prefix('/')?;
        if text.is_empty() {
            let kind = Kind::Index;
            return Some(Self { text, kind });
        }
        // A directory may: a stream can be called so.
        if text.ends_with(".lock") || !text.split('/').all(is_plain) {
            return None;
        }
        let below = text.split_once('/').and_then(|(first, rest)| {
            let vhost = VhostName::parse(first).filter(is_vhost)?;
            Some((rest, live(rest, Some(vhost))?))
        });
        let (text, kind) = below
            .or_else(|| Some((text, live(text, named.cloned())?)))
            .unwrap_or((text, Kind::File));
        Some(Self { text, kind })
    }

    /// The stream that it belongs to, if it is one's.
    pub const fn stream(&self) -> Option<&StreamPath> {
        match &self.kind {
            Kind::Flv(stream) | Kind::Playlist(stream) | Kind::Segment(stream) => Some(stream),
            Kind::Index | Kind::File => None,
        }
    }

    /// Every directory on the way, and the file. Each is one name of a file system.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        let vhost = self.stream().and_then(StreamPath::vhost);
        vhost.into_iter().chain(self.text.split('/'))
    }

    /// What follows the last dot of the file's name.
    pub fn suffix(&self) -> &'a str {
        self.text.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }
}

/// The kind of a path that belongs to a stream.
fn live(text: &str, vhost: Option<VhostName>) -> Option<Kind> {
    let mut components = text.split('/');
    let app = Name::parse(components.next()?).ok()?;
    let second = components.next()?;
    match (components.next(), components.next()) {
        (None, _) => {
            let (name, suffix) = second.rsplit_once('.')?;
            let name = Name::parse(name).ok()?;
            match suffix {
                "flv" => Some(Kind::Flv(StreamPath { vhost, app, name })),
                "m3u8" => Some(Kind::Playlist(StreamPath { vhost, app, name })),
                _ => None,
            }
        }
        (Some(file), None) => {
            let number = file.strip_suffix(".ts")?;
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let name = Name::parse(second).ok()?;
            is_number.then_some(Kind::Segment(StreamPath { vhost, app, name }))
        }
        (Some(_), Some(_)) => None,
    }
}

/// A name of a file or directory that may be served: as a [`Name`], but with any ending except that
/// of files that are not complete.
fn is_plain(component: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let hidden = component.starts_with('.') || component.contains("..");
    let unfinished = component.ends_with(".tmp");
    !component.is_empty() && component.bytes().all(allowed) && !hidden && !unfinished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_exist() {
        const CASES: &[(&str, &str, &str)] = &[
            ("/", "index", ""),
            ("/live/a.flv", "flv live/a", "flv"),
            ("/live/a.b.flv", "flv live/a.b", "flv"),
            ("/live/a.m3u8", "playlist live/a", "m3u8"),
            ("/live/a/0.ts", "segment live/a", "ts"),
            ("/live/a/1700000000.ts", "segment live/a", "ts"),
            ("/live/a.lock.m3u8", "playlist live/a.lock", "m3u8"),
            ("/live/a.lock/1.ts", "segment live/a.lock", "ts"),
            ("/live/a/x1.ts", "file", "ts"),
            ("/live/a/.ts", "", ""),
            ("/a.flv", "file", "flv"),
            ("/live/b/a.flv", "file", "flv"),
            ("/live/a.ts.flv", "file", "flv"),
            ("/index.html", "file", "html"),
            ("/players/js/x-1_2.min.js", "file", "js"),
            ("/LICENSE", "file", ""),
            ("/live/a.FLV", "file", "FLV"),
        ];
        for &(text, kind, suffix) in CASES {
            let path = HttpPath::parse(text, None, |_| false);
            let found = path
                .as_ref()
                .map_or(String::new(), |path| match &path.kind {
                    Kind::Index => "index".to_owned(),
                    Kind::Flv(stream) => format!("flv {stream}"),
                    Kind::Playlist(stream) => format!("playlist {stream}"),
                    Kind::Segment(stream) => format!("segment {stream}"),
                    Kind::File => "file".to_owned(),
                });
            assert_eq!(found, kind, "{text}");
            assert_eq!(path.map_or("", |path| path.suffix()), suffix, "{text}");
        }
    }

    #[test]
    fn paths_of_vhosts() {
        let host = VhostName::parse("h.test").unwrap();
        let is_vhost = |name: &VhostName| ["h.test", "v.test", "live"].contains(&name.as_str());
        for (text, stream, file) in [
            ("/app/a.m3u8", "h.test/app/a", "h.test/app/a.m3u8"),
            ("/app/a/1.ts", "h.test/app/a", "h.test/app/a/1.ts"),
            ("/app/a.flv", "h.test/app/a", "h.test/app/a.flv"),
            ("/v.test/app/a.m3u8", "v.test/app/a", "v.test/app/a.m3u8"),
            ("/v.test/app/a/1.ts", "v.test/app/a", "v.test/app/a/1.ts"),
            ("/v.test/app/a.flv", "v.test/app/a", "v.test/app/a.flv"),
            ("/V.TEST/app/a.m3u8", "v.test/app/a", "v.test/app/a.m3u8"),
            ("/live/app/a.m3u8", "live/app/a", "live/app/a.m3u8"),
            // None of these is a file of v.test.
            ("/v.test/a.m3u8", "h.test/v.test/a", "h.test/v.test/a.m3u8"),
            ("/v.test/a/1.ts", "h.test/v.test/a", "h.test/v.test/a/1.ts"),
            ("/other/app/a.m3u8", "", "other/app/a.m3u8"),
            ("/v.test/index.html", "", "v.test/index.html"),
            ("/a.html", "", "a.html"),
        ] {
            let path = HttpPath::parse(text, Some(&host), is_vhost).unwrap();
            let found = path.stream().map(StreamPath::to_string);
            assert_eq!(found.unwrap_or_default(), stream, "{text}");
            let components: Vec<_> = path.components().collect();
            assert_eq!(components.join("/"), file, "{text}");
        }
    }

    #[test]
    fn paths_that_do_not_exist() {
        const CASES: &[&str] = &[
            "",
            "*",
            "a",
            "//",
            "/a/",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/../a",
            "/a/../b",
            "/a/..",
            "/a/./b",
            "/a..b",
            "/.a",
            "/a/.b/c",
            "/%2e%2e/a",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a b",
            "/a\0",
            "/a\n",
            "/é",
            "/a;b",
            "/a#b",
            "/a~",
            "/live/a.m3u8.tmp",
            "/live/a/1.ts.tmp",
            "/live/a.lock",
            "/a.tmp/b",
        ];
        for text in CASES {
            assert_eq!(HttpPath::parse(text, None, |_| true), None, "{text:?}");
        }
    }
}
