//! So many at a time; the others get their turn in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};

use crate::limits;
use crate::server::connection::deadline;

/// The turns of [`limits::MAX_HOOK_ASKS`].
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Numbers whoever waits.
    next: u64,
    waiting: VecDeque<(u64, Sender<()>)>,
}

/// A turn, given back on drop.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// Waits for a turn, until `until` or until `has_left`; `None`: it did not come.
    pub(super) fn take(&self, until: Instant, has_left: &dyn Fn() -> bool) -> Option<Turn<'_>> {
        let mut state = self.state();
        if state.taken < limits::MAX_HOOK_ASKS {
            state.taken = state.taken.saturating_add(1);
            return Some(Turn(self));
        }
        let (call, called) = bounded(1);
        let me = state.next;
        state.next = me.wrapping_add(1);
        state.waiting.push_back((me, call));
        drop(state);
        while Instant::now() < until && !has_left() {
            let look = deadline(limits::POLL).min(until);
            if called.recv_deadline(look).is_ok() {
                return Some(Turn(self));
            }
        }
        let mut state = self.state();
        // Called at the last moment, it is ours; otherwise nobody calls any more.
        if called.try_recv().is_ok() {
            return Some(Turn(self));
        }
        state.waiting.retain(|(other, _)| *other != me);
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.waiting.pop_front() {
            // There is room for one call, and it is heard: who leaves takes itself off the list.
            Some((_, next)) => drop(next.try_send(())),
            None => state.taken = state.taken.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const FAR: Duration = Duration::from_secs(20);

    /// Takes all but none.
    fn taken(turns: &Turns) -> Vec<Turn<'_>> {
        let take = |_| turns.take(Instant::now(), &|| false).unwrap();
        (0..limits::MAX_HOOK_ASKS).map(take).collect()
    }

    fn wait_for(turns: &Turns, waiting: usize) {
        let far = deadline(FAR);
        while turns.state().waiting.len() != waiting {
            assert!(Instant::now() < far, "they do not wait");
            thread::yield_now();
        }
    }

    #[test]
    fn those_who_wait_get_their_turn_in_order() {
        let turns = Turns::default();
        let mut all = taken(&turns);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..10 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let turn = turns.take(deadline(FAR), &|| false);
                    order.lock().unwrap().push((number, turn.is_some()));
                });
                wait_for(turns, number + 1);
            }
            all.pop();
        });
        let expected: Vec<_> = (0..10).map(|number| (number, true)).collect();
        assert_eq!(*order.lock().unwrap(), expected);
        drop(all);
        drop(taken(&turns));
        assert_eq!(turns.state().taken, 0);
    }

    #[test]
    fn who_does_not_wait_any_longer_is_not_called() {
        let turns = Turns::default();
        let all = taken(&turns);
        assert!(turns.take(Instant::now(), &|| false).is_none());
        assert!(turns.take(deadline(FAR), &|| true).is_none());
        assert!(turns.state().waiting.is_empty());
        drop(all);
        assert!(turns.take(Instant::now(), &|| false).is_some());
    }
}
