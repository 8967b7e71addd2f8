//! Who may publish, and what players see of a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use srs_lite::hub::frame::Kind;
use srs_lite::hub::registry::{Busy, Publisher};
use srs_lite::hub::stream::{Joined, Over};

use crate::support::{
    CountingBell, PATH, deliver, drain, frame, hand_over, hub, join, numbers, publishing, waiting,
};

use Kind::{Audio, AudioHeader, Dependent, Metadata, RandomAccess, VideoHeader};

/// The timestamps of what waits.
fn times(player: &Joined) -> Vec<u32> {
    let (frames, _) = drain(&player.frames);
    frames.iter().map(|frame| frame.timestamp).collect()
}

fn at(publisher: &Publisher<u32>, kind: Kind, timestamp: u32, now: Instant) {
    publisher.deliver(frame(kind, timestamp, 0), now).unwrap();
}

#[test]
fn a_live_name_is_busy_until_its_publisher_leaves() {
    let (hub, publisher) = publishing();
    assert_eq!(hub.publish(PATH, false).unwrap_err(), Busy);
    assert!(hub.publish("live/other", false).is_ok());
    deliver(&publisher, 0, &[RandomAccess]);
    drop(publisher);
    let publisher = hub.publish(PATH, false).unwrap();
    deliver(&publisher, 0, &[RandomAccess]);
}

/// The old one hears that it is over, and its leaving ends nothing.
#[test]
fn a_takeover_silences_the_old_publisher() {
    let (hub, old) = publishing();
    deliver(&old, 1, &[VideoHeader, RandomAccess]);
    let player = join(&old.stream);
    let new = hub.publish(PATH, true).unwrap();
    assert!(Arc::ptr_eq(&old.stream, &new.stream));
    assert_eq!(
        old.deliver(frame(RandomAccess, 0, 2), Instant::now()),
        Err(Over::TakenOver)
    );
    deliver(&new, 3, &[RandomAccess]);
    old.go_live();
    drop(old);
    assert_eq!(hub.publish(PATH, false).unwrap_err(), Busy);
    deliver(&new, 4, &[Dependent]);
    assert_eq!(waiting(&player.frames), [3, 4]);
    assert_eq!(numbers(&join(&new.stream).opening), [3, 4]);
}

/// What the last one sent helps nobody to decode what the next one sends.
#[test]
fn a_new_publisher_begins_with_nothing_cached() {
    let (hub, publisher) = publishing();
    let stream = Arc::clone(&publisher.stream);
    let _player = join(&stream);
    let _attached = hub.attach(PATH).unwrap();
    deliver(
        &publisher,
        1,
        &[Metadata, VideoHeader, AudioHeader, RandomAccess],
    );
    drop(publisher);
    assert_eq!(join(&stream).opening.len(), 0);
    let _publisher = hub.publish(PATH, false).unwrap();
    assert_eq!(join(&stream).opening.len(), 0);
}

/// Encoders that reconnect may begin in the middle of a group.
#[test]
fn players_that_stay_go_on_with_a_keyframe_of_the_new_publisher() {
    for takeover in [false, true] {
        let (hub, old) = publishing();
        let _attached = hub.attach(PATH).unwrap();
        deliver(&old, 1, &[RandomAccess, Dependent]);
        let player = join(&old.stream);
        if !takeover {
            drop(old);
        }
        let new = hub.publish(PATH, takeover).unwrap();
        deliver(
            &new,
            3,
            &[VideoHeader, Dependent, Audio, RandomAccess, Dependent],
        );
        assert_eq!(waiting(&player.frames), [3, 5, 6, 7]);
    }
}

/// Timestamps go on where they stopped, plus the time that passed; and never back.
#[test]
fn time_goes_on_across_publishers() {
    let now = Instant::now();
    let later = now + Duration::from_millis(300);
    for last in [5000, u32::MAX - 10] {
        let (hub, first) = publishing();
        let _attached = hub.attach(PATH).unwrap();
        let player = join(&first.stream);
        at(&first, VideoHeader, 0, now);
        at(&first, RandomAccess, last, now);
        assert_eq!(times(&player), [0, last], "the first one's as they are");
        drop(first);
        let second = hub.publish(PATH, false).unwrap();
        at(&second, Metadata, 0, later);
        at(&second, VideoHeader, 0, later);
        at(&second, RandomAccess, 70_000, later);
        at(&second, Audio, 69_990, later);
        at(&second, Audio, 60_000, later);
        at(&second, Dependent, 70_040, later);
        let expected = [0, 0, 300, 290, 0, 340].map(|passed| last.wrapping_add(passed));
        assert_eq!(times(&player), expected);
        // Without any pause, too, time does not stand still.
        let third = hub.publish(PATH, true).unwrap();
        at(&third, RandomAccess, 0, later);
        assert_eq!(times(&player), [last.wrapping_add(341)]);
        assert_eq!(
            join(&third.stream).opening[0].timestamp,
            last.wrapping_add(341)
        );
    }
}

