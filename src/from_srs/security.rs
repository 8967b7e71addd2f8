//! `security`, where what a file leaves out means something else in SRS.

use super::error::Place;
use super::output::{Key, Line};
use super::syntax::Directive;
use super::{keys, shown};
use crate::config::Config;

/// Who may publish and play, as the files that come with srs-lite have it.
const SHIPPED: [&str; 3] = ["publish loopback", "publish private", "play all"];

/// A vhost whose rules are to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vhost<'a> {
    /// What the names of its tables begin with; empty: it is the default vhost.
    pub(super) prefix: &'a str,
    /// Whether anybody gets in.
    pub(super) is_open: bool,
    /// Its block.
    pub(super) block: Option<&'a Directive>,
    /// The vhost.
    pub(super) place: &'a Place,
}

impl<'a> Vhost<'a> {
    /// Whether it says who may publish and play: what SRS's other vhosts do not have from it.
    pub(super) fn decides(self) -> bool {
        !self.is_open || self.enabled().is_some()
    }

    fn enabled(self) -> Option<&'a Directive> {
        self.block.and_then(|block| block.get("enabled"))
    }

    /// The table. `inherits`: the default vhost decides nothing, so that nothing has to be said again.
    pub(super) fn table(self, inherits: bool) -> Vec<Line> {
        let is_on = self.enabled().map(|enabled| enabled.arg() == "on");
        let rules = Rules::of(self.block, is_on == Some(true) && self.is_open);
        if self.is_open && is_on.is_none() && inherits && rules.lost.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![Line::Blank, Line::Table(format!("{}security", self.prefix))];
        let shipped = SHIPPED.map(str::to_owned);
        let everybody = ["publish all", "play all"].map(str::to_owned);
        match is_on {
            _ if !self.is_open => {
                let note = "SRS refuses who asks for none of the file's vhosts.";
                lines.push(Line::Note(note.to_owned()));
                lines.push(self.key("deny", list(&everybody), None));
            }
            Some(true) => {
                lines.push(self.key("enabled", "true".to_owned(), None));
                lines.push(self.key("allow", list(&rules.allow), rules.allow_note));
                lines.push(self.key("deny", list(&rules.deny), rules.deny_note));
            }
            Some(false) => lines.push(self.key("enabled", "false".to_owned(), None)),
            None => {
                let note = "SRS lets everybody publish where nothing is said. That would be \
                            \"publish all\".";
                lines.push(Line::Note(note.to_owned()));
                // The default vhost has the first and the last already.
                if !self.prefix.is_empty() {
                    lines.push(self.key("enabled", "true".to_owned(), None));
                }
                lines.push(self.key("allow", list(&shipped), None));
                if !self.prefix.is_empty() {
                    lines.push(self.key("deny", "[]".to_owned(), None));
                }
            }
        }
        lines.extend(rules.lost);
        lines
    }

    fn key(self, name: &str, value: String, note: Option<&'static str>) -> Line {
        Line::Key(Key {
            name: name.to_owned(),
            value,
            note,
            place: self.block.map_or(self.place, |block| &block.place).clone(),
            guards: true,
        })
    }
}

fn list(rules: &[String]) -> String {
    keys::list(rules.iter().map(|rule| keys::quoted(rule)))
}

/// What SRS makes of the rules of a block.
#[derive(Default)]
struct Rules {
    allow: Vec<String>,
    allow_note: Option<&'static str>,
    deny: Vec<String>,
    deny_note: Option<&'static str>,
    /// What SRS does not look at.
    lost: Vec<Line>,
}

impl Rules {
    fn of(block: Option<&Directive>, is_on: bool) -> Self {
        let mut rules = Self::default();
        let (mut allows, mut denies) = (false, false);
        for directive in block.iter().flat_map(|block| block.block.iter().flatten()) {
            let rule = directive.args.get(..2).unwrap_or_default().join(" ");
            let list = match directive.name.as_str() {
                "allow" => {
                    allows = true;
                    Some(&mut rules.allow)
                }
                "deny" => {
                    denies = true;
                    Some(&mut rules.deny)
                }
                "enabled" => continue,
                _ => None,
            };
            let why = match list {
                Some(list) if is_on && is_rule(&rule) => {
                    list.push(rule);
                    continue;
                }
                Some(_) if is_on => "it is about no address, in SRS either",
                Some(_) => "without `enabled on` SRS does not look at it",
                None => "SRS does not know it",
            };
            let text = format!("{}: {why}", shown(directive));
            rules.lost.push(Line::Lost(text));
        }
        for access in ["publish", "play"] {
            let all = format!("{access} all");
            let is_about = |rule: &String| rule.starts_with(access);
            if rules.allow.iter().any(is_about) || rules.deny.contains(&all) {
                continue;
            }
            if allows || !denies {
                rules.deny.push(all);
                rules.deny_note = Some("in SRS, too, who is not allowed is denied");
            } else {
                rules.allow.push(all);
                rules.allow_note = Some("in SRS, too, who is not denied is allowed");
            }
        }
        rules
    }
}

/// Whether both SRS and the configuration know such a rule.
fn is_rule(rule: &str) -> bool {
    let (_, peers) = rule.split_once(' ').unwrap_or_default();
    let is_ours = matches!(peers, "private" | "loopback");
    let text = format!("security.allow = {}", keys::quoted(rule));
    !is_ours && Config::parse(&text, "").is_ok()
}
