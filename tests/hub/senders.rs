//! Birth and death of a stream's sender, and panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use srs_lite::hub::frame::Kind;
use srs_lite::hub::stream::Bell;

use crate::support::{
    CountingBell, PATH, deliver, drain, frame, hand_over, join, publishing, taken_over, waiting,
};

use Kind::{Dependent, RandomAccess};

#[test]
fn concurrent_joins_start_one_sender() {
    const PLAYERS: u32 = 8;
    let (_hub, publisher) = publishing();
    let bell = Arc::new(CountingBell::default());
    for _ in 0..200 {
        let started = AtomicUsize::new(0);
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for writer in 0..PLAYERS {
                let (barrier, started) = (&barrier, &started);
                let (stream, bell) = (&publisher.stream, &bell);
                scope.spawn(move || {
                    barrier.wait();
                    let new = hand_over(stream, writer, bell);
                    started.fetch_add(usize::from(new), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(started.into_inner(), 1);
        let mut writers = taken_over(&publisher.stream);
        writers.sort_unstable();
        assert_eq!(writers, (0..PLAYERS).collect::<Vec<_>>());
        publisher.stream.parted(8);
        assert!(publisher.stream.retire_sender());
    }
}

#[test]
fn a_sender_does_not_retire_while_a_player_is_on_its_way() {
    let (_hub, publisher) = publishing();
    let stream = &publisher.stream;
    let bell = Arc::new(CountingBell::default());
    assert!(hand_over(stream, 1, &bell));
    assert_eq!(bell.rung(), 1, "or it would sleep on");
    assert!(!stream.retire_sender());
    assert_eq!(taken_over(stream), [1]);
    assert!(!stream.retire_sender(), "it plays");
    assert!(!hand_over(stream, 2, &bell), "the same sender");
    assert_eq!(taken_over(stream), [2]);
    stream.parted(1);
    assert!(!stream.retire_sender());
    stream.parted(1);
    assert!(stream.retire_sender());
    assert!(hand_over(stream, 3, &bell), "another one");
}

/// Senders that end as soon as they may, and players that come all the time: none is lost.
#[test]
fn no_player_is_lost_between_two_senders() {
    const PLAYERS: usize = 500;
    let (_hub, publisher) = publishing();
    let stream = &*publisher.stream;
    let bell: Arc<dyn Bell> = Arc::new(CountingBell::default());
    let taken = AtomicUsize::new(0);
    let senders = AtomicUsize::new(0);
    let serve = &|| {
        loop {
            let count = taken_over(stream).len();
            taken.fetch_add(count, Ordering::SeqCst);
            stream.parted(count);
            if stream.retire_sender() {
                return;
            }
            thread::yield_now();
        }
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    thread::scope(|scope| {
        for player in 1..=PLAYERS {
            let start = || {
                senders.fetch_add(1, Ordering::SeqCst);
                scope.spawn(serve);
                Ok::<_, ()>(Arc::clone(&bell))
            };
            assert_eq!(stream.hand_over(7, start), Ok(()));
            // So that the next one comes while the sender makes up its mind.
            while taken.load(Ordering::SeqCst) < player {
                assert!(Instant::now() < deadline, "player {player} is lost");
                thread::yield_now();
            }
        }
    });
    assert_eq!(taken.into_inner(), PLAYERS);
    assert!(senders.into_inner() > 1, "one sender did it all");
    assert!(stream.retire_sender());
}

/// The caller is told why, the place in the fan-out goes, and the next player can try again.
#[test]
fn a_sender_that_cannot_start_undoes_the_join() {
    let (hub, publisher) = publishing();
    let stream = Arc::clone(&publisher.stream);
    let player = join(&stream);
    let result = stream.hand_over(1, || Err("no thread"));
    assert_eq!(result, Err("no thread"));
    assert_eq!(taken_over(&stream), [0; 0]);
    assert!(stream.retire_sender(), "a player that nobody has");
    drop(player.frames);
    deliver(&publisher, 1, &[RandomAccess]);
    assert!(stream.control(player.player).is_none());
    let bell = Arc::new(CountingBell::default());
    assert!(hand_over(&stream, 2, &bell));
    stream.parted(1);
    assert!(stream.retire_sender());
    drop(publisher);
    assert_eq!(hub.count(), 0);
}

/// Who is on the way to a sender that fails is lost with it, and not its successor's.
#[test]
fn a_sender_that_fails_takes_nobody_any_more() {
    let (_hub, publisher) = publishing();
    let stream = &publisher.stream;
    let bell = Arc::new(CountingBell::default());
    assert!(hand_over(stream, 1, &bell));
    stream.sender_failed();
    assert_eq!(taken_over(stream), [0; 0]);
    assert!(hand_over(stream, 2, &bell), "another sender");
    assert_eq!(taken_over(stream), [2]);
    stream.parted(1);
    assert!(stream.retire_sender(), "the first is not counted any more");
}

/// Its players are lost, but the stream has a future.
#[test]
fn a_failed_sender_is_replaced() {
    let (_hub, publisher) = publishing();
    let stream = &publisher.stream;
    let bell = Arc::new(CountingBell::default());
    assert!(hand_over(stream, 1, &bell));
    let lost = join(stream);
    stream.sender_failed();
    assert!(!drain(&lost.frames).1);
    assert!(!lost.frames.gauge.is_over(), "the stream goes on");
    let player = join(stream);
    assert!(hand_over(stream, 2, &bell));
    deliver(&publisher, 1, &[RandomAccess]);
    assert_eq!(waiting(&player.frames), [1]);
}

#[test]
fn the_bell_rings_for_everything_that_a_sender_must_see() {
    let (hub, publisher) = publishing();
    let stream = Arc::clone(&publisher.stream);
    let bell = Arc::new(CountingBell::default());
    let _attached = hub.attach(PATH).unwrap();
    assert!(hand_over(&stream, 1, &bell));
    let (first, second) = (join(&stream), join(&stream));
    let mut before = bell.rung();
    let mut rang = |what| {
        assert!(bell.rung() > before, "{what}");
        before = bell.rung();
    };
    deliver(&publisher, 1, &[RandomAccess]);
    rang("a frame");
    stream.leave(first.player);
    rang("a player that leaves");
    let (_, _, reply_bell) = stream.control(second.player).unwrap();
    reply_bell.unwrap().ring();
    rang("a reply");
    drop(publisher);
    rang("the publisher leaves: the sender counts the time");
    stream.end_players();
    rang("the end");
}

/// Panics when it is rung, once, if it is armed.
#[derive(Debug, Default)]
struct PanickingBell {
    armed: AtomicBool,
}

impl Bell for PanickingBell {
    fn ring(&self) {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "injected");
    }

    fn due(&self) -> Instant {
        Instant::now()
    }
}

/// The publisher and the players of that moment are let go; the stream can be used again.
#[test]
fn a_panic_under_the_lock_leaves_the_stream_usable() {
    let (hub, publisher) = publishing();
    let stream = Arc::clone(&publisher.stream);
    let _attached = hub.attach(PATH).unwrap();
    let bell = Arc::new(PanickingBell::default());
    assert!(hand_over(&stream, 1, &bell));
    deliver(&publisher, 1, &[RandomAccess]);
    let victim = join(&stream);
    bell.armed.store(true, Ordering::SeqCst);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        publisher.deliver(frame(Dependent, 0, 2), Instant::now())
    }));
    assert!(panicked.is_err());
    let over = frame(Dependent, 0, 3);
    assert!(
        publisher.deliver(over, Instant::now()).is_err(),
        "its turn is over"
    );
    let (frames, open) = drain(&victim.frames);
    assert_eq!((frames.len(), open), (1, false));
    assert!(!stream.wait_live(Instant::now()));
    drop(publisher);

    let publisher = hub.publish(PATH, false).unwrap();
    let player = join(&stream);
    assert_eq!(player.opening.len(), 0);
    deliver(&publisher, 4, &[RandomAccess, Dependent]);
    assert_eq!(waiting(&player.frames), [4, 5]);
}
