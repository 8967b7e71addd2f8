//! Threads, sockets and files: the only layer that blocks.

pub mod capacity;
pub mod log;
pub mod pid;
pub mod port;
mod proc_net;
pub mod signals;
