//! What the README says about limits, directives and files is so.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use srs_lite::config::Config;

/// A limit's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Value {
    Number(u64),
    Time(Duration),
}

#[test]
fn the_tables_of_limits_are_limits_rs() {
    let text = fs::read_to_string("src/limits.rs").unwrap();
    let constants = constants(&text);
    let readme = readme();
    let listed: Vec<(&str, Value)> = rows(&readme)
        .filter(|(name, _)| !name.contains(|c: char| c.is_ascii_lowercase()))
        .map(|(name, value)| (name, shown(value)))
        .collect();
    assert_eq!(listed.len(), constants.len(), "constants in the README");
    for (name, value) in listed {
        assert_eq!(Some(&value), constants.get(name), "{name}");
    }
}

#[test]
fn every_directive_is_in_the_table_with_its_default() {
    let readme = readme();
    let full = fs::read_to_string("conf/full.conf").unwrap();
    for key in Config::keys() {
        let cell = rows(&readme).find_map(|(name, cell)| (name == key).then_some(cell));
        let cell = cell.unwrap_or_else(|| panic!("{key} has no row"));
        let default = default(&full, key);
        let cell = cell.replace('`', "");
        assert!(cell.starts_with(default), "{key}: {cell:?}, not {default}");
    }
}

#[test]
fn every_file_that_is_named_exists() {
    let readme = readme();
    let is_path = |c: char| c.is_ascii_alphanumeric() || "._-/$".contains(c);
    let folders = ["conf/", "src/", "tests/", "fuzz/"];
    let mut count = 0;
    for word in readme.split(|c: char| !is_path(c)) {
        let is_ours = folders.iter().any(|folder| word.starts_with(folder));
        // Made by a crash, or by the fuzzer.
        let is_made = word.contains("crash-") || word.contains("artifacts");
        if !is_ours || is_made {
            continue;
        }
        let roles: &[&str] = match word.contains("$role") {
            true => &["origin", "edge", "edge2"],
            false => &[""],
        };
        for role in roles {
            let path = word.trim_end_matches('.').replace("$role", role);
            assert!(Path::new(&path).exists(), "{path} does not exist");
            count += 1;
        }
    }
    assert!(count >= 10, "{count} paths");
}

fn readme() -> String {
    fs::read_to_string("README.md").unwrap()
}

/// Rows of tables whose first cell is code: that, and the second cell.
fn rows(readme: &str) -> impl Iterator<Item = (&str, &str)> {
    readme.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((name, rest.split_once(" | ")?.0))
    })
}

/// The value of `block.key` as `conf/full.conf` has it.
fn default<'a>(full: &'a str, path: &str) -> &'a str {
    let (block, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut current = "";
    for line in full.lines() {
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']');
        } else if let Some((name, value)) = line.split_once(" = ")
            && (current, name) == (block, key)
        {
            return value;
        }
    }
    panic!("{path} is not in full.conf");
}

/// `4 MiB`, `250 ms`, `64`.
fn shown(text: &str) -> Value {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.parse().unwrap();
    match unit {
        "" => Value::Number(number),
        "KiB" => Value::Number(number.saturating_mul(1 << 10)),
        "MiB" => Value::Number(number.saturating_mul(1 << 20)),
        "ms" => Value::Time(Duration::from_millis(number)),
        "s" => Value::Time(Duration::from_secs(number)),
        _ => panic!("{text}"),
    }
}

/// Every `pub const NAME: T = value;`.
fn constants(text: &str) -> BTreeMap<&str, Value> {
    let mut known = BTreeMap::new();
    for line in text.lines() {
        if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant.split_once(": ").unwrap();
            let (_, value) = rest.trim_end_matches(';').split_once(" = ").unwrap();
            known.insert(name, evaluate(value, &known));
        }
    }
    known
}

/// A duration, or a product of numbers and constants that stand above it.
fn evaluate(text: &str, known: &BTreeMap<&str, Value>) -> Value {
    let number = |text: &str| text.replace('_', "").parse().ok();
    let time = text.strip_prefix("Duration::from_");
    if let Some((unit, value)) = time.and_then(|time| time.split_once('(')) {
        let value: u64 = number(value.trim_end_matches(')')).unwrap();
        return Value::Time(match unit {
            "secs" => Duration::from_secs(value),
            "millis" => Duration::from_millis(value),
            _ => panic!("{text}"),
        });
    }
    let factors = text.split(" * ").map(|factor| match known.get(factor) {
        Some(Value::Number(value)) => *value,
        Some(Value::Time(_)) => panic!("{text}"),
        None => number(factor).unwrap_or_else(|| panic!("{text}")),
    });
    Value::Number(factors.product())
}
