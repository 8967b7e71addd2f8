//! Directives → lines of TOML.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Place;
use super::keys;
use super::old::{self, modern};
use super::output::{Key, Line};
use super::syntax::Directive;
use super::{security, shown};
use crate::config::{self, DEFAULT_VHOST};

/// Why what SRS's file says a second time is left out.
const SECOND: &str = "SRS looks at the first one only";

/// Beside what the file leaves out and SRS has otherwise than srs-lite.
const DEFAULT: &str = "SRS's default";

/// Beside what a vhost leaves out, and has from the default vhost here.
const OWN: &str = "in SRS, what the default vhost says does not count here";

/// The lines of a whole file, which is at `place`.
pub(super) fn lines(directives: &[Directive], place: &Place) -> Vec<Line> {
    let mut vhosts = directives.iter().filter(|directive| is_vhost(directive));
    let default = vhosts.find(|vhost| vhost.arg() == DEFAULT_VHOST);
    let block = default.map_or_else(Vec::new, block_of_vhost);
    let is_there = default.is_some() && !is_off(&block);
    let inherited = Inherited {
        says: said(&block),
        decides: rules("", is_there, &block, place).decides(),
    };
    let (mut top, mut tables) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for directive in directives {
        let name = old::current(&directive.name);
        let has_block = directive.block.is_some();
        let is_table = has_block && keys::is_block(name) && !keys::is_of_vhost(name);
        let is_ours = is_table || is_vhost(directive) || (!has_block && keys::kind(name).is_some());
        let into = if has_block { &mut tables } else { &mut top };
        let of_vhost = if name == "vhost" { directive.arg() } else { "" };
        if !is_ours {
            into.extend(lost(directive, &reason(name)));
        } else if !seen.insert((name, of_vhost)) {
            into.extend(lost(directive, SECOND));
        } else if is_vhost(directive) {
            into.extend(vhost(directive, &inherited));
        } else if is_table {
            into.extend(table("", name, directive, None));
        } else {
            into.extend(key("", directive));
        }
    }
    if default.is_none() {
        tables.extend(rules("", false, &[], place).table(false));
    }
    top.extend(tables);
    top
}

/// What a vhost has from the default vhost here, and not in SRS.
struct Inherited {
    /// Values, by path.
    says: BTreeMap<String, String>,
    /// Whether the default vhost decides who may publish and play.
    decides: bool,
}

fn vhost(vhost: &Directive, inherited: &Inherited) -> Vec<Line> {
    let block = block_of_vhost(vhost);
    let is_default = vhost.arg() == DEFAULT_VHOST;
    // Nothing of it matters where nobody gets in.
    let is_off = is_off(&block);
    let says = (!is_default && !is_off).then_some(&inherited.says);
    let inherits = !is_default && (is_off || !inherited.decides);
    let enabled = enabled(&block);
    let mut lines = Vec::new();
    let mut prefix = String::new();
    if !is_default {
        let name = format!("vhost.{}", keys::quoted(vhost.arg()));
        lines.extend([Line::Blank, Line::Table(name.clone())]);
        lines.extend(
            enabled
                .into_iter()
                .flat_map(|enabled| key("vhost.", enabled)),
        );
        prefix = format!("{name}.");
    }
    let rules = rules(&prefix, !(is_default && is_off), &block, &vhost.place);
    let mut seen = BTreeSet::new();
    for directive in &block {
        let name = directive.name.as_str();
        if enabled.is_some_and(|enabled| enabled.place == directive.place) {
            continue;
        }
        let is_table = directive.block.is_some() && (name == "security" || keys::is_of_vhost(name));
        lines.extend(if !is_table {
            lost(directive, &reason(name))
        } else if !seen.insert(name) {
            lost(directive, SECOND)
        } else if name == "security" {
            rules.table(inherits)
        } else {
            table(&prefix, name, directive, says)
        });
    }
    for name in keys::blocks_of_vhost().filter(|name| !seen.contains(name)) {
        let unsaid = unsaid(name, None, says, &vhost.place);
        if !unsaid.is_empty() {
            lines.extend([Line::Blank, Line::Table(format!("{prefix}{name}"))]);
            lines.extend(unsaid);
        }
    }
    if !seen.contains("security") {
        lines.extend(rules.table(inherits));
    }
    lines
}

/// Who may publish and play in a vhost.
fn rules<'a>(
    prefix: &'a str,
    is_open: bool,
    block: &'a [Directive],
    place: &'a Place,
) -> security::Vhost<'a> {
    security::Vhost {
        prefix,
        is_open,
        block: block.iter().find(|directive| directive.name == "security"),
        place,
    }
}

/// Whether the vhost is there, as it says itself.
fn enabled(block: &[Directive]) -> Option<&Directive> {
    let mut own = block.iter().filter(|directive| directive.block.is_none());
    own.find(|directive| directive.name == "enabled")
}

