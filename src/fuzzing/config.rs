//! The body of the fuzz target `config`.

use toml::de::DeTable;

use crate::config::Config;

/// A text is read, or its first mistake is named on one line, with file, line, and key or what it
/// should be; and a comment before it moves that line, one after it changes nothing.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Only at the very beginning is it nothing.
    let text = text.trim_start_matches('\u{feff}');
    let parsed = Config::parse(text, "some.conf");
    let below = Config::parse(&format!("# A comment.\n{text}"), "some.conf");
    match parsed {
        Ok(config) => {
            assert_eq!(below, Ok(config.clone()));
            let above = Config::parse(&format!("{text}\n# A comment."), "some.conf");
            assert_eq!(above, Ok(config));
        }
        Err(error) => {
            let (line, message) = place(&error.to_string());
            // TOML that is refused is refused for a key.
            let is_toml = DeTable::parse(text).is_ok();
            assert_eq!(message.starts_with("key `"), is_toml);
            assert!(line > 0 && line <= text.lines().count().saturating_add(1));
            let moved = below.map_err(|error| place(&error.to_string()));
            assert_eq!(moved.err(), Some((line.saturating_add(1), message)));
        }
    }
}

/// Line and message of an error.
fn place(error: &str) -> (usize, String) {
    assert!(!error.contains(char::is_control), "more than a line");
    let place = error.strip_prefix("some.conf:");
    let parts = place.and_then(|place| place.split_once(": "));
    assert!(parts.is_some(), "without its place");
    let (line, message) = parts.unwrap_or_default();
    assert!(!message.is_empty());
    (line.parse().unwrap_or(0), message.to_owned())
}
