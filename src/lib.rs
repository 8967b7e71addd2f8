//! srs-lite: an RTMP relay that a person can read in an afternoon and trust on the open internet.
//!
//! Read in this order: [`limits`], [`wire`], [`session`], [`hub`], [`server`].
//!
//! | layer | what it is | what it may touch |
//! |---|---|---|
//! | [`limits`] | every bound on what a peer can make us hold | nothing |
//! | [`wire`] | bytes ↔ values | bytes |
//! | [`session`] | what bytes mean: state machines | wire |
//! | [`hub`] | fan-out: one stream's frames to its players | locks and queues |
//! | [`config`] | the configuration file | its text |
//! | `from_srs` | SRS's configuration file, for `--from-srs` | its text, files that it includes |
//! | [`server`] | threads, sockets, files: the only layer that blocks | all of the above |
//!
//! # The way of a media message
//!
//! A publisher's thread ([`server::rtmp`]) reads bytes; [`session::assembler`] makes messages of
//! them and [`session::server`] says what they mean; [`hub::stream::Stream`] puts each into
//! the bounded queues of its players, and waits for none. The stream's own thread
//! ([`server::sender`]) empties these queues into the sockets, once per merge time. An edge's
//! pull ([`server::edge::pull`]) is one more publisher; a stream that an edge forwards
//! ([`server::edge::forward`]) has one player, the origin.
//!
//! # Threat model
//!
//! Trusted: the configuration file, the filesystem, and the origins it names (for what they relay,
//! not for how they format it). Not trusted: every byte from a peer, before and after `publish`.
//! Promised: no panic and no unbounded memory from the network, and no peer can stop another.

pub mod config;
#[cfg(feature = "from-srs")]
pub mod from_srs;
pub mod hls;
pub mod hub;
pub mod limits;
pub mod server;
pub mod session;
pub mod wire;

#[doc(hidden)]
pub mod fuzzing;
