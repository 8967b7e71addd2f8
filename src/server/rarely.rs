//! What peers can make happen as often as they like is logged now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits;

/// One kind of event.
#[derive(Debug, Default)]
pub struct Rarely(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Rarely {
    /// Counts an event; if it is to be logged, how many before it were not.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |said| now.saturating_duration_since(said) < limits::REPEATED_LOG;
        if state.said.is_some_and(lately) {
            state.unsaid = state.unsaid.saturating_add(1);
            return None;
        }
        state.said = Some(now);
        Some(core::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_others_are_counted() {
        let rarely = Rarely::default();
        let now = Instant::now();
        assert_eq!(rarely.count(now), Some(0));
        assert_eq!([rarely.count(now), rarely.count(now)], [None; 2]);
        let later = now + limits::REPEATED_LOG;
        assert_eq!(rarely.count(later), Some(2));
        assert_eq!(rarely.count(later), None);
    }
}
