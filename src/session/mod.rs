//! What bytes mean: state machines that own no socket, clock or thread.

pub mod acknowledgement;
pub mod action;
pub mod assembler;
pub mod client;
pub mod connect;
pub mod error;
pub mod media;
pub mod server;
