//! Names of keys, and which of them an unknown one may have meant.

/// The block of a key path: `play` of `play.gop_cache`, nothing of `listen`.
pub(super) fn block(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(block, _)| block)
}

fn name(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// Whether the key path leads into `block`, or a block of that.
pub(super) fn is_in(path: &str, block: &str) -> bool {
    let rest = path.strip_prefix(block);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// The known key or block that is nearest to `path`, if one is near enough to be meant.
pub(super) fn nearest(path: &str, known: &[&'static str]) -> Option<&'static str> {
    let blocks = known.iter().map(|key| block(key));
    let candidates = known.iter().copied().chain(blocks);
    candidates
        .map(|candidate| (distance_of_paths(path, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= name(candidate).len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A key in the wrong block is as good as a key with one wrong letter.
fn distance_of_paths(one: &str, other: &str) -> usize {
    let elsewhere = usize::from(block(one) != block(other));
    distance(name(one), name(other)).saturating_add(elsewhere)
}

/// Characters to insert, remove or replace to turn `one` into `other` (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, left) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index.saturating_add(1);
        let mut next_row = vec![previous];
        for (right, above) in other.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(left != right));
            previous = replaced
                .min(above.saturating_add(1))
                .min(previous.saturating_add(1));
            diagonal = *above;
            next_row.push(previous);
        }
        row = next_row;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "listen",
        "max_connections",
        "cluster.origin",
        "play.gop_cache",
    ];

    #[test]
    fn distances_are_levenshteins() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("origin", "orgin", 1),
            ("play", "paly", 2),
        ];
        for (one, other, expected) in cases {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_key_is_found_also_in_another_block() {
        let cases = [
            ("lisen", Some("listen")),
            ("cluster.orgin", Some("cluster.origin")),
            ("clustr", Some("cluster")),
            ("gop_cache", Some("play.gop_cache")),
            ("play.max_connections", Some("max_connections")),
            ("colour", None),
        ];
        for (path, expected) in cases {
            assert_eq!(nearest(path, KNOWN), expected, "{path}");
        }
    }
}
