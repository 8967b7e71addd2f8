//! Fan-out. Locks and queues; no sockets, no files.
