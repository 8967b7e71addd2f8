//! What follows `?`, as SRS understands it.

use serde_json::Value;

/// Which part of a list is wanted, and of whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Query {
    /// How many are left out before it.
    start: usize,
    /// How many there are at most.
    count: usize,
    /// Also what siblings have. Not in SRS.
    pub(super) all: bool,
}

impl Query {
    /// As SRS does, ten if the query does not say more; what is no number is none.
    pub(super) fn parse(query: &str) -> Self {
        let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
        let find = |name| pairs().find(|&(known, _)| known == name);
        let number = |name| find(name).and_then(|(_, value)| value.parse().ok());
        Self {
            start: number("start").unwrap_or(0),
            count: number("count").unwrap_or(0).max(10),
            all: find("all").is_some_and(|(_, value)| value == "1"),
        }
    }

    /// That part.
    pub(super) fn page(self, list: Vec<Value>) -> Vec<Value> {
        list.into_iter().skip(self.start).take(self.count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_srs() {
        let cases = [
            ("", (0, 10, false)),
            ("start=3&count=20", (3, 20, false)),
            ("count=5", (0, 10, false)),
            ("start=-1&count=x&all=1", (0, 10, true)),
            ("all=0&start=99999999999999999999999", (0, 10, false)),
            ("all", (0, 10, false)),
        ];
        for (query, (start, count, all)) in cases {
            let expected = Query { start, count, all };
            assert_eq!(Query::parse(query), expected, "{query}");
        }
    }
}
