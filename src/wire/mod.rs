//! Bytes ↔ values. Stateless, and no I/O.

pub mod chunk;
pub mod command;
pub mod control;
pub mod message;
pub mod reader;
