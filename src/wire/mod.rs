//! Bytes ↔ values. Stateless, and no I/O.

pub mod aggregate;
pub mod amf0;
pub mod flv;
pub mod handshake;
pub mod name;
pub mod reader;
