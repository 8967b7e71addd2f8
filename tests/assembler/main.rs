//! Chunks to messages, through the assembler's public face.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod chunks;
mod headers;
mod interleaving;
mod limits;
mod reference;
mod timestamps;
