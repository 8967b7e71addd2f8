//! One stream's files: everything appears by rename, complete.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config;
use crate::limits;
use crate::server::hls::lease::{Lease, file_name};
use crate::server::hook::Segment;
use crate::wire::m3u8::Playlist;
use crate::wire::name::StreamPath;

/// Where the files of a stream are, and their content.
#[derive(Debug)]
pub struct Disk {
    /// `[hls_path]`.
    root: PathBuf,
    /// `[vhost]` in it, if that is not the default one.
    vhost: Option<PathBuf>,
    /// `[app]` in that.
    app: PathBuf,
    /// `[app]/[stream].m3u8`.
    playlist: PathBuf,
    /// `[app]/[stream]`, with `[seq].ts`.
    segments: PathBuf,
    /// `[app]/.[stream].lock`.
    lock: PathBuf,
    /// What the URIs in the playlist begin with.
    prefix: String,
    cleanup: bool,
    lease: Option<Lease>,
    /// The playlist that was there when the lease was taken.
    found: Option<Playlist>,
    /// When the segments that are not in the playlist any more were first seen so.
    departed: BTreeMap<u64, Instant>,
    /// The segment that is being written, under its temporary name.
    temporary: Option<(PathBuf, File)>,
}

impl Disk {
    /// The files of the stream at `path`.
    pub fn new(settings: &config::Hls, path: &StreamPath) -> Self {
        let vhost = path.vhost().map(|vhost| settings.path.join(vhost));
        let app = vhost.as_ref().unwrap_or(&settings.path);
        let app = app.join(path.app.as_str());
        let name = path.name.as_str();
        let prefix = match settings.entry_prefix.trim_end_matches('/') {
            "" => format!("{name}/"),
            prefix => format!("{prefix}/{path}/"),
        };
        Self {
            playlist: app.join(format!("{name}.m3u8")),
            segments: app.join(name),
            lock: app.join(file_name(name)),
            app,
            vhost,
            root: settings.path.clone(),
            prefix,
            cleanup: settings.cleanup,
            lease: None,
            found: None,
            departed: BTreeMap::new(),
            temporary: None,
        }
    }

    /// Makes sure that nobody else writes the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: somebody does. Others as the system says.
    pub fn claim(&mut self) -> io::Result<()> {
        if self.lease.as_ref().is_some_and(Lease::is_valid) {
            return Ok(());
        }
        self.lease = None;
        fs::create_dir_all(&self.root)?;
        self.vhost.as_deref().map_or(Ok(()), directory)?;
        directory(&self.app)?;
        self.lease = Some(Lease::take(&self.lock)?);
        self.found = self.resume();
        Ok(())
    }

    /// The playlist that was there when the stream was claimed, once after each claim.
    pub const fn found(&mut self) -> Option<Playlist> {
        self.found.take()
    }

    /// Takes up the playlist that is there, and removes what a writer before us left half written.
    fn resume(&self) -> Option<Playlist> {
        for (path, name) in self.files() {
            if name.ends_with(".tmp") {
                // If it stays, it stays hidden.
                let _ = fs::remove_file(path);
            }
        }
        let mut text = String::new();
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&self.playlist)
            .ok()?;
        file.take(limits::MAX_PLAYLIST_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        let mut playlist = Playlist::decode(&text)?;
        self.prune(&mut playlist);
        Some(playlist)
    }

    /// Takes segments off `playlist` until all of them are there.
    pub fn prune(&self, playlist: &mut Playlist) {
        let numbers = playlist.sequence..playlist.next();
        let missing = numbers
            .rev()
            .find(|&number| !self.segment(number).is_file());
        while missing.is_some_and(|missing| playlist.sequence <= missing) {
            playlist.pop();
        }
    }

    /// Appends to segment `number`, which nobody sees before [`Self::publish`].
    ///
    /// # Errors
    ///
    /// As the system says; what there is of the segment is gone.
    pub fn append(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.open(number).and_then(|file| file.write_all(bytes));
        if written.is_err() {
            self.discard();
        }
        written
    }

    /// Gives up the segment that is being written.
    pub fn discard(&mut self) {
        if let Some((path, _)) = self.temporary.take() {
            // If it stays, it stays hidden, and the next writer removes it.
            let _ = fs::remove_file(path);
        }
    }

    /// Makes segment `number` appear, and then the playlist that names it.
    ///
    /// # Errors
    ///
    /// As the system says; the playlist that was there before still is.
    pub fn publish(&mut self, number: u64, playlist: &Playlist) -> io::Result<()> {
        let (temporary, file) = self.temporary.take().ok_or(ErrorKind::NotFound)?;
        drop(file);
        let segment = self.segment(number);
        let written = fs::rename(&temporary, &segment).and_then(|()| self.write(playlist));
        if written.is_err() {
            // Nobody was told of it; its number is used again.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&segment);
        }
        written
    }

    /// Segment `number`, for hooks.
    pub fn describe(&self, number: u64, duration: Duration) -> Segment {
        let url = |path: &Path| {
            let below = path.strip_prefix(&self.root).unwrap_or(path);
            below.to_string_lossy().into_owned()
        };
        let file = self.segment(number);
        let is_relative = self.prefix.matches('/').count() == 1;
        Segment {
            duration,
            url: if is_relative {
                url(&file)
            } else {
                format!("{}{number}.ts", self.prefix)
            },
            playlist_url: url(&self.playlist),
            playlist: self.playlist.clone(),
            file,
            number,
        }
    }

    /// Removes segments that no player can still want: those that left the playlist as long ago as
    /// it lasts, and a segment more [HLS §6.2.2].
    pub fn clean(&mut self, playlist: &Playlist, now: Instant) {
        if !self.cleanup {
            return;
        }
        let target = u64::from(playlist.target).saturating_mul(1000);
        let keep = Duration::from_millis(playlist.duration().saturating_add(target));
        let mut departed = BTreeMap::new();
        for (path, name) in self.files() {
            let number = name.strip_suffix(".ts").and_then(|name| name.parse().ok());
            let Some(number) = number.filter(|&number: &u64| number < playlist.sequence) else {
                continue;
            };
            let since = self.departed.get(&number).copied().unwrap_or(now);
            let gone = now.saturating_duration_since(since) > keep;
            if !gone || fs::remove_file(path).is_err() {
                departed.insert(number, since);
            }
        }
        self.departed = departed;
    }

    fn open(&mut self, number: u64) -> io::Result<&mut File> {
        if self.temporary.is_none() {
            self.claim()?;
            directory(&self.segments)?;
            let path = self.segments.join(format!(".{number}.ts.tmp"));
            let file = create(&path)?;
            self.temporary = Some((path, file));
        }
        let open = self.temporary.as_mut().map(|(_, file)| file);
        open.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn write(&self, playlist: &Playlist) -> io::Result<()> {
        let name = self.playlist.file_name().unwrap_or_default();
        let temporary = self.app.join(format!(".{}.tmp", name.to_string_lossy()));
        let written = create(&temporary)
            .and_then(|mut file| file.write_all(playlist.encode(&self.prefix).as_bytes()))
            .and_then(|()| fs::rename(&temporary, &self.playlist));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.segments.join(format!("{number}.ts"))
    }

    /// Path and name of the files beside the segments.
    fn files(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let entries = fs::read_dir(&self.segments).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.discard();
    }
}

/// A fresh file; whatever was there under that name is not written through.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options()
        .write(true)
        .create_new(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Makes sure of a directory below the root. A link is not followed: it may have been put there by
/// somebody else who may write here, to have us write where only we may.
fn directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(ErrorKind::NotADirectory.into())
}
