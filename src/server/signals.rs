//! Signals become events that one thread, main's, acts upon.

use core::fmt;
use std::io;
use std::thread::Builder;

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::signal::{SigSet, Signal};

use crate::limits;

/// Events that wait for main. More of them than main has not seen say nothing new.
const EVENTS: usize = 16;

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// SIGINT or SIGTERM: end now.
    Stop,
    /// SIGQUIT: accept nothing more, and end when the connections have, or have had their time.
    Drain,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: open the log file again.
    ReopenLog,
}

/// Why the signals cannot be received.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignalError {
    /// They cannot be blocked.
    Block(nix::Error),
    /// There is no thread for them.
    Thread(io::Error),
    /// SIGINT cannot be handled.
    Interrupt(ctrlc::Error),
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(error) => write!(f, "signals cannot be blocked: {error}"),
            Self::Thread(error) => write!(f, "no thread for the signals: {error}"),
            Self::Interrupt(error) => write!(f, "SIGINT cannot be handled: {error}"),
        }
    }
}

impl core::error::Error for SignalError {}

/// Signals that are blocked, in this thread and those it starts.
#[derive(Debug)]
pub struct Signals {
    set: SigSet,
}

impl Signals {
    /// Blocks the signals. Called before any thread is started: one that does not block them would
    /// be ended by them, and the process with it.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn block() -> Result<Self, SignalError> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
        ] {
            set.add(signal);
        }
        set.thread_block().map_err(SignalError::Block)?;
        Ok(Self { set })
    }

    /// Starts the threads that wait for the signals, SIGINT too.
    ///
    /// # Errors
    ///
    /// They cannot be started.
    pub fn receive(self) -> Result<Receiver<Event>, SignalError> {
        let (sender, events) = bounded(EVENTS);
        let interrupts = sender.clone();
        ctrlc::set_handler(move || offer(&interrupts, Event::Stop))
            .map_err(SignalError::Interrupt)?;
        Builder::new()
            .name("signals".to_owned())
            .stack_size(limits::THREAD_STACK_BYTES)
            .spawn(move || wait(self.set, &sender))
            .map_err(SignalError::Thread)?;
        Ok(events)
    }
}

fn wait(set: SigSet, events: &Sender<Event>) {
    // `wait` fails only for a set that names no signal.
    while let Ok(signal) = set.wait() {
        offer(events, event(signal));
    }
}

fn event(signal: Signal) -> Event {
    if signal == Signal::SIGQUIT {
        Event::Drain
    } else if signal == Signal::SIGHUP {
        Event::Reload
    } else if signal == Signal::SIGUSR1 {
        Event::ReopenLog
    } else {
        Event::Stop
    }
}

/// A stop waits for its place among the events; others may be lost where so many wait already.
fn offer(events: &Sender<Event>, event: Event) {
    // Main has stopped listening when it has stopped everything: then there is nothing to do.
    let _ = match event {
        Event::Stop | Event::Drain => events.send(event).is_ok(),
        Event::Reload | Event::ReopenLog => events.try_send(event).is_ok(),
    };
}
