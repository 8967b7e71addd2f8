//! Bytes ↔ values. Stateless, and no I/O.

pub mod aggregate;
pub mod amf0;
pub mod chunk;
pub mod command;
pub mod control;
pub mod flv;
pub mod flv_file;
pub mod handshake;
pub mod http;
pub mod http_path;
pub mod message;
pub mod name;
pub mod reader;