fn is_off(block: &[Directive]) -> bool {
    enabled(block).is_some_and(|enabled| enabled.arg() == "off")
}

/// The table of a block, which is called `path` in its vhost.
fn table(
    prefix: &str,
    path: &str,
    block: &Directive,
    says: Option<&BTreeMap<String, String>>,
) -> Vec<Line> {
    let mut lines = vec![Line::Blank, Line::Table(format!("{prefix}{path}"))];
    let mut tables = Vec::new();
    let mut seen = BTreeSet::new();
    let begin = format!("{path}.");
    for directive in block.block.iter().flatten() {
        let path = format!("{begin}{}", directive.name);
        let has_block = directive.block.is_some();
        let is_ours = match has_block {
            true => keys::is_block(&path),
            false => keys::kind(&path).is_some(),
        };
        // Below what is no block.
        let into = if has_block { &mut tables } else { &mut lines };
        into.extend(if !is_ours {
            lost(directive, &reason(&path))
        } else if !seen.insert(&directive.name) {
            lost(directive, SECOND)
        } else if has_block {
            table(prefix, &path, directive, None)
        } else {
            key(&begin, directive)
        });
    }
    lines.extend(unsaid(path, Some(block), says, &block.place));
    lines.extend(tables);
    lines
}

/// What a block leaves out and means something else here: where its files are, and what a vhost has
/// from the default vhost.
fn unsaid(
    path: &str,
    block: Option<&Directive>,
    says: Option<&BTreeMap<String, String>>,
    place: &Place,
) -> Vec<Line> {
    let is_said = |name: &str| {
        let directive = block.and_then(|block| block.get(name));
        directive.is_some_and(|directive| !directive.args.is_empty())
    };
    let is_on = block
        .and_then(|block| block.get("enabled"))
        .is_some_and(|enabled| enabled.arg() == "on");
    let key = |name: &str, value: &str, note| {
        Line::Key(Key {
            name: name.to_owned(),
            value: value.to_owned(),
            note: Some(note),
            place: place.clone(),
            guards: false,
        })
    };
    let mut lines = Vec::new();
    if path == "http_server" && is_on && !is_said("dir") {
        lines.push(key("dir", keys::HTML, DEFAULT));
    }
    let can_be_off = keys::kind(&format!("{path}.enabled")).is_some();
    for (name, default) in keys::defaults(path) {
        let is_inherited = says
            .and_then(|says| says.get(&format!("{path}.{name}")))
            .is_some_and(|value| value != default);
        let counts = is_on || !can_be_off || name == "enabled";
        if is_said(name) {
            continue;
        }
        if name == "hls_path" && is_on {
            lines.push(key(name, default, DEFAULT));
        } else if is_inherited && counts {
            lines.push(key(name, default, OWN));
        }
    }
    lines
}

/// The line of a key; `begin` is what its path has before its name.
fn key(begin: &str, directive: &Directive) -> Vec<Line> {
    let path = format!("{begin}{}", directive.name);
    let value = keys::kind(&path).and_then(|kind| keys::value(kind, &directive.args));
    let Some(value) = value else {
        return lost(directive, "without a value, the default holds");
    };
    vec![Line::Key(Key {
        name: directive.name.clone(),
        value,
        note: keys::note(&path),
        place: directive.place.clone(),
        guards: keys::guards(&path),
    })]
}

/// The comments that a directive becomes: itself, and what stands in its block.
fn lost(directive: &Directive, why: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    // A block may stand behind a table that it is no part of.
    if directive.block.is_some() {
        lines.push(Line::Blank);
    }
    lines.push(Line::Lost(format!("{}: {why}", shown(directive))));
    inside(directive, "    ", &mut lines);
    lines
}

fn inside(directive: &Directive, indent: &str, lines: &mut Vec<Line>) {
    for inner in directive.block.iter().flatten() {
        lines.push(Line::Note(format!("{indent}{}", shown(inner))));
        inside(inner, &format!("{indent}    "), lines);
    }
}

/// Why a directive has no counterpart.
fn reason(path: &str) -> String {
    let why = config::why_not(path);
    why.unwrap_or("srs-lite does not know it").to_owned()
}

/// What the default vhost says.
fn said(block: &[Directive]) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for table in block.iter().rev() {
        for directive in table.block.iter().flatten().rev() {
            let path = format!("{}.{}", table.name, directive.name);
            let value = keys::kind(&path).and_then(|kind| keys::value(kind, &directive.args));
            said.extend(value.map(|value| (path, value)));
        }
    }
    said
}

fn is_vhost(directive: &Directive) -> bool {
    directive.name == "vhost" && directive.block.is_some() && !directive.arg().is_empty()
}

fn block_of_vhost(vhost: &Directive) -> Vec<Directive> {
    modern(vhost.block.as_deref().unwrap_or_default())
}
