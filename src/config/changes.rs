//! What of a configuration can change while the process runs, and what has.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Config;

/// What each key of a file means, defaults too: enough to tell which have changed, and nothing of what
/// is secret.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Values(BTreeMap<String, u64>);

/// The keys that a file that was read again has changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Those that count from now on.
    pub now: Vec<String>,
    /// Those that count from the next start on.
    pub at_start: Vec<String>,
}

/// A key that counts from the next start on.
struct Fixed {
    key: &'static str,
    /// Blocks that mean something else once it has changed: they wait, too.
    blocks: &'static [&'static str],
    /// Keeps what is so now.
    keep: fn(&mut Config, &Config),
}

const FIXED: &[Fixed] = &[
    fixed("listen", |new, now| new.listen.clone_from(&now.listen)),
    fixed("user", |new, now| new.user.clone_from(&now.user)),
    fixed("group", |new, now| new.group.clone_from(&now.group)),
    fixed("run_dir", |new, now| new.run_dir.clone_from(&now.run_dir)),
    fixed("pid", |new, now| new.pid.clone_from(&now.pid)),
    fixed("srs_log_tank", keep_log_file),
    fixed("srs_log_file", keep_log_file),
    Fixed {
        key: "http_server.enabled",
        blocks: &["http_server.", "http_remux."],
        keep: |new, now| {
            new.http_server.clone_from(&now.http_server);
            for (name, vhost) in new.vhosts_mut() {
                vhost.remux = now.vhost(name).remux;
            }
        },
    },
    fixed("http_server.listen", |new, now| {
        if let Some((new, now)) = new.http_server.as_mut().zip(now.http_server.as_ref()) {
            new.listen.clone_from(&now.listen);
        }
    }),
    Fixed {
        key: "http_api.enabled",
        blocks: &["http_api."],
        keep: |new, now| new.http_api.clone_from(&now.http_api),
    },
    fixed("http_api.listen", |new, now| {
        if let Some((new, now)) = new.http_api.as_mut().zip(now.http_api.as_ref()) {
            new.listen.clone_from(&now.listen);
        }
    }),
];

const fn fixed(key: &'static str, keep: fn(&mut Config, &Config)) -> Fixed {
    Fixed {
        key,
        blocks: &[],
        keep,
    }
}

fn keep_log_file(new: &mut Config, now: &Config) {
    new.log.file.clone_from(&now.log.file);
}

/// An edge stays one, and an origin, too. The beginnings of the keys that wait with that.
fn keep_modes(new: &mut Config, now: &Config) -> Vec<String> {
    let mut waiting = Vec::new();
    for (name, vhost) in new.vhosts_mut() {
        let known = now.vhost(name);
        let is_known = name.is_none_or(|name| now.vhosts.contains_key(name));
        if is_known && vhost.cluster.mode != known.cluster.mode {
            vhost.cluster.clone_from(&known.cluster);
            waiting.push(Values::key(name, "cluster."));
        }
    }
    waiting
}

/// The key without the vhost's name, in which there are no quotation marks.
fn in_any_vhost(key: &str) -> &str {
    key.rsplit_once("\".").map_or(key, |(_vhost, key)| key)
}

impl Values {
    /// How `key` of a vhost is called.
    pub(super) fn key(vhost: Option<&str>, key: &str) -> String {
        match vhost {
            None => key.to_owned(),
            Some(name) => format!("vhost.{name:?}.{key}"),
        }
    }

    /// Remembers what `key` means. Of what is said twice, both count.
    pub(super) fn note(&mut self, key: &str, value: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.0.get(key), value).hash(&mut hasher);
        self.0.insert(key.to_owned(), hasher.finish());
    }

    /// The keys that mean something else in `other`, or are in one of them only.
    fn changed(&self, other: &Self) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let changed = keys
            .into_iter()
            .filter(|key| self.0.get(*key) != other.0.get(*key));
        changed.cloned().collect()
    }

    /// Takes over what `key` means in `other`.
    fn keep(&mut self, key: &str, other: &Self) {
        match other.0.get(key) {
            Some(value) => self.0.insert(key.to_owned(), *value),
            None => self.0.remove(key),
        };
    }
}

impl Config {
    /// What has changed since `now` was read, which the process runs by. What counts from the next
    /// start on is made as it is there.
    pub fn succeed(&mut self, values: &mut Values, now: (&Self, &Values)) -> Changes {
        let (config, known) = now;
        let changed = known.changed(values);
        let of_key = |fixed: &&Fixed| changed.iter().any(|key| key == fixed.key);
        let fixed: Vec<_> = FIXED.iter().filter(of_key).collect();
        for fixed in &fixed {
            (fixed.keep)(self, config);
        }
        let modes = keep_modes(self, config);
        let waits = |key: &String| {
            let of_fixed = fixed.iter().any(|fixed| {
                let mut blocks = fixed.blocks.iter();
                key == fixed.key || blocks.any(|block| in_any_vhost(key).starts_with(block))
            });
            of_fixed || modes.iter().any(|block| key.starts_with(block))
        };
        let (at_start, now): (Vec<_>, Vec<_>) = changed.iter().cloned().partition(waits);
        for key in &at_start {
            values.keep(key, known);
        }
        Changes { now, at_start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_wait_for_a_start_exist() {
        let keys = Config::keys();
        for fixed in FIXED {
            assert!(keys.contains(&fixed.key), "{}", fixed.key);
            for block in fixed.blocks {
                assert!(keys.iter().any(|key| key.starts_with(block)), "{block}");
            }
        }
    }

    #[test]
    fn a_block_of_a_vhost_waits_like_that_of_the_default_one() {
        let key = Values::key(Some("a.test"), "http_remux.enabled");
        assert_eq!(in_any_vhost(&key), "http_remux.enabled");
        let key = Values::key(None, "http_remux.enabled");
        assert_eq!(in_any_vhost(&key), "http_remux.enabled");
    }
}
