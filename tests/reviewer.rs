//! What SECURITY.md and the README tell a reviewer is so.
#![cfg(test)]

#[path = "support/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::rust_files;

#[test]
fn the_crates_are_those_of_the_release_build() {
    let security = fs::read_to_string("SECURITY.md").unwrap();
    let section = section(&security, "## Whose `unsafe` code runs");
    let listed: BTreeMap<String, usize> = section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (crate_, count) = (cells.next()?, cells.next()?.parse().ok()?);
            Some((crate_.to_owned(), count))
        })
        .collect();
    let sources = sources();
    let counted: BTreeMap<String, usize> = release_build()
        .into_iter()
        .map(|crate_| {
            let source = &sources[&crate_];
            (crate_, unsafe_words(&source.join("src")))
        })
        .collect();
    assert_eq!(listed, counted);
}

/// What Cargo says; it must not need the network.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every crate of the release build but our own, with its version.
fn release_build() -> Vec<String> {
    let tree = "tree --edges normal,build --prefix none --no-dedupe --format";
    let arguments: Vec<_> = tree.split(' ').chain(["{p}"]).collect();
    let crates = cargo(&arguments);
    let ours = format!("{} v", env!("CARGO_PKG_NAME"));
    let others = crates.lines().filter(|line| !line.starts_with(&ours));
    others
        .map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            format!("{name} {}", version.trim_start_matches('v'))
        })
        .collect()
}

/// Where the sources of each crate of this platform are.
fn sources() -> BTreeMap<String, PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = "metadata --format-version 1 --filter-platform";
    let arguments: Vec<_> = metadata.split(' ').chain(host).collect();
    let metadata = cargo(&arguments);
    let mut sources = BTreeMap::new();
    let mut package = String::new();
    // Targets and dependencies have names too, but no version next to it.
    for part in metadata.split("{\"name\":\"") {
        let texts: Vec<_> = part.split('"').take(5).collect();
        if let [name, ",", "version", ":", version] = texts[..] {
            package = format!("{name} {version}");
        }
        if let Some((_, rest)) = part.split_once("\"manifest_path\":\"") {
            let manifest = Path::new(rest.split('"').next().unwrap());
            sources.insert(package.clone(), manifest.parent().unwrap().to_owned());
        }
    }
    sources
}

/// How often `unsafe` stands in the code below a directory.
fn unsafe_words(dir: &Path) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let in_line = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let words = code.split(|c| !is_word(c));
        words.filter(|word| *word == "unsafe").count()
    };
    let texts = rust_files(dir).into_iter().map(read);
    texts
        .map(|text| text.lines().map(in_line).sum::<usize>())
        .sum()
}

/// Each span of code in the guide is a file, or something in the file that is named before it.
#[test]
fn what_the_guide_names_is_there() {
    let security = fs::read_to_string("SECURITY.md").unwrap();
    let rows = section(&security, "## Reading guide").lines();
    let (mut files, mut names) = (0, 0);
    for row in rows.filter(|line| line.starts_with('|')) {
        for cell in row.split('|') {
            let mut text = String::new();
            for span in cell.split('`').skip(1).step_by(2) {
                if span.contains('.') {
                    let path = Path::new(span);
                    assert!(path.is_file(), "{span} does not exist");
                    text = read(path);
                    files += 1;
                } else if !text.is_empty() {
                    let function = format!("fn {span}");
                    let found = text.split(&function).skip(1);
                    let mut ends = found.map(|rest| rest.starts_with(['(', '<']));
                    assert!(ends.any(|ends| ends), "no {function} in: {cell}");
                    names += 1;
                }
            }
        }
    }
    assert!(files > 50 && names > 50, "{files} files, {names} names");
}

/// The README's numbers of lines are about right.
#[test]
fn layers_are_as_long_as_the_readme_says() {
    let readme = fs::read_to_string("README.md").unwrap();
    let rows = section(&readme, "## How it is built").lines();
    let layers: Vec<_> = rows
        .filter_map(|line| {
            let (link, rest) = line.strip_prefix("| [")?.split_once(") | ")?;
            let path = Path::new(link.split_once("](")?.1);
            Some((path, rest.split_once(" | ")?.0.parse::<usize>().unwrap()))
        })
        .collect();
    assert!(layers.len() >= 8, "{layers:?}");
    let directory = |path: &Path| {
        path.ends_with("mod.rs")
            .then(|| path.parent().unwrap().to_owned())
    };
    for &(path, said) in &layers {
        let own = directory(path);
        let files = own
            .as_ref()
            .map_or_else(|| vec![path.to_owned()], |own| rust_files(own));
        // A feature that has its room in a layer has a row of its own.
        let rooms: Vec<_> = layers
            .iter()
            .filter_map(|(path, _)| directory(path))
            .collect();
        let is_elsewhere = |file: &&PathBuf| {
            let mut within = rooms.iter().filter(|room| file.starts_with(room));
            within.any(|room| {
                own.as_ref()
                    .is_some_and(|own| room != own && room.starts_with(own))
            })
        };
        let files = files.iter().filter(|file| !is_elsewhere(file));
        let lines: usize = files.cloned().map(code_lines).sum();
        let about = said * 9 / 10..said * 11 / 10 + 1;
        assert!(about.contains(&lines), "{}: {lines} lines", path.display());
    }
}

/// Lines without blank ones, comments, and the tests at the end of the file.
fn code_lines(file: PathBuf) -> usize {
    let text = read(file);
    let shipped = text.lines().take_while(|line| *line != "mod tests {");
    let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    shipped.filter(code).count()
}

/// What stands under a heading of the second level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect(heading);
    rest.split("\n## ").next().unwrap()
}

fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(file).unwrap()
}
