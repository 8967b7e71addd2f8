//! What can be asked for at the API's port.

/// A path that exists. Its id may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Path<'a> {
    Metrics,
    /// The list of the others.
    Root,
    Versions,
    Summaries,
    Rusages,
    SelfProcStats,
    Overview,
    List(Things),
    /// One of them, by its id.
    One(Things, &'a str),
}

/// What there may be many of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Things {
    Vhosts,
    Streams,
    Clients,
}

impl<'a> Path<'a> {
    /// With or without a slash at the end, as with SRS.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        if path == "/metrics" {
            return Some(Self::Metrics);
        }
        let path = path.strip_prefix("/api/")?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = match path.split_once('/') {
            None if matches!(path, "" | "v1") => return Some(Self::Root),
            Some(("v1", path)) => path,
            _ => return None,
        };
        Some(match path.split_once('/') {
            Some(("vhosts", id)) => Self::One(Things::Vhosts, id),
            Some(("streams", id)) => Self::One(Things::Streams, id),
            Some(("clients", id)) => Self::One(Things::Clients, id),
            Some(_) => return None,
            None => match path {
                "versions" => Self::Versions,
                "summaries" => Self::Summaries,
                "rusages" => Self::Rusages,
                "self_proc_stats" => Self::SelfProcStats,
                "overview" => Self::Overview,
                "vhosts" => Self::List(Things::Vhosts),
                "streams" => Self::List(Things::Streams),
                "clients" => Self::List(Things::Clients),
                _ => return None,
            },
        })
    }

    /// What can be done with it.
    pub(super) const fn methods(&self) -> &'static str {
        if matches!(self, Self::One(Things::Clients, _)) {
            "GET, HEAD, OPTIONS, DELETE"
        } else {
            "GET, HEAD, OPTIONS"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_and_without_a_slash() {
        let cases = [
            ("/metrics", Some(Path::Metrics)),
            ("/api/", Some(Path::Root)),
            ("/api/v1", Some(Path::Root)),
            ("/api/v1/", Some(Path::Root)),
            ("/api/v1/streams", Some(Path::List(Things::Streams))),
            ("/api/v1/streams/", Some(Path::List(Things::Streams))),
            ("/api/v1/streams/a", Some(Path::One(Things::Streams, "a"))),
            ("/api/v1/clients/a/", Some(Path::One(Things::Clients, "a"))),
            ("/api/v1/vhosts/a", Some(Path::One(Things::Vhosts, "a"))),
            ("/", None),
            ("/api", None),
            ("/api/v2/streams", None),
            ("/api/v1/raw", None),
            ("/api/v1/versions/a", None),
            ("*", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Path::parse(path), expected, "{path}");
        }
    }
}
