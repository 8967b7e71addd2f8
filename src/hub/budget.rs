//! The bytes of peers' messages that the process holds at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits;

/// What all streams and connections share. Taken before memory is used, given back on drop.
#[derive(Debug)]
pub struct Budget {
    most: AtomicUsize,
    used: AtomicUsize,
}

/// Who takes from a budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Share {
    /// Who may not publish or play yet: they must not leave nothing to those who do.
    Early,
    /// A stream.
    Stream,
}

/// Bytes taken from a budget, until it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
        }
    }

    /// It is `most` bytes from now on. What is taken stays so.
    pub fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Takes nothing, for [`Charge::resize`].
    pub fn open(self: &Arc<Self>) -> Charge {
        Charge {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Takes so many bytes for a stream, if they are there.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut charge = self.open();
        charge.resize(bytes, Share::Stream).then_some(charge)
    }

    /// Whether so much is taken that what can be done without should be.
    pub fn is_tight(&self) -> bool {
        let most = self.most(Share::Stream).div_ceil(4);
        let most = most.saturating_mul(limits::TIGHT_QUARTERS);
        self.used.load(Ordering::Relaxed) > most
    }

    fn most(&self, share: Share) -> usize {
        let most = self.most.load(Ordering::Relaxed);
        match share {
            Share::Early => most.div_ceil(4),
            Share::Stream => most,
        }
    }
}

impl Charge {
    /// Changes how much is taken. To less always succeeds; `false`: nothing was changed, since more is
    /// not there.
    pub fn resize(&mut self, bytes: usize, share: Share) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            self.set(bytes);
            return true;
        };
        let most = self.budget.most(share);
        let grow = |used: usize| used.checked_add(more).filter(|used| *used <= most);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let taken = more == 0 || self.budget.used.fetch_update(set, get, grow).is_ok();
        if taken {
            self.bytes = bytes;
        }
        taken
    }

    /// Says how much is used already, whether it is there or not.
    pub fn set(&mut self, bytes: usize) {
        let used = &self.budget.used;
        if bytes > self.bytes {
            used.fetch_add(bytes.saturating_sub(self.bytes), Ordering::Relaxed);
        } else {
            used.fetch_sub(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// See [`Budget::is_tight`].
    pub fn is_tight(&self) -> bool {
        self.budget.is_tight()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_can_be_taken_and_no_more_and_comes_back() {
        let budget = Arc::new(Budget::new(100));
        let first = budget.take(60).unwrap();
        let mut second = budget.take(40).unwrap();
        assert!(budget.take(1).is_none());
        assert!(!second.resize(41, Share::Stream));
        assert!(second.resize(10, Share::Stream));
        assert!(second.resize(40, Share::Stream));
        drop(first);
        assert!(budget.take(60).is_some());
        drop(second);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_early_leave_three_quarters() {
        let budget = Arc::new(Budget::new(100));
        let mut early = budget.open();
        assert!(early.resize(25, Share::Early));
        assert!(!early.resize(26, Share::Early));
        let _stream = budget.take(75).unwrap();
        assert!(!budget.open().resize(1, Share::Early));
    }

    #[test]
    fn it_is_tight_before_it_is_empty_and_counts_what_was_used_anyhow() {
        let budget = Arc::new(Budget::new(100));
        let mut charge = budget.take(75).unwrap();
        assert!(!charge.is_tight());
        charge.set(120);
        assert!(charge.is_tight());
        assert!(budget.take(1).is_none());
        assert!(charge.resize(100, Share::Stream));
        drop(charge);
        assert!(budget.take(100).is_some());
    }
}
