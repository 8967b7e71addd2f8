//! The body of the fuzz target `srs_conf`.

use crate::config::Config;
use crate::from_srs::convert;

/// What is converted is a configuration; what is not is refused on one line with its place. A comment
/// before it moves that line, one after it changes nothing.
pub fn srs_conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let said = said(&text);
    let below = self::said(&format!("# A comment.\n{text}"));
    match said {
        Ok(toml) => {
            assert_eq!(below, Ok(toml.clone()));
            assert_eq!(
                self::said(&format!("{text}\n# A comment.")),
                Ok(toml.clone())
            );
            assert!(Config::parse(&toml, "ours.conf").is_ok());
        }
        Err(error) => {
            assert!(!error.contains(char::is_control), "more than a line");
            let place = error.strip_prefix("some.conf:").unwrap_or_default();
            let (line, message) = place.split_once(':').unwrap_or_default();
            // One about the file as a whole has no line.
            let moved = match line.parse::<usize>() {
                Ok(line) => format!("some.conf:{}:{message}", line.saturating_add(1)),
                Err(_) => error.clone(),
            };
            assert_eq!(below, Err(moved));
        }
    }
}

/// There is one file to include.
fn said(text: &str) -> Result<String, String> {
    let include = |file: &str| match file {
        "pid.conf" => Ok("pid ./run/pid;".to_owned()),
        _ => Err("there is none".to_owned()),
    };
    convert("some.conf", text, &include).map_err(|error| error.to_string())
}