/// A pull delivers a burst before players join; until then the stream is not live.
#[test]
fn players_wait_until_a_pull_goes_live() {
    let hub = hub(1000);
    let attached = hub.attach(PATH).unwrap();
    let stream = &attached.stream;
    let pull = attached.pull().unwrap();
    let publisher = pull.publish().unwrap();
    deliver(&publisher, 1, &[RandomAccess]);
    assert!(!stream.wait_live(Instant::now()));
    publisher.go_live();
    assert!(stream.wait_live(Instant::now()));
    drop(publisher);
    assert!(!stream.wait_live(Instant::now()));
    // Whose turn is over cannot make it live.
    let [old, new] = [(); 2].map(|()| pull.publish().unwrap());
    old.go_live();
    assert!(!stream.wait_live(Instant::now()));
    new.go_live();
    assert!(stream.wait_live(Instant::now()));
}

#[test]
fn who_waits_is_woken_when_the_stream_comes_or_the_server_stops() {
    let far = Instant::now() + Duration::from_secs(60);
    let hub = hub(1000);
    let attached = hub.attach(PATH).unwrap();
    for stops in [false, true] {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| attached.stream.wait_live(far));
            if stops {
                hub.close();
            } else {
                // Dropped after the waiter is done: it may look late.
                let _publisher = hub.publish(PATH, false).unwrap();
                assert!(waiter.join().unwrap());
                return;
            }
            assert!(!waiter.join().unwrap());
        });
    }
    assert!(Instant::now() < far, "nobody was woken");
}

/// Players are kept for a while, told nothing, and then told that it is over: once.
#[test]
fn a_stream_without_publisher_expires() {
    let (hub, publisher) = publishing();
    let stream = Arc::clone(&publisher.stream);
    let bell = Arc::new(CountingBell::default());
    let _attached = hub.attach(PATH).unwrap();
    hand_over(&stream, 1, &bell);
    let player = join(&stream);
    let wait = Duration::from_secs(60);
    let now = Instant::now();
    assert_eq!(stream.expire(wait, now + wait), None, "it is live");
    at(&publisher, RandomAccess, 5000, now);
    drop(publisher);
    let left = Instant::now();
    let rest = stream.expire(wait, left + Duration::from_secs(20)).unwrap();
    assert!(rest <= Duration::from_secs(40) && rest > Duration::from_secs(39));
    let (frames, open) = drain(&player.frames);
    assert_eq!(
        (frames.len(), open, player.frames.gauge.is_over()),
        (1, true, false)
    );

    let rung = bell.rung();
    assert_eq!(stream.expire(wait, left + wait), None);
    assert!(bell.rung() > rung);
    let (frames, open) = drain(&player.frames);
    assert_eq!(
        (frames.len(), open, player.frames.gauge.is_over()),
        (0, false, true)
    );
    // The sender asks each time before it sleeps: that must not wake it.
    let rung = bell.rung();
    assert_eq!(stream.expire(wait, left + wait), None);
    assert_eq!(bell.rung(), rung, "the sender never sleeps");
    // Nobody remembers the old time.
    let player = join(&stream);
    let publisher = hub.publish(PATH, false).unwrap();
    at(&publisher, RandomAccess, 7, Instant::now());
    assert_eq!(times(&player), [7]);
}

/// What is queued still arrives.
#[test]
fn whoever_feeds_a_stream_can_end_its_players() {
    let (_hub, publisher) = publishing();
    let player = join(&publisher.stream);
    deliver(&publisher, 1, &[RandomAccess]);
    publisher.stream.end_players();
    let (frames, open) = drain(&player.frames);
    assert_eq!((numbers(&frames), open), (vec![1], false));
    assert!(player.frames.gauge.is_over());
    let next = join(&publisher.stream);
    deliver(&publisher, 2, &[Dependent]);
    assert_eq!(waiting(&next.frames), [2]);
}

