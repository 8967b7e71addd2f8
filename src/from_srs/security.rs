//! `security`, where what a file leaves out means something else in SRS.

use super::error::Place;
use super::keys;
use super::output::{Key, Line};
use super::syntax::Directive;
use crate::config::Config;

/// Who may publish and play, as the files that come with srs-lite have it.
const SHIPPED: [&str; 3] = ["publish loopback", "publish private", "play all"];

/// Whether the block of a vhost decides anything in SRS.
pub(super) fn decides(block: Option<&Directive>) -> bool {
    block.is_some_and(|block| block.get("enabled").is_some())
}

/// The table of a vhost that begins with `prefix`. `inherits`: nothing has to be said where nothing is
/// decided, since the default vhost says the same.
pub(super) fn table(
    prefix: &str,
    block: Option<&Directive>,
    place: &Place,
    inherits: bool,
) -> Vec<Line> {
    let place = block.map_or(place, |block| &block.place);
    let key = |name: &str, value: String, note| {
        Line::Key(Key {
            name: name.to_owned(),
            value,
            note,
            place: place.clone(),
            guards: true,
        })
    };
    let list = |rules: &[String]| keys::list(rules.iter().map(|rule| keys::quoted(rule)));
    let mut lines = vec![Line::Blank, Line::Table(format!("{prefix}security"))];
    let enabled = block.and_then(|block| block.get("enabled"));
    let is_on = enabled.is_some_and(|enabled| enabled.arg() == "on");
    let rules = Rules::of(block, is_on);
    match enabled {
        Some(_) if is_on => {
            lines.push(key("enabled", "true".to_owned(), None));
            lines.push(key("allow", list(&rules.allow), rules.note()));
            lines.push(key("deny", list(&rules.deny), rules.note()));
        }
        Some(_) => lines.push(key("enabled", "false".to_owned(), None)),
        None if inherits && rules.lost.is_empty() => return Vec::new(),
        None => {
            let note = "SRS lets everybody publish, if nothing says otherwise. That would be \
                        \"publish all\".";
            lines.push(Line::Note(note.to_owned()));
            let shipped = SHIPPED.map(str::to_owned);
            // The default vhost has these already.
            if !prefix.is_empty() {
                lines.push(key("enabled", "true".to_owned(), None));
                lines.push(key("deny", "[]".to_owned(), None));
            }
            lines.push(key("allow", list(&shipped), None));
        }
    }
    lines.extend(rules.lost);
    lines
}

/// What SRS makes of the rules of a block.
#[derive(Default)]
struct Rules {
    allow: Vec<String>,
    deny: Vec<String>,
    /// What it does not look at.
    lost: Vec<Line>,
    /// Some of these stand in the place of none.
    completed: bool,
}

impl Rules {
    fn of(block: Option<&Directive>, is_on: bool) -> Self {
        let mut rules = Self::default();
        let (mut allows, mut denies) = (0_usize, 0_usize);
        for directive in block.iter().flat_map(|block| block.block.iter().flatten()) {
            let args = directive.args.get(..2).unwrap_or_default().join(" ");
            let (list, count) = match directive.name.as_str() {
                "enabled" => continue,
                "allow" => (&mut rules.allow, &mut allows),
                "deny" => (&mut rules.deny, &mut denies),
                _ => {
                    let what = super::shown(directive);
                    let text = format!("{what}: SRS has `allow` and `deny` here");
                    rules.lost.push(Line::Lost(text));
                    continue;
                }
            };
            *count = count.saturating_add(1);
            let why = match is_on {
                true if is_rule(&args) => {
                    list.push(args);
                    continue;
                }
                true => "it is about no address, in SRS either",
                false => "without `enabled on` SRS does not look at it",
            };
            let text = format!("{}: {why}", super::shown(directive));
            rules.lost.push(Line::Lost(text));
        }
        for access in ["publish", "play"] {
            let is_named = |rule: &String| rule.starts_with(access);
            // Something is allowed, and so the rest is not; or something is denied, and so the rest is
            // allowed; or there is nothing, and nobody may do anything.
            let is_denied = allows > 0 || denies == 0;
            let all = format!("{access} all");
            if rules.allow.iter().any(is_named) || rules.deny.contains(&all) {
                continue;
            }
            rules.completed = true;
            match is_denied {
                true => rules.deny.push(all),
                false => rules.allow.push(all),
            }
        }
        rules
    }

    fn note(&self) -> Option<&'static str> {
        self.completed
            .then_some("also what SRS makes of a rule that is not there")
    }
}

/// Whether both SRS and the configuration know such a rule.
fn is_rule(rule: &str) -> bool {
    let (_, peers) = rule.split_once(' ').unwrap_or_default();
    let is_ours = matches!(peers, "private" | "loopback");
    let text = format!("security.allow = {}", keys::quoted(rule));
    !is_ours && Config::parse(&text, "").is_ok()
}
