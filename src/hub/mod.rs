//! Fan-out. Locks and queues; no sockets, no files, no threads.
//!
//! Locks: the registry's (on publish, attach and their ends) and one per stream (per batch of
//! frames), taken in that order, and never across I/O.

pub mod budget;
pub mod cache;
pub mod clock;
pub mod frame;
mod handover;
pub mod queue;
pub mod registry;
pub mod status;
pub mod stream;
pub mod tally;
