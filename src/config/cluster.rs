//! `[cluster]`: where streams come from that are not published here.

use super::document::Document;
use super::{Cluster, ListenAddress, Mode, OriginAddress, value};

const ADDRESSES: &str = "the address of an origin (\"10.0.0.1:19350\", \"[::1]:19350\", \
                         \"origin.example\"), or a list of those";

/// The block; mistakes stay with the document.
pub(super) fn cluster(file: &mut Document<'_>, listen: &[ListenAddress]) -> Cluster {
    let mode = mode(file);
    let is_edge = mode == Mode::Remote;
    let mut addresses = |key| file.read_list(key, vec![], ADDRESSES, value::origin_address);
    let origins = addresses("cluster.origin");
    let coworkers = addresses("cluster.coworkers");
    let redirects = addresses("cluster.redirects");
    let token_traverse = file.switch("cluster.token_traverse", false);
    let is_cluster = file.switch("cluster.origin_cluster", false);
    // What does not count for a vhost may stand at the top level, for others.
    let says = |key| file.says(key);
    let wrong = [
        (
            token_traverse && !is_edge && says("cluster.token_traverse"),
            "cluster.token_traverse",
            "an origin asks nobody; remove it, or write `mode = \"remote\"` for an edge",
        ),
        (
            !origins.is_empty() && !is_edge && says("cluster.origin"),
            "cluster.origin",
            "an origin has no origin; remove it, or write `mode = \"remote\"` for an edge",
        ),
        (
            origins.is_empty() && is_edge,
            "cluster.mode",
            "an edge needs its origin; add `origin = [\"host:port\"]` to [cluster]",
        ),
        (
            is_cluster && is_edge && says("cluster.origin_cluster"),
            "cluster.origin_cluster",
            "is for origins; remove it: an edge names them all in `origin`",
        ),
        (
            is_cluster && !is_edge && coworkers.is_empty(),
            "cluster.origin_cluster",
            "a cluster has other origins; add `coworkers = [\"host:port\"]` to [cluster]",
        ),
        (
            !coworkers.is_empty() && !is_cluster && says("cluster.coworkers"),
            "cluster.coworkers",
            "counts in a cluster only; add `origin_cluster = true`",
        ),
    ];
    for (_, key, message) in wrong.into_iter().filter(|(wrong, ..)| *wrong) {
        file.refuse(key, message);
    }
    let (key, who, origins) = match (is_edge, is_cluster) {
        (true, _) => ("cluster.origin", "edge", origins),
        (false, true) => ("cluster.coworkers", "origin", coworkers),
        (false, false) => ("", "", Vec::new()),
    };
    refuse_loops(file, (key, who), &origins, listen);
    Cluster {
        mode,
        origins,
        redirects,
        token_traverse: token_traverse && is_edge,
        vhost: transform(file),
    }
}

fn transform(file: &mut Document<'_>) -> String {
    let expected = "the name of a vhost, in which [vhost] stands for ours";
    let same = Cluster::SAME_VHOST.to_owned();
    file.read("cluster.vhost", same, expected, |value| {
        value::vhost_transform(value).map(str::to_owned)
    })
}

fn mode(file: &mut Document<'_>) -> Mode {
    file.read(
        "cluster.mode",
        Mode::Local,
        "\"local\" (an origin) or \"remote\" (an edge)",
        |value| match value.as_str()? {
            "local" => Some(Mode::Local),
            "remote" => Some(Mode::Remote),
            _ => None,
        },
    )
}

fn refuse_loops(
    file: &mut Document<'_>,
    (key, who): (&'static str, &str),
    origins: &[OriginAddress],
    listen: &[ListenAddress],
) {
    for origin in origins.iter().filter(|origin| is_own(origin, listen)) {
        let message = format!(
            "a loop: {}:{} is where this {who} listens; name the origin's port, or listen on another",
            origin.host, origin.port
        );
        file.refuse(key, &message);
    }
}

/// Whether a connection to the origin would be one to ourselves, as far as the file tells. The
/// rest is found by counting hops.
fn is_own(origin: &OriginAddress, listen: &[ListenAddress]) -> bool {
    let ip = match origin.host.as_str() {
        "localhost" => Some([127, 0, 0, 1].into()),
        host => host.parse::<std::net::IpAddr>().ok(),
    };
    let Some(ip) = ip.map(|ip| ip.to_canonical()) else {
        return false;
    };
    // To connect to the unspecified address is to connect to loopback.
    let is_local = ip.is_loopback() || ip.is_unspecified();
    listen
        .iter()
        .filter(|own| own.port == origin.port)
        .any(|own| match own.ip.map(|ip| ip.to_canonical()) {
            None => is_local,
            Some(own) if own.is_unspecified() => is_local && own.is_ipv4() == ip.is_ipv4(),
            Some(own) => own == ip || (own.is_loopback() && ip.is_unspecified()),
        })
}
