//! Why a file of SRS cannot be converted.

use core::fmt;
use std::rc::Rc;

/// One mistake in the file, with its place and what to do about it, on one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SrsError {
    place: Place,
    message: String,
}

/// A character of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// As it was named.
    pub(super) file: Rc<str>,
    /// Counted from one; 0: the file as a whole.
    pub(super) line: usize,
    /// Counted from one, in characters.
    pub(super) column: usize,
}

impl Place {
    /// A file as a whole.
    pub(super) fn of(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }
}

impl SrsError {
    pub(super) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            message: message.into(),
        }
    }
}

impl fmt::Display for SrsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        let place = match line {
            0 => file.to_string(),
            line => format!("{file}:{line}:{column}"),
        };
        // A word in quotes may hold a tab.
        let text = format!("{place}: {}", self.message);
        f.write_str(&text.replace(char::is_control, "?"))
    }
}

impl core::error::Error for SrsError {}