#[test]
fn a_closed_registry_refuses_everything() {
    let (hub, publisher) = publishing();
    let attached = hub.attach(PATH).unwrap();
    let other = hub.attach("live/pulled").unwrap();
    let mut pull = other.pull().unwrap();
    let player = join(&publisher.stream);
    deliver(&publisher, 1, &[RandomAccess]);
    assert!(!pull.retire(Duration::ZERO, Instant::now()));
    hub.close();
    assert_eq!(hub.publish("live/other", false).unwrap_err(), Busy);
    assert_eq!(hub.publish(PATH, true).unwrap_err(), Busy);
    assert_eq!(hub.attach(PATH).unwrap_err(), Busy);
    assert_eq!(
        publisher.deliver(frame(Audio, 0, 2), Instant::now()),
        Err(Over::Closed)
    );
    let (frames, open) = drain(&player.frames);
    assert_eq!((numbers(&frames), open), (vec![1], false));
    assert!(player.frames.gauge.is_over());
    // Who was let in before it closed.
    let late = join(&attached.stream);
    assert!(!drain(&late.frames).1 && late.frames.gauge.is_over());
    assert!(
        !attached
            .stream
            .wait_live(Instant::now() + Duration::from_secs(60))
    );
    assert!(pull.retire(Duration::from_secs(60), Instant::now()));
    drop((publisher, attached, other, pull));
    assert_eq!(hub.count(), 0);
}

/// What is published here goes before what is fetched, whichever came first; when it ends, what is
/// wanted is looked for again.
#[test]
fn a_publisher_takes_over_from_a_pull_and_a_pull_from_nobody() {
    let hub = hub(1000);
    let attached = hub.attach(PATH).unwrap();
    let stream = &attached.stream;
    assert_eq!(hub.unfed().len(), 1);
    let pull = attached.pull().unwrap();
    assert!(hub.unfed().is_empty());
    let pulled = pull.publish().unwrap();
    pulled.go_live();
    assert!(!hub.is_published(PATH));
    let publisher = hub.publish(PATH, false).unwrap();
    assert!(hub.is_published(PATH));
    assert!(pull.publish().is_none());
    let too_late = frame(RandomAccess, 0, 1);
    assert_eq!(
        pulled.deliver(too_late, Instant::now()),
        Err(Over::TakenOver)
    );
    drop((pulled, pull));
    assert!(attached.pull().is_none());
    deliver(&publisher, 1, &[RandomAccess]);
    assert!(hub.publish(PATH, false).is_err());
    // Another process takes over.
    hub.unpublish(PATH);
    assert!(!hub.is_published(PATH) && !stream.wait_live(Instant::now()));
    assert_eq!(hub.unfed().len(), 1);
    let too_late = frame(RandomAccess, 0, 2);
    assert_eq!(
        publisher.deliver(too_late, Instant::now()),
        Err(Over::TakenOver)
    );
    let pull = attached.pull().unwrap();
    let pulled = pull.publish().unwrap();
    pulled.go_live();
    // Nobody is there to be ended.
    hub.unpublish(PATH);
    assert!(stream.wait_live(Instant::now()));
    drop((pulled, pull, attached));
    assert!(hub.unfed().is_empty());
}

/// A sibling or a coworker passes the stream on: it is not kept, and told at once. Another publisher
/// that takes over here changes nothing for it.
#[test]
fn who_passes_the_stream_on_is_let_go_with_the_publisher() {
    let (hub, publisher) = publishing();
    let attached = hub.attach(PATH).unwrap();
    let (relay, player) = (publisher.stream.join_relay(), join(&publisher.stream));
    deliver(&publisher, 1, &[RandomAccess]);
    let next = hub.publish(PATH, true).unwrap();
    drop(publisher);
    deliver(&next, 2, &[RandomAccess]);
    assert_eq!(waiting(&relay.frames), [1, 2]);
    drop(next);
    assert!(!drain(&relay.frames).1 && relay.frames.gauge.is_over());
    assert_eq!(waiting(&player.frames), [1, 2]);
    let again = hub.publish(PATH, false).unwrap();
    let relay = attached.stream.join_relay();
    hub.unpublish(PATH);
    assert!(!drain(&relay.frames).1);
    deliver(&hub.publish(PATH, false).unwrap(), 3, &[RandomAccess]);
    assert_eq!(waiting(&player.frames), [3]);
    drop(again);
}
