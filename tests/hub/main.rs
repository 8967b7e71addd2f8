//! Fan-out: what players get, who may publish, and that nothing is left behind.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test fails the test"
)]

mod joins;
mod lifetimes;
mod opening;
mod publishers;
mod queue;
mod senders;
mod support;
