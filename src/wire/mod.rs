//! Bytes ↔ values. Stateless, and no I/O.

pub mod aac;
pub mod aggregate;
pub mod amf0;
pub mod announcement;
pub mod avc;
pub mod chunk;
pub mod codec;
pub mod command;
pub mod control;
pub mod flv;
pub mod flv_file;
pub mod handshake;
pub mod http;
pub mod http_client;
pub mod http_path;
pub mod m3u8;
pub mod message;
pub mod mp3;
pub mod mpegts;
pub mod name;
pub mod reader;
pub mod sps;
pub mod url;
pub mod vhost;
