//! A configuration file in SRS's own syntax → ours, for `--from-srs`.
//!
//! Directives keep their names, so most of it is a change of syntax. What has no counterpart becomes a
//! comment where it stood. What SRS does when its file says nothing is written out where who publishes
//! or plays would notice: see [`convert`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::limits;

use self::error::Place;
pub use self::error::SrsError;
use self::output::Line;
use self::syntax::Directive;

mod convert;
mod error;
mod keys;
mod old;
mod output;
mod security;
mod syntax;

/// Reads a file of SRS, with what it includes, and says it in TOML.
///
/// # Errors
///
/// It cannot be read, or see [`convert`].
pub fn convert_file(path: &Path) -> Result<String, SrsError> {
    let file = path.display().to_string();
    let text = read(&file).map_err(|error| SrsError::new(&Place::of(&file), error))?;
    convert(&file, &text, &read)
}

/// Says the text of a file of SRS in TOML that [`crate::config::Config`] takes. `file` is its name in
/// messages; `include` has the text of a file by its path, or says why there is none.
///
/// # Errors
///
/// The first place where it is not SRS's syntax or passes a limit; or a rule about who may publish,
/// play or ask the API that cannot be kept.
pub fn convert(
    file: &str,
    text: &str,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, SrsError> {
    let place = Place::of(file);
    let directives = syntax::parse(file, text, include)?;
    if !directives
        .iter()
        .any(|directive| directive.name == "listen")
    {
        let message = "no `listen`, without which SRS does not start; take the file that includes \
                       this one, if one does";
        return Err(SrsError::new(&place, message));
    }
    let mut lines = vec![Line::Blank];
    lines.extend(convert::lines(&directives, &place));
    output::settle(&mut lines, &place)?;
    let count = |wanted: fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let keys = count(|line| matches!(line, Line::Key(_)));
    let lost = count(|line| matches!(line, Line::Lost(_)));
    let summary = format!(
        "Made of {} by srs-lite --from-srs. Keys: {keys}; directives that became comments: {lost}.",
        file.escape_debug()
    );
    if let Some(first) = lines.first_mut() {
        *first = Line::Note(summary);
    }
    Ok(output::text(&lines))
}

/// A directive in a comment, without its block.
fn shown(directive: &Directive) -> String {
    let words = [&directive.name].into_iter().chain(&directive.args);
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The text of a file, or why there is none.
fn read(file: &str) -> Result<String, String> {
    let most = u64::try_from(limits::MAX_SRS_CONF_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One more is too many, and is refused with its place.
    File::open(file)
        .and_then(|open| open.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read ({error})"))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not UTF-8 at byte {at}; convert it, for example with `iconv -f GB18030 -t UTF-8`")
    })
}
