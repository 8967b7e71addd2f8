//! How a stream's players come to the thread that writes to them, and that to its end.

use std::sync::Arc;

use crate::hub::stream::{Bell, Stream};

impl<W> Stream<W> {
    /// Gives a player's writing end to the sender. If there is none, `start` starts it, under the
    /// stream's lock, so that a sender is never missed and never there twice.
    ///
    /// # Errors
    ///
    /// `start` failed: the player is not handed over.
    pub fn hand_over<E>(
        &self,
        writer: W,
        start: impl FnOnce() -> Result<Arc<dyn Bell>, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let bell = match &state.sender {
            Some(bell) => Arc::clone(bell),
            None => Arc::clone(state.sender.insert(start()?)),
        };
        state.joining.push(writer);
        state.handed = state.handed.saturating_add(1);
        drop(state);
        bell.ring();
        Ok(())
    }

    /// The sender takes over who has been handed to it since it last did.
    pub fn take_over(&self, players: &mut Vec<W>) {
        players.append(&mut self.lock().joining);
    }

    /// The sender has let `count` players go.
    pub fn parted(&self, count: usize) {
        let mut state = self.lock();
        state.handed = state.handed.saturating_sub(count);
    }

    /// Lets the sender end if it has no player and none is on its way.
    pub fn retire_sender(&self) -> bool {
        let mut state = self.lock();
        let done = state.handed == 0;
        if done {
            state.sender = None;
        }
        done
    }

    /// The sender is gone without having retired: its players are lost, the stream goes on.
    pub fn sender_failed(&self) {
        let mut state = self.lock();
        state.sender = None;
        state.handed = 0;
        state.players.clear();
        let joining = core::mem::take(&mut state.joining);
        drop(state);
        // Not under the lock: to drop a player may take others.
        drop(joining);
    }
}
