//! Threads, sockets and files: the only layer that blocks.
