//! A TOML file that remembers where everything stands and which keys were asked for.

use std::hash::Hash;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::changes::Values;
use super::error::ConfigError;
use super::{keys, srs};

/// What it says is not repeated in messages.
const SECRET: &str = "security.keys";

/// The parsed file. Reading a key makes it known: whatever is in the file and was never asked for
/// is refused at the end, so no list of keys can disagree with the code.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    asked: Vec<&'static str>,
    /// What they mean.
    values: Values,
    errors: Vec<ConfigError>,
    /// Like `errors`, but they may only follow from one.
    refusals: Vec<ConfigError>,
}

impl<'a> Document<'a> {
    /// Parses the text; `file` is its name in messages.
    pub(super) fn parse(text: &'a str, file: &'a str) -> Result<Self, ConfigError> {
        let root = DeTable::parse(text).map_err(|error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            let source = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let message = srs::correction(source)
                .unwrap_or_else(|| format!("not TOML: {}", error.message().replace('\n', ", ")));
            // Both may repeat what the line holds; a message is one line.
            ConfigError::at(file, line, message.replace(char::is_control, "?"))
        })?;
        Ok(Self {
            file,
            text,
            root,
            asked: Vec::new(),
            values: Values::default(),
            errors: Vec::new(),
            refusals: Vec::new(),
        })
    }

    /// The value of `key`, or `default` if the file does not have it. `decode` returns `None` for
    /// what is not as `expected`; that is remembered, and [`Self::finish`] reports it.
    pub(super) fn read<T: Hash>(
        &mut self,
        key: &'static str,
        default: T,
        expected: &str,
        decode: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> T {
        let value = self.read_one(key, default, expected, decode);
        self.values.note(key, &value);
        value
    }

    /// Like [`Self::read`] for a key that takes one value or a list of them.
    pub(super) fn read_list<T: Hash>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        expected: &str,
        decode: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Vec<T> {
        let values = self.read_all(key, default, expected, decode);
        self.values.note(key, &values);
        values
    }

    fn read_one<T>(
        &mut self,
        key: &'static str,
        default: T,
        expected: &str,
        decode: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> T {
        self.asked.push(key);
        let Some(value) = self.value(key) else {
            return default;
        };
        let Some(decoded) = decode(value.get_ref()) else {
            let error = self.unexpected(key, expected, value);
            self.errors.push(error);
            return default;
        };
        decoded
    }

    fn read_all<T>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        expected: &str,
        decode: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.asked.push(key);
        let Some(value) = self.value(key) else {
            return default;
        };
        let items = match value.get_ref().as_array() {
            Some(items) => items.iter().collect(),
            None => vec![value],
        };
        let mut decoded = Vec::with_capacity(items.len());
        let mut errors = Vec::new();
        for item in items {
            match decode(item.get_ref()) {
                Some(one) => decoded.push(one),
                None => errors.push(self.unexpected(key, expected, item)),
            }
        }
        self.errors.append(&mut errors);
        decoded
    }

    /// Whether `key` says `true`.
    pub(super) fn is_on(&self, key: &str) -> bool {
        let value = self.value(key);
        value.and_then(|value| value.get_ref().as_bool()) == Some(true)
    }

    /// Remembers that what `key` says is impossible together with the rest of the file.
    pub(super) fn refuse(&mut self, key: &str, message: &str) {
        // What is not in the file is a default of its block.
        let place = self.value(key);
        let place = place.or_else(|| self.root.get_ref().get(keys::block(key)));
        let start = place.map_or(0, |value| value.span().start);
        let error = self.error(key, message, start);
        self.refusals.push(error);
    }

    /// Every key that was asked for.
    pub(super) fn asked(self) -> Vec<&'static str> {
        self.asked
    }

    /// The first mistake of the file, if there is one: what [`Self::read`] remembered, and keys
    /// that nobody asked for; failing these, what was refused.
    pub(super) fn finish(self) -> Result<Values, ConfigError> {
        let unknown = self.unknown_keys();
        let first = |errors: Vec<ConfigError>| errors.into_iter().min_by_key(ConfigError::line);
        let all = unknown.into_iter().chain(self.errors).collect();
        match first(all).or_else(|| first(self.refusals)) {
            Some(error) => Err(error),
            None => Ok(self.values),
        }
    }

    fn unknown_keys(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for (key, value) in self.root.get_ref() {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let is_block = self.asked.iter().any(|path| keys::block(path) == name);
            match value.get_ref().as_table() {
                _ if !is_block => errors.push(self.unknown(name, key.span().start)),
                None => errors.push(self.unexpected(name, &format!("a block `[{name}]`"), value)),
                Some(table) => {
                    for inner in table.keys() {
                        let path = format!("{name}.{}", inner.get_ref());
                        if !self.asked.contains(&path.as_str()) {
                            errors.push(self.unknown(&path, inner.span().start));
                        }
                    }
                }
            }
        }
        errors
    }

    fn unknown(&self, path: &str, start: usize) -> ConfigError {
        let message = if let Some(advice) = srs::advice(path) {
            format!("a directive of SRS that this version does not have: {advice}")
        } else if let Some(near) = keys::nearest(path, &self.asked) {
            format!("not known; did you mean `{near}`?")
        } else {
            "not known; conf/full.conf lists every key".to_owned()
        };
        self.error(path, &message, start)
    }

    fn unexpected(&self, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) -> ConfigError {
        let found = if key == SECRET {
            "something else".to_owned()
        } else {
            describe(value.get_ref())
        };
        let message = format!("expected {expected}, found {found}");
        self.error(key, &message, value.span().start)
    }

    fn error(&self, key: &str, message: &str, start: usize) -> ConfigError {
        let line = line_at(self.text, start);
        // A key may be quoted and hold anything; a message is one line.
        let key = key.escape_debug();
        ConfigError::at(self.file, line, format!("key `{key}`: {message}"))
    }

    fn value(&self, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        let root = self.root.get_ref();
        match key.split_once('.') {
            Some((block, name)) => root.get(block)?.get_ref().as_table()?.get(name),
            None => root.get(key),
        }
    }
}

/// The line, counted from one, in which the byte at `start` stands.
fn line_at(text: &str, start: usize) -> usize {
    let before = text.as_bytes().get(..start).unwrap_or(text.as_bytes());
    let breaks = before.iter().filter(|&&byte| byte == b'\n').count();
    breaks.saturating_add(1)
}

/// The value as the file has it, or what kind of thing it is.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a block".to_owned(),
    }
}
