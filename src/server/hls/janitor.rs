//! Removes the files of streams that have been idle for `hls_dispose`.

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::info;

use crate::limits;
use crate::server::Server;
use crate::server::hls::lease::{Lease, file_name};

/// Goes round until the server stops. The body of its thread.
pub fn run(server: &Arc<Server>) {
    let mut seen = HashMap::new();
    let mut next = Instant::now();
    while !server.is_stopping() {
        thread::sleep(limits::POLL);
        let now = Instant::now();
        if now >= next {
            let config = server.config();
            let mut next_seen = Seen::new();
            for (name, vhost) in config.all_vhosts() {
                let hls = vhost.hls.as_ref();
                if let Some((hls, dispose)) = hls.and_then(|hls| Some((hls, hls.dispose?))) {
                    let root = name.map_or_else(|| hls.path.clone(), |name| hls.path.join(name));
                    next_seen.extend(round(&root, dispose, &seen, now));
                }
            }
            seen = next_seen;
            next = now.checked_add(limits::JANITOR_ROUND).unwrap_or(now);
        }
    }
}

/// When a stream was changed last, by its segments' directory, and since when we know it so. Its age
/// by the clock on the wall would mean nothing after that was set.
type Seen = HashMap<PathBuf, (SystemTime, Instant)>;

fn round(root: &Path, dispose: Duration, before: &Seen, now: Instant) -> Seen {
    let mut seen = Seen::new();
    for segments in streams(root) {
        let Some(changed) = changed(&segments) else {
            continue;
        };
        let since = match before.get(&segments) {
            Some((known, since)) if *known == changed => *since,
            _ => now,
        };
        let idle = now.saturating_duration_since(since);
        if idle < dispose || !remove(&segments, changed) {
            seen.insert(segments, (changed, since));
        }
    }
    seen
}

/// Removes a stream's files, unless somebody writes it; whether it did.
fn remove(segments: &Path, known: SystemTime) -> bool {
    let Ok(_lease) = Lease::take(&lock(segments)) else {
        return false;
    };
    if changed(segments) != Some(known) {
        return false;
    }
    // The playlist first: what it names must be there as long as it is.
    if let Err(error) = fs::remove_file(playlist(segments))
        && error.kind() != ErrorKind::NotFound
    {
        return false;
    }
    for entry in fs::read_dir(segments).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".ts") || name.ends_with(".tmp") {
            // What stays is removed with the next stream of this name.
            let _ = fs::remove_file(entry.path());
        }
    }
    // Fails, rightly, if somebody put something else there.
    let _ = fs::remove_dir(segments);
    info!("{}: idle, its files are removed", segments.display());
    true
}

/// The directories of segments that we made, or a sibling: those with a lock file.
fn streams(root: &Path) -> Vec<PathBuf> {
    let apps = fs::read_dir(root).into_iter().flatten().flatten();
    let files = apps
        .filter(is_directory)
        .flat_map(|app| fs::read_dir(app.path()).into_iter().flatten().flatten());
    files
        .filter(is_directory)
        .map(|directory| directory.path())
        .filter(|segments| lock(segments).is_file())
        .collect()
}

/// A link to one is not one.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Every segment is made in the directory, and renamed there: its time tells.
fn changed(segments: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(segments).ok()?.modified().ok()
}

fn playlist(segments: &Path) -> PathBuf {
    let name = segments.file_name().unwrap_or_default();
    segments.with_file_name(format!("{}.m3u8", name.to_string_lossy()))
}

/// The lock file of the stream whose segments are in `segments`.
fn lock(segments: &Path) -> PathBuf {
    let name = segments.file_name().unwrap_or_default();
    segments.with_file_name(file_name(&name.to_string_lossy()))
}
