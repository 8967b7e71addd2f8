//! Bytes ↔ values. Stateless, and no I/O.

pub mod aggregate;
pub mod flv;
pub mod reader;
