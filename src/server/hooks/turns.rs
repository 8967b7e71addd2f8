//! So many at a time, and not too many at one server; the others get their turn in the order in which
//! they came.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};

use crate::config::OriginAddress;
use crate::limits;
use crate::server::connection::deadline;

/// The turns of [`limits::MAX_HOOK_ASKS`].
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that are taken, by who is asked.
    taken: HashMap<OriginAddress, usize>,
    /// Numbers whoever waits.
    next: u64,
    /// Nobody here could have a turn: there is none, or none at who is to be asked.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    server: OriginAddress,
    call: Sender<()>,
}

impl State {
    fn is_free(&self, server: &OriginAddress) -> bool {
        let all: usize = self.taken.values().sum();
        let here = self.taken.get(server).copied().unwrap_or_default();
        all < limits::MAX_HOOK_ASKS && here < limits::MAX_HOOK_ASKS_EACH
    }

    fn take(&mut self, server: &OriginAddress) {
        let taken = self.taken.entry(server.clone()).or_default();
        *taken = taken.saturating_add(1);
    }

    fn give_back(&mut self, server: &OriginAddress) {
        if let Some(taken) = self.taken.get_mut(server) {
            *taken = taken.saturating_sub(1);
        }
        self.taken.retain(|_, taken| *taken > 0);
    }
}

/// A turn, given back on drop.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    server: OriginAddress,
}

impl Turns {
    /// Waits for a turn to ask `server`, until `until` or until `has_left`; `None`: it did not come.
    pub(super) fn take(
        &self,
        server: &OriginAddress,
        until: Instant,
        has_left: &dyn Fn() -> bool,
    ) -> Option<Turn<'_>> {
        let turn = || Turn {
            turns: self,
            server: server.clone(),
        };
        let mut state = self.state();
        if state.is_free(server) {
            state.take(server);
            return Some(turn());
        }
        let (call, called) = bounded(1);
        let me = state.next;
        state.next = me.wrapping_add(1);
        state.waiting.push_back(Waiting {
            number: me,
            server: server.clone(),
            call,
        });
        drop(state);
        while Instant::now() < until && !has_left() {
            let look = deadline(limits::POLL).min(until);
            if called.recv_deadline(look).is_ok() {
                return Some(turn());
            }
        }
        let mut state = self.state();
        // Called at the last moment, it is ours; otherwise nobody calls any more.
        if called.try_recv().is_ok() {
            return Some(turn());
        }
        state.waiting.retain(|other| other.number != me);
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.give_back(&self.server);
        let mut waiting = state.waiting.iter();
        let next = waiting.position(|one| state.is_free(&one.server));
        if let Some(next) = next.and_then(|next| state.waiting.remove(next)) {
            state.take(&next.server);
            // There is room for one call, and it is heard: who leaves takes itself off the list.
            let _ = next.call.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const FAR: Duration = Duration::from_secs(20);

    fn server(port: u16) -> OriginAddress {
        let host = "a".to_owned();
        OriginAddress { host, port }
    }

    /// Takes those of one server.
    fn taken(turns: &Turns, port: u16) -> Vec<Turn<'_>> {
        let take = |_| turns.take(&server(port), Instant::now(), &|| false);
        (0..limits::MAX_HOOK_ASKS_EACH)
            .map(|at| take(at).unwrap())
            .collect()
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
        let mut all = [1, 2].map(|port| taken(&turns, port));
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..10 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let turn = turns.take(&server(3), deadline(FAR), &|| false);
                    order.lock().unwrap().push((number, turn.is_some()));
                });
                wait_for(turns, number + 1);
            }
            all[0].pop();
        });
        let expected: Vec<_> = (0..10).map(|number| (number, true)).collect();
        assert_eq!(*order.lock().unwrap(), expected);
        drop(all);
        drop([1, 2].map(|port| taken(&turns, port)));
        assert!(turns.state().taken.is_empty());
    }

    #[test]
    fn who_does_not_wait_any_longer_is_not_called() {
        let turns = Turns::default();
        let all = [1, 2].map(|port| taken(&turns, port));
        assert!(turns.take(&server(3), Instant::now(), &|| false).is_none());
        assert!(turns.take(&server(3), deadline(FAR), &|| true).is_none());
        assert!(turns.state().waiting.is_empty());
        drop(all);
        assert!(turns.take(&server(3), Instant::now(), &|| false).is_some());
    }

    #[test]
    fn a_slow_server_leaves_turns_to_others() {
        let turns = Turns::default();
        let mut slow = taken(&turns, 1);
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| turns.take(&server(1), deadline(FAR), &|| false).is_some());
            wait_for(&turns, 1);
            // Whoever came later, and asks another one, does not wait.
            let others = taken(&turns, 2);
            drop(others);
            assert_eq!(turns.state().waiting.len(), 1);
            slow.pop();
            assert!(waiting.join().unwrap());
        });
    }
}
