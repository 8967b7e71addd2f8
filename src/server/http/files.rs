//! Files below the served directory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstatat};

use super::{Answer, Body, not_found, now};
use crate::limits;
use crate::server::hls::lease::file_name;
use crate::wire::http::{Date, Head, Part, Request};
use crate::wire::http_path::{HttpPath, Kind};
use crate::wire::vhost::VhostName;

/// The file at `path`, or what the peer needs of it; or that there is none. `key`: what opened it, if it
/// is not for everybody; the segments of a playlist are then named with it, and with the `vhost` that
/// the query had to name.
pub(super) fn answer(
    dir: &Path,
    path: &HttpPath<'_>,
    request: &Request<'_>,
    (key, vhost): (Option<&str>, Option<&VhostName>),
) -> Answer {
    let file = match open_below(dir, path) {
        Ok(file) => file,
        Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {
            return Answer::text(503, "too many files are open");
        }
        Err(_) => return not_found(),
    };
    let Some(metadata) = file.metadata().ok().filter(std::fs::Metadata::is_file) else {
        return not_found();
    };
    let query = [
        vhost.map(|vhost| format!("vhost={vhost}")),
        key.map(|key| format!("key={key}")),
    ];
    let query: Vec<_> = query.into_iter().flatten().collect();
    if !query.is_empty() && matches!(path.kind, Kind::Playlist(_)) {
        return with_query(file, &query.join("&")).unwrap_or_else(not_found);
    }
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    let (length, inode) = (metadata.len(), metadata.ino());
    let etag = format!("\"{length:x}-{seconds:x}.{nanoseconds:x}-{inode:x}\"");
    let last_modified = Date(u64::try_from(seconds).unwrap_or(0)).to_string();
    let (status, range) = match request.part(length, &etag) {
        _ if request.has(&etag, &last_modified) => (304, 0..0),
        Part::Whole => (200, 0..length),
        Part::Range(range) => (206, range),
        Part::Unsatisfiable => (416, 0..0),
    };
    let cache = match path.kind {
        // What a key opened must not open for others from a cache that they share.
        Kind::Segment(_) if key.is_some() => "private, max-age=31536000, immutable",
        Kind::Segment(_) => "public, max-age=31536000, immutable",
        Kind::Index | Kind::Flv(_) | Kind::Playlist(_) | Kind::File => "no-cache",
    };
    let mut head = Head::new(status, now())
        .field("ETag", &etag)
        .field("Last-Modified", last_modified)
        .field("Cache-Control", cache);
    if status == 416 {
        head = head.field("Content-Range", format_args!("bytes */{length}"));
    } else if status == 206 {
        let last = range.end.saturating_sub(1);
        let range = format_args!("bytes {}-{last}/{length}", range.start);
        head = head.field("Content-Range", range);
    }
    if status != 304 {
        head = head
            .field("Accept-Ranges", "bytes")
            .field("Content-Type", content_type(path.suffix()))
            .field("Content-Length", range.end.saturating_sub(range.start));
    }
    let body = match status {
        200 | 206 => Body::File(file, range),
        _ => Body::Nothing,
    };
    Answer { status, head, body }
}

/// A playlist whose segments carry a query: players do not give them the query of the playlist.
fn with_query(file: File, query: &str) -> Option<Answer> {
    let mut text = String::new();
    let mut file = file.take(limits::MAX_PLAYLIST_BYTES);
    file.read_to_string(&mut text).ok()?;
    let mut keyed = String::with_capacity(text.len());
    for line in text.lines() {
        keyed.push_str(line);
        if !line.starts_with('#') {
            keyed.push('?');
            keyed.push_str(query);
        }
        keyed.push('\n');
    }
    Some(Answer::page(200, content_type("m3u8"), keyed))
}

/// Opens what `path` names without following a link on the way, so that nothing outside of `dir`
/// can be reached, whoever may write there. `dir` itself may be a link, and may come and go. What HLS
/// of a stream has written is there only as that stream's: its vhost may be gone, with its rules.
///
/// One directory after the other: `openat2` would do it at once, but kernels before 5.6 and some
/// containers do not have it.
fn open_below(dir: &Path, path: &HttpPath<'_>) -> nix::Result<File> {
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // Without waiting for the other end of a pipe.
    let file = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let is_file = path.kind == Kind::File && matches!(path.suffix(), "m3u8" | "ts");
    let mut at = open(dir, directory, Mode::empty())?;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let flags = match components.peek() {
            Some(_) => directory,
            None => file,
        };
        let lock = file_name(component.strip_suffix(".m3u8").unwrap_or(component));
        if is_file && fstatat(&at, &*lock, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
            return Err(Errno::ENOENT);
        }
        at = openat(&at, component, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    }
    Ok(File::from(at))
}

/// By the ending of the name.
fn content_type(suffix: &str) -> &'static str {
    match suffix {
        "m3u8" => "application/vnd.apple.mpegurl",
        "ts" => "video/mp2t",
        "flv" => "video/x-flv",
        "mp4" => "video/mp4",
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
