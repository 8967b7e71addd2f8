//! The lines of the result, and what the configuration says to them.

use core::fmt;

use super::error::{Place, SrsError};
use crate::config::Config;

/// One line of TOML.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// A key and its value.
    Key(Key),
    /// What became a comment, and why.
    Lost(String),
    /// A comment beside these.
    Note(String),
    /// `[name]`.
    Table(String),
    /// Nothing.
    Blank,
}

/// `key = value  # note`.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Without its table.
    pub(super) name: String,
    /// TOML.
    pub(super) value: String,
    /// What to know about it.
    pub(super) note: Option<&'static str>,
    /// The directive that it was made of.
    pub(super) place: Place,
    /// Without it, somebody could do what the file does not allow: it cannot become a comment.
    pub(super) guards: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => {
                write!(f, "{} = {}", key.name, key.value)?;
                key.note.map_or(Ok(()), |note| write!(f, "  # {note}"))
            }
            Self::Lost(text) | Self::Note(text) => write!(f, "# {text}"),
            Self::Table(name) => write!(f, "[{name}]"),
            Self::Blank => Ok(()),
        }
    }
}

/// Makes a comment of every key that the configuration refuses, with its reason.
///
/// # Errors
///
/// It refuses one that guards something, or what stands in no line.
pub(super) fn settle(lines: &mut [Line], file: &Place) -> Result<(), SrsError> {
    // Each round makes a comment of a key.
    while let Err(error) = Config::parse(&text(lines), "") {
        let (_, why) = error.message().split_once("`: ").unwrap_or_default();
        let number = error.line().unwrap_or_default();
        let Some(line) = lines.get_mut(number.saturating_sub(1)) else {
            return Err(SrsError::new(file, why));
        };
        *line = match line {
            Line::Key(key) if !key.guards => {
                Line::Lost(format!("{} = {}: {why}", key.name, key.value))
            }
            Line::Key(key) => {
                let message = format!("{} = {}: {why}", key.name, key.value);
                return Err(SrsError::new(&key.place, message));
            }
            Line::Lost(_) | Line::Note(_) | Line::Table(_) | Line::Blank => {
                let message = format!("{line} in the result: {}", error.message());
                return Err(SrsError::new(file, message));
            }
        };
    }
    Ok(())
}

/// All lines, each with its end.
pub(super) fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
