//! Bytes ↔ values. Stateless, and no I/O.

pub mod reader;
