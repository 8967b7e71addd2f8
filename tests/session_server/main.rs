//! The server's side of a conversation, message by message.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod answers;
mod media;
mod peer;
mod refused;
