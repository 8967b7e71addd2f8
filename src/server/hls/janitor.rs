//! Removes the files of streams that have been idle for `hls_dispose`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::info;

use crate::limits;
use crate::server::Server;
use crate::server::hls::lease::Lease;

/// Goes round until the server stops. The body of its thread.
pub fn run(server: &Arc<Server>, root: &Path, dispose: Duration) {
    let mut seen = HashMap::new();
    let mut next = Instant::now();
    while !server.is_stopping() {
        thread::sleep(limits::POLL);
        let now = Instant::now();
        if now >= next {
            seen = round(root, dispose, &seen, now);
            next = now.checked_add(limits::JANITOR_ROUND).unwrap_or(now);
        }
    }
}

/// When a playlist was changed last, and since when we know it so. Its age by the clock on the
/// wall would mean nothing after that was set.
type Seen = HashMap<PathBuf, (SystemTime, Instant)>;

fn round(root: &Path, dispose: Duration, before: &Seen, now: Instant) -> Seen {
    let mut seen = Seen::new();
    for playlist in playlists(root) {
        let Some(changed) = modified(&playlist) else {
            continue;
        };
        let since = match before.get(&playlist) {
            Some((known, since)) if *known == changed => *since,
            _ => now,
        };
        let idle = now.saturating_duration_since(since);
        if idle < dispose || !remove(&playlist, changed) {
            seen.insert(playlist, (changed, since));
        }
    }
    seen
}

/// Removes a stream's files, unless somebody writes it; whether it did.
fn remove(playlist: &Path, changed: SystemTime) -> bool {
    let segments = playlist.with_extension("");
    let Ok(_lease) = Lease::take(&lock(&segments)) else {
        return false;
    };
    if modified(playlist) != Some(changed) {
        return false;
    }
    // The playlist first: what it names must be there as long as it is.
    let removed = fs::remove_file(playlist).is_ok();
    for entry in fs::read_dir(&segments).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".ts") || name.ends_with(".tmp") {
            // What stays is removed with the next stream of this name.
            let _ = fs::remove_file(entry.path());
        }
    }
    // Fails, rightly, if somebody put something else there.
    let _ = fs::remove_dir(&segments);
    info!("{}: idle, its files are removed", playlist.display());
    removed
}

/// The playlists that we wrote, or a sibling: those with a lock file.
fn playlists(root: &Path) -> Vec<PathBuf> {
    let apps = fs::read_dir(root).into_iter().flatten().flatten();
    let files = apps.flat_map(|app| fs::read_dir(app.path()).into_iter().flatten().flatten());
    files
        .map(|file| file.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "m3u8")
        })
        .filter(|path| lock(&path.with_extension("")).is_file())
        .collect()
}

/// The lock file of the stream whose segments are in `segments`.
fn lock(segments: &Path) -> PathBuf {
    let name = segments.file_name().unwrap_or_default();
    segments.with_file_name(format!(".{}.lock", name.to_string_lossy()))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).ok()?.modified().ok()
}
