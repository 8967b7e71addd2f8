//! One stream's files: everything appears by rename, complete.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config;
use crate::limits;
use crate::server::hls::lease::Lease;
use crate::wire::m3u8::Playlist;
use crate::wire::name::StreamPath;

/// Where the files of a stream are, and their content.
#[derive(Debug)]
pub struct Disk {
    /// `[hls_path]/[app]`.
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
    /// The segment that is being written, under its temporary name.
    temporary: Option<(PathBuf, File)>,
}

impl Disk {
    /// The files of the stream at `path`.
    pub fn new(settings: &config::Hls, path: &StreamPath) -> Self {
        let app = settings.path.join(path.app.as_str());
        let name = path.name.as_str();
        let prefix = match settings.entry_prefix.trim_end_matches('/') {
            "" => format!("{name}/"),
            prefix => format!("{prefix}/{}/{name}/", path.app),
        };
        Self {
            playlist: app.join(format!("{name}.m3u8")),
            segments: app.join(name),
            lock: app.join(format!(".{name}.lock")),
            app,
            prefix,
            cleanup: settings.cleanup,
            lease: None,
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
        fs::create_dir_all(&self.app)?;
        self.lease = Some(Lease::take(&self.lock)?);
        Ok(())
    }

    /// Takes up the playlist that is there, without the segments that are not, and removes what a
    /// writer before us left half written.
    pub fn resume(&self) -> Option<Playlist> {
        for (path, name, _) in self.files() {
            if name.ends_with(".tmp") {
                // If it stays, it stays hidden.
                let _ = fs::remove_file(path);
            }
        }
        let mut text = String::new();
        let file = File::open(&self.playlist).ok()?;
        file.take(limits::MAX_PLAYLIST_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        let mut playlist = Playlist::decode(&text)?;
        let numbers = playlist.sequence..playlist.next();
        let missing = numbers
            .rev()
            .find(|&number| !self.segment(number).is_file());
        while missing.is_some_and(|missing| playlist.sequence <= missing) {
            playlist.pop();
        }
        Some(playlist)
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

    /// Removes segments that no player can still want: those left the playlist, and have been
    /// there for its whole duration once more.
    pub fn clean(&self, playlist: &Playlist) {
        let newest = self.modified(playlist.next().saturating_sub(1));
        let Some(newest) = newest.filter(|_| self.cleanup) else {
            return;
        };
        // From its completion a segment is listed for the playlist's duration, and kept for its
        // own and the playlist's after that.
        let target = u64::from(playlist.target).saturating_mul(1000);
        let keep = playlist.duration().saturating_add(target).saturating_mul(2);
        let keep = Duration::from_millis(keep);
        for (path, name, modified) in self.files() {
            let number = name.strip_suffix(".ts").and_then(|name| name.parse().ok());
            let gone = number.is_some_and(|number: u64| number < playlist.sequence);
            let age = newest.duration_since(modified).unwrap_or_default();
            if gone && age > keep {
                // If it cannot be removed now, the next round tries again.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn open(&mut self, number: u64) -> io::Result<&mut File> {
        if self.temporary.is_none() {
            self.claim()?;
            fs::create_dir_all(&self.segments)?;
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
        let mut file = create(&temporary)?;
        file.write_all(playlist.encode(&self.prefix).as_bytes())?;
        drop(file);
        fs::rename(&temporary, &self.playlist)
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.segments.join(format!("{number}.ts"))
    }

    fn modified(&self, number: u64) -> Option<SystemTime> {
        fs::metadata(self.segment(number)).ok()?.modified().ok()
    }

    /// Path, name and age of the files beside the segments.
    fn files(&self) -> impl Iterator<Item = (PathBuf, String, SystemTime)> {
        let entries = fs::read_dir(&self.segments).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let modified = entry.metadata().ok()?.modified().ok()?;
            Some((
                entry.path(),
                entry.file_name().into_string().ok()?,
                modified,
            ))
        })
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
