//! Spellings of SRS 1 and 2, which SRS still takes.

use super::syntax::Directive;

/// What stood in the vhost itself: its name then, its block and its name now.
const MOVED: &[(&str, &str, &str)] = &[
    ("mode", "cluster", "mode"),
    ("origin", "cluster", "origin"),
    ("token_traverse", "cluster", "token_traverse"),
    ("vhost", "cluster", "vhost"),
    ("debug_srs_upnode", "cluster", "debug_srs_upnode"),
    ("gop_cache", "play", "gop_cache"),
    ("gop_cache_max_frames", "play", "gop_cache_max_frames"),
    ("mw_latency", "play", "mw_latency"),
    ("queue_length", "play", "queue_length"),
    ("time_jitter", "play", "time_jitter"),
    ("mix_correct", "play", "mix_correct"),
    ("atc", "play", "atc"),
    ("atc_auto", "play", "atc_auto"),
    ("send_min_interval", "play", "send_min_interval"),
    ("reduce_sequence_header", "play", "reduce_sequence_header"),
    ("publish_1stpkt_timeout", "publish", "firstpkt_timeout"),
    ("publish_normal_timeout", "publish", "normal_timeout"),
];

/// The present name of a directive of the process.
pub(super) fn current(name: &str) -> &str {
    match name {
        "http_stream" => "http_server",
        name => name,
    }
}

/// The directives of a vhost as SRS 3 and later spell them.
pub(super) fn modern(vhost: &[Directive]) -> Vec<Directive> {
    let (old, mut all): (Vec<_>, Vec<_>) = vhost
        .iter()
        .cloned()
        .partition(|directive| place(directive).is_some());
    for mut directive in old {
        if let Some((block, name)) = place(&directive) {
            name.clone_into(&mut directive.name);
            put(&mut all, block, directive);
        }
    }
    all
}

/// Block and name of what stood in the vhost itself.
fn place(directive: &Directive) -> Option<(&'static str, &'static str)> {
    let mut moved = MOVED.iter().filter(|_| directive.block.is_none());
    moved.find_map(|&(old, block, name)| (old == directive.name).then_some((block, name)))
}

/// Puts a directive into the block that is called so, in the place of one of its name.
fn put(all: &mut Vec<Directive>, block: &str, directive: Directive) {
    let mut blocks = all.iter_mut().filter(|own| own.name == block);
    let Some(inner) = blocks.find_map(|own| own.block.as_mut()) else {
        all.push(Directive {
            name: block.to_owned(),
            args: Vec::new(),
            place: directive.place.clone(),
            block: Some(vec![directive]),
        });
        return;
    };
    match inner.iter_mut().find(|own| own.name == directive.name) {
        Some(own) => *own = directive,
        None => inner.push(directive),
    }
}
