//! A TOML file that remembers where everything stands and which keys were asked for.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::hash::Hash;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::changes::Values;
use super::error::ConfigError;
use super::{keys, srs, value};

/// What it says is not repeated in messages.
const SECRETS: [&str; 2] = ["security.keys", "http_api.auth.password"];

/// The block of the vhosts' blocks.
const VHOST: &str = "vhost";

/// The parsed file. Reading a key makes it known: whatever is in the file and was never asked for
/// is refused at the end, so no list of keys can disagree with the code.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    /// The vhost whose blocks are being read, as the file has its name; `None`: those at the top level.
    vhost: Option<String>,
    asked: Vec<&'static str>,
    /// Asked of a vhost.
    asked_of_vhosts: Vec<&'static str>,
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
            vhost: None,
            asked: Vec::new(),
            asked_of_vhosts: Vec::new(),
            values: Values::default(),
            errors: Vec::new(),
            refusals: Vec::new(),
        })
    }

    /// The names of vhosts, as the file has them.
    pub(super) fn vhosts(&mut self) -> Vec<String> {
        let (blocks, mut errors) = ("a block `[vhost.\"name\".play]`", Vec::new());
        if let Some(value) = self.root.get_ref().get(VHOST) {
            match value.get_ref().as_table() {
                None => errors.push(self.unexpected(VHOST, blocks, value)),
                Some(table) => errors.extend(table.iter().filter_map(|(name, value)| {
                    let path = format!("{VHOST}.{}", name.get_ref());
                    let is_block = value.get_ref().is_table();
                    (!is_block).then(|| self.unexpected(&path, blocks, value))
                })),
            }
        }
        self.errors.append(&mut errors);
        self.vhost_names()
    }

    fn vhost_names(&self) -> Vec<String> {
        let table = find(self.root.get_ref(), VHOST).and_then(|value| value.get_ref().as_table());
        let names = table.into_iter().flat_map(DeTable::keys);
        names.map(|name| name.get_ref().to_string()).collect()
    }

    /// Reads the blocks of this vhost: what they do not say is as at the top level.
    pub(super) fn of_vhost<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.vhost = Some(name.to_owned());
        let read = read(self);
        self.vhost = None;
        read
    }

    /// Whether the blocks that are being read say something of `key`, so that it is no default.
    pub(super) fn says(&self, key: &str) -> bool {
        self.own(key).is_some()
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
        self.values.note(&self.name(key), &value);
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
        self.values.note(&self.name(key), &values);
        values
    }

    /// Reads a key that says `true` or `false`.
    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        self.read(key, default, "true or false", |value| value.as_bool())
    }

    /// Reads the path of `what`, which is not empty.
    pub(super) fn path(&mut self, key: &'static str, default: &str, what: &str) -> PathBuf {
        let expected = format!("the path of a {what}");
        self.read(key, PathBuf::from(default), &expected, |value| {
            let path = value.as_str().filter(|path| !path.is_empty())?;
            Some(PathBuf::from(path))
        })
    }

    /// Reads seconds within `range`, perhaps with a fraction.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Duration {
        let expected = format!("seconds from {} to {}", range.start(), range.end());
        self.read(key, Duration::from_secs(default), &expected, |value| {
            value::seconds(value, range.clone())
        })
    }

    /// Reads milliseconds within `range`.
    pub(super) fn milliseconds(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Duration {
        let expected = format!("milliseconds from {} to {}", range.start(), range.end());
        self.read(key, Duration::from_millis(default), &expected, |value| {
            value::milliseconds(value, range.clone())
        })
    }

    fn read_one<T>(
        &mut self,
        key: &'static str,
        default: T,
        expected: &str,
        decode: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> T {
        self.ask(key);
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
        self.ask(key);
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

    /// What distinguishes `key` of the blocks that are being read from that of others.
    fn name(&self, key: &str) -> String {
        let vhost = self.vhost.as_ref().map(|name| name.to_ascii_lowercase());
        Values::key(vhost.as_deref(), key)
    }

    /// Whether `key` says `true`.
    pub(super) fn is_on(&self, key: &str) -> bool {
        let value = self.value(key);
        value.and_then(|value| value.get_ref().as_bool()) == Some(true)
    }

    /// Remembers that what `key` says is impossible together with the rest of the file.
    pub(super) fn refuse(&mut self, key: &str, message: &str) {
        // What is not in the file is a default of its block.
        let place = self.own(key).or_else(|| self.own(keys::block(key)));
        let place = place.or_else(|| self.value(key));
        let start = place.map_or(0, |value| value.span().start);
        let error = self.error(key, message, start);
        self.refusals.push(error);
    }

    /// Remembers that there cannot be the vhost whose blocks are being read.
    pub(super) fn refuse_vhost(&mut self, message: &str) {
        let Some(name) = self.vhost.take() else {
            return;
        };
        let vhosts = find(self.root.get_ref(), VHOST);
        let vhosts = vhosts.and_then(|value| value.get_ref().as_table());
        let mut keys = vhosts.into_iter().flat_map(DeTable::keys);
        let key = keys.find(|key| key.get_ref().as_ref() == name);
        let start = key.map_or(0, |key| key.span().start);
        let error = self.error(&format!("{VHOST}.{name}"), message, start);
        self.refusals.push(error);
        self.vhost = Some(name);
    }

    /// Every key that was asked for.
    pub(super) fn asked(self) -> Vec<&'static str> {
        self.asked
    }

    /// The first mistake of the file, if there is one: what [`Self::read`] remembered, and keys
    /// that nobody asked for; failing these, what was refused.
    pub(super) fn finish(mut self) -> Result<Values, ConfigError> {
        let unknown = self.unknown_keys();
        let first = |errors: Vec<ConfigError>| errors.into_iter().min_by_key(ConfigError::line);
        let all = unknown.into_iter().chain(self.errors).collect();
        match first(all).or_else(|| first(self.refusals)) {
            Some(error) => Err(error),
            None => Ok(self.values),
        }
    }

    fn ask(&mut self, key: &'static str) {
        match self.vhost {
            None => self.asked.push(key),
            Some(_) => self.asked_of_vhosts.push(key),
        }
    }

    fn unknown_keys(&mut self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        self.unknown_in(self.root.get_ref(), "", &self.asked, &mut errors);
        for name in self.vhost_names() {
            self.vhost = Some(name);
            if let Some(table) = self.blocks() {
                self.unknown_in(table, "", &self.asked_of_vhosts, &mut errors);
            }
            self.vhost = None;
        }
        errors
    }

    /// The keys of `table`, which is the block of this path, that nobody asked for.
    fn unknown_in(
        &self,
        table: &DeTable<'_>,
        block: &str,
        asked: &[&'static str],
        errors: &mut Vec<ConfigError>,
    ) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = match block {
                "" if name == VHOST && self.vhost.is_none() => continue,
                "" => name.to_owned(),
                block => format!("{block}.{name}"),
            };
            // A name may hold a dot itself, in quotes.
            let is_known = !name.contains('.') && asked.contains(&&*path);
            let is_block = asked.iter().any(|known| keys::is_in(known, &path));
            match value.get_ref().as_table() {
                _ if is_known => {}
                _ if !is_block => errors.push(self.unknown(&path, key.span().start, asked)),
                None => errors.push(self.unexpected(&path, &format!("a block `[{path}]`"), value)),
                Some(table) => self.unknown_in(table, &path, asked, errors),
            }
        }
    }

    fn unknown(&self, path: &str, start: usize, asked: &[&'static str]) -> ConfigError {
        let message = if self.vhost.is_some() && self.asked.contains(&path) {
            "is of the process, and stands at the top level".to_owned()
        } else if let Some(advice) = srs::advice(path) {
            format!("a directive of SRS that this version does not have: {advice}")
        } else if let Some(near) = keys::nearest(path, asked) {
            format!("not known; did you mean `{near}`?")
        } else if self.vhost.is_some() && !path.contains('.') {
            "no block of a vhost; a vhost's name with a dot stands in quotes \
             (`[vhost.\"a.example\".play]`)"
                .to_owned()
        } else {
            "not known; conf/full.conf lists every key".to_owned()
        };
        self.error(path, &message, start)
    }

    fn unexpected(&self, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) -> ConfigError {
        let found = if SECRETS.contains(&key) {
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
        let message = match &self.vhost {
            None => format!("key `{key}`: {message}"),
            Some(vhost) => format!("key `vhost.{vhost:?}.{key}`: {message}"),
        };
        ConfigError::at(self.file, line, message)
    }

    /// What counts for the blocks that are being read: what they say, or what the top level does.
    fn value(&self, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        let top = || find(self.root.get_ref(), key);
        self.own(key).or_else(top)
    }

    /// What the blocks say that are being read.
    fn own(&self, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        find(self.blocks()?, key)
    }

    fn blocks(&self) -> Option<&DeTable<'a>> {
        let root = self.root.get_ref();
        let Some(name) = &self.vhost else {
            return Some(root);
        };
        let vhosts = root.get(VHOST)?.get_ref().as_table()?;
        vhosts.get(name.as_str())?.get_ref().as_table()
    }
}

/// The value at a path of names with dots between them.
fn find<'t, 'a>(table: &'t DeTable<'a>, path: &str) -> Option<&'t Spanned<DeValue<'a>>> {
    match path.split_once('.') {
        Some((block, rest)) => find(table.get(block)?.get_ref().as_table()?, rest),
        None => table.get(path),
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
