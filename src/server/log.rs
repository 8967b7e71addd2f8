//! The log: one line per event, on standard error or in a file, at UTC.

use core::fmt::{self, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, LineWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use simplelog::{ConfigBuilder, LevelFilter, WriteLogger};

use crate::config;
use crate::server::privileges::no_links;

/// Bytes of a line that are written at once; siblings may share a terminal or a file.
const LINE_BYTES: usize = 4096;

/// Characters shown of a peer's text.
const ESCAPED_CHARACTERS: usize = 256;

/// The installed log.
#[derive(Debug)]
pub struct Log {
    file: Option<LogFile>,
}

impl Log {
    /// Installs the log of this process; creates its directory.
    ///
    /// # Errors
    ///
    /// Why there cannot be one, and what to do.
    pub fn install(settings: &config::Log) -> Result<Self, LogError> {
        let file = settings.file.as_deref().map(LogFile::open).transpose()?;
        let sink: Box<dyn Write + Send> = match &file {
            Some(file) => Box::new(file.clone()),
            None => Box::new(io::stderr()),
        };
        let format = ConfigBuilder::new()
            .set_time_format_rfc3339()
            .set_thread_level(LevelFilter::Off)
            .set_target_level(LevelFilter::Off)
            .set_location_level(LevelFilter::Off)
            .build();
        let lines = LineWriter::with_capacity(LINE_BYTES, sink);
        // Whatever it is given, so that the level can change.
        WriteLogger::init(LevelFilter::Trace, format, lines).map_err(|_| LogError::Twice)?;
        log::set_max_level(settings.level);
        // A panic ends one thread. It is a bug: say where, in the log and not beside it.
        std::panic::set_hook(Box::new(|panic| log::error!("a thread failed: {panic}")));
        Ok(Self { file })
    }

    /// Opens the file again, under its name: the old one was moved away.
    ///
    /// # Errors
    ///
    /// The file cannot be opened. The log goes on in the old one.
    pub fn reopen(&self) -> Result<(), LogError> {
        self.file.as_ref().map_or(Ok(()), LogFile::reopen)
    }
}

/// Why there is no log.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be opened.
    Open(PathBuf, io::Error),
    /// There is a log already.
    Twice,
}

impl Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) => write!(
                f,
                "the log file {} cannot be opened ({error}); change `srs_log_file`, or write \
                 `srs_log_tank = \"console\"`",
                path.display()
            ),
            Self::Twice => write!(f, "the log is installed twice"),
        }
    }
}

impl core::error::Error for LogError {}

/// Text of a peer as printable ASCII: control and other characters and quotes escaped, and cut
/// after 256 characters.
pub const fn escape(text: &str) -> Escaped<'_> {
    Escaped { text }
}

/// What [`escape`] shows.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    text: &'a str,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.text.chars();
        for character in characters.by_ref().take(ESCAPED_CHARACTERS) {
            write!(f, "{}", character.escape_default())?;
        }
        if characters.next().is_some() {
            f.write_str("...")?;
        }
        Ok(())
    }
}

/// A file that can be opened again while it is written.
#[derive(Clone, Debug)]
struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl LogFile {
    fn open(path: &Path) -> Result<Self, LogError> {
        let file = append(path).map_err(|error| LogError::Open(path.to_owned(), error))?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(Mutex::new(file)),
        })
    }

    fn reopen(&self) -> Result<(), LogError> {
        let file = append(&self.path).map_err(|error| LogError::Open(self.path.clone(), error))?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(no_links())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_stays_on_its_line() {
        let cases = [
            ("live/livestream", "live/livestream"),
            ("a\nb\r\0\u{1b}[31m", r"a\nb\r\u{0}\u{1b}[31m"),
            ("\"'\\", "\\\"\\'\\\\"),
            ("é\u{202e}", r"\u{e9}\u{202e}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text).to_string(), expected);
        }
    }

    #[test]
    fn a_peers_text_is_cut() {
        let longest = "a".repeat(ESCAPED_CHARACTERS);
        assert_eq!(escape(&longest).to_string(), longest);
        let longer = format!("{longest}b");
        assert_eq!(escape(&longer).to_string(), format!("{longest}..."));
    }
}
