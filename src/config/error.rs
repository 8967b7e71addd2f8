//! Why a configuration file cannot be used.

use core::fmt;

/// One mistake in the file, with its place and what to do about it, on one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    file: String,
    line: Option<usize>,
    message: String,
}

impl ConfigError {
    /// A mistake at a line, counted from one.
    pub(super) fn at(file: &str, line: usize, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            message,
        }
    }

    /// A file that cannot be read at all; what says which file it is.
    pub(super) fn unreadable(file: &str, error: &std::io::Error, named_by: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: format!("cannot be read ({error}); {named_by} takes the path of a file"),
        }
    }

    /// Where in the file the mistake stands.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// What is wrong, without the place; of a key it begins with ``key `name`: ``.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl core::error::Error for ConfigError {}
