//! SRS's own syntax, which is nginx's: text → directives.
//!
//! As SRS reads it: a directive is on one line; a quoted word knows no escapes; an empty one is none;
//! `#` begins a comment only where a word could begin.

use core::iter::Peekable;
use core::str::Chars;
use std::rc::Rc;

use super::error::{Place, SrsError};
use crate::limits;

/// `name args… ;` or `name args… { block }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Directive {
    /// Its first word.
    pub(super) name: String,
    /// Its other words.
    pub(super) args: Vec<String>,
    /// What stands in its braces, if it has any.
    pub(super) block: Option<Vec<Self>>,
    /// Where it begins.
    pub(super) place: Place,
}

impl Directive {
    /// SRS looks only at the first of most directives' values.
    pub(super) fn arg(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The first directive of the block that is called so: SRS looks at no other.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let mut block = self.block.iter().flatten();
        block.find(|directive| directive.name == name)
    }
}

/// The text of a file that another one includes, or why there is none.
pub(super) type Include<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads a file, and the ones that it includes.
///
/// # Errors
///
/// What SRS could not read either, or what passes a limit.
pub(super) fn parse(
    file: &str,
    text: &str,
    include: Include<'_>,
) -> Result<Vec<Directive>, SrsError> {
    let mut parser = Parser {
        include,
        bytes: 0,
        directives: 0,
    };
    let mut all = Vec::new();
    parser.file(&Place::of(file), file, text, 0, &mut all)?;
    Ok(all)
}

/// What counts across files.
struct Parser<'a> {
    include: Include<'a>,
    bytes: usize,
    directives: usize,
}

/// What ends the words of a directive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Semicolon,
    Open,
    /// Of the block around it; without words.
    Close,
    /// Without words.
    File,
}

impl Parser<'_> {
    /// Adds the directives of a file that `named` names.
    fn file(
        &mut self,
        named: &Place,
        file: &str,
        text: &str,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), SrsError> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > limits::MAX_SRS_CONF_BYTES {
            let most = limits::MAX_SRS_CONF_BYTES >> 10;
            let message = format!("more than {most} KiB with this file; shorten it");
            return Err(SrsError::new(named, message));
        }
        let mut words = Words {
            file: file.into(),
            rest: text.chars().peekable(),
            line: 1,
            column: 1,
        };
        self.directives(&mut words, None, depth, into)
    }

    /// Adds directives up to the end of the file, or of the block that `opened`.
    fn directives(
        &mut self,
        words: &mut Words<'_>,
        opened: Option<&Place>,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), SrsError> {
        loop {
            let (line, place, end) = words.directive()?;
            let mut line = line.into_iter();
            let Some(name) = line.next() else {
                return match (end, opened) {
                    (End::Close, Some(_)) | (End::File, None) => Ok(()),
                    (_, Some(opened)) => {
                        let message = "the file ends within this block; close it with `}`";
                        Err(SrsError::new(opened, message))
                    }
                    (_, None) => {
                        let message = "no block begins before this `}`; remove it";
                        Err(SrsError::new(&place, message))
                    }
                };
            };
            self.directives = self.directives.saturating_add(1);
            if self.directives > limits::MAX_SRS_CONF_DIRECTIVES {
                let most = limits::MAX_SRS_CONF_DIRECTIVES;
                let message = format!("more than {most} directives; remove some");
                return Err(SrsError::new(&place, message));
            }
            let args: Vec<String> = line.collect();
            if name == "include" {
                self.include(&place, &args, end, depth, into)?;
                continue;
            }
            let mut block = None;
            if end == End::Open {
                let depth = deeper(&place, depth)?;
                let inner = block.insert(Vec::new());
                self.directives(words, Some(&place), depth, inner)?;
            }
            into.push(Directive {
                name,
                args,
                block,
                place,
            });
        }
    }

    /// Adds the directives of files, as if they stood here.
    fn include(
        &mut self,
        place: &Place,
        files: &[String],
        end: End,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), SrsError> {
        let depth = deeper(place, depth)?;
        if files.is_empty() || end != End::Semicolon {
            let message = "expected the path of a file, and `;`";
            return Err(SrsError::new(place, message));
        }
        for file in files {
            let text = (self.include)(file).map_err(|error| {
                let message = format!(
                    "{file}: {error}; it is looked for from the directory in which srs-lite is started"
                );
                SrsError::new(place, message)
            })?;
            self.file(place, file, &text, depth, into)?;
        }
        Ok(())
    }
}

