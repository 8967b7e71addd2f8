//! C: chunks, and messages about the connection.