/// One level more.
fn deeper(place: &Place, depth: usize) -> Result<usize, SrsError> {
    if depth >= limits::MAX_SRS_CONF_DEPTH {
        let most = limits::MAX_SRS_CONF_DEPTH;
        let message = format!("more than {most} blocks and included files within each other");
        return Err(SrsError::new(place, message));
    }
    Ok(depth.saturating_add(1))
}

/// The text of one file, word by word.
struct Words<'a> {
    file: Rc<str>,
    rest: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
}

impl Words<'_> {
    /// The words up to the next `;`, `{`, `}` or the end, and where the first one, or the end, stands.
    fn directive(&mut self) -> Result<(Vec<String>, Place, End), SrsError> {
        let mut words: Vec<String> = Vec::new();
        let mut first = None;
        loop {
            let place = self.place();
            let error = |message: &str| Err(SrsError::new(&place, message));
            let end = match (self.rest.peek().copied(), words.is_empty()) {
                (Some(' ' | '\t'), _) | (Some('\r' | '\n'), true) => {
                    self.next();
                    continue;
                }
                (Some('#'), _) => {
                    while self.rest.peek().is_some_and(|&c| c != '\n' && c != '\r') {
                        self.next();
                    }
                    continue;
                }
                (Some('\r' | '\n') | None, false) => {
                    return error("the line ends within a directive; write `;` or `{` before this");
                }
                (Some(';'), true) => return error("nothing stands before this `;`; remove it"),
                (Some('{'), true) => {
                    return error("nothing stands before this `{`; write the block's name");
                }
                (Some('}'), false) => {
                    return error("`}` within a directive; end it with `;` before");
                }
                (None, true) => End::File,
                (Some(';'), false) => End::Semicolon,
                (Some('{'), false) => End::Open,
                (Some('}'), true) => End::Close,
                (Some(quote @ ('"' | '\'')), _) => {
                    first.get_or_insert(place);
                    words.extend(Some(self.quoted(quote)?).filter(|word| !word.is_empty()));
                    continue;
                }
                (Some(_), _) => {
                    first.get_or_insert(place);
                    words.push(self.plain()?);
                    continue;
                }
            };
            self.next();
            return Ok((words, first.unwrap_or(place), end));
        }
    }

    /// A word without quotes.
    fn plain(&mut self) -> Result<String, SrsError> {
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            if matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '{') {
                break;
            }
            word.push(self.printable(c)?);
        }
        Ok(word)
    }

    /// A word in quotes, without them.
    fn quoted(&mut self, quote: char) -> Result<String, SrsError> {
        let opened = self.place();
        self.next();
        let mut word = String::new();
        loop {
            match self.rest.peek() {
                Some('\r' | '\n') | None => {
                    let message =
                        format!("the line ends within this word; close it with `{quote}`");
                    return Err(SrsError::new(&opened, message));
                }
                Some(&c) if c == quote => break,
                Some('\t') => {
                    word.push('\t');
                    self.next();
                }
                Some(&c) => word.push(self.printable(c)?),
            }
        }
        self.next();
        match self.rest.peek() {
            Some(' ' | '\t' | '\r' | '\n' | ';' | '{') | None => Ok(word),
            Some(_) => {
                let message = "expected a space, `;` or `{` after a word in quotes";
                Err(SrsError::new(&self.place(), message))
            }
        }
    }

    /// Takes a character that can be shown.
    fn printable(&mut self, c: char) -> Result<char, SrsError> {
        if c.is_control() {
            let message = format!("control character {}; remove it", c.escape_default());
            return Err(SrsError::new(&self.place(), message));
        }
        self.next();
        Ok(c)
    }

    fn next(&mut self) {
        match self.rest.next() {
            Some('\n') => {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            }
            Some(_) => self.column = self.column.saturating_add(1),
            None => {}
        }
    }

    fn place(&self) -> Place {
        Place {
            file: Rc::clone(&self.file),
            line: self.line,
            column: self.column,
        }
    }
}
