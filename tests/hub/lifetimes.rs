//! No stream is left behind, and none is forgotten too early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use srs_lite::hub::frame::Kind;
use srs_lite::hub::stream::Stream;

use crate::support::{CountingBell, Hub, PATH, deliver, hand_over, hub, join};

/// A stand-in for the sender's thread, which leaves no player behind.
struct Sender {
    hub: Hub,
    stream: Arc<Stream<u32>>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stream.parted(1);
        assert!(self.stream.retire_sender());
        self.hub.tidy(&self.stream);
    }
}

/// Whatever keeps a stream. To be dropped, and no more.
trait Handle {}
impl<T> Handle for T {}

/// Every order of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![vec![]];
    for last in 0..count {
        orders = orders
            .iter()
            .flat_map(|order| {
                (0..=order.len()).map(|at| {
                    let mut order = order.clone();
                    order.insert(at, last);
                    order
                })
            })
            .collect();
    }
    orders
}

#[test]
fn a_stream_stays_as_long_as_anything_keeps_it_and_no_longer() {
    let all = orders(5);
    assert_eq!(all.len(), 120);
    for pulled in [false, true] {
        for order in &all {
            let hub = hub(10);
            let attached = hub.attach(PATH).unwrap();
            let stream = Arc::clone(&attached.stream);
            let pull = attached.pull().unwrap();
            let publisher = if pulled {
                let publisher = pull.publish().unwrap();
                publisher.go_live();
                publisher
            } else {
                hub.publish(PATH, false).unwrap()
            };
            let bell = Arc::new(CountingBell::default());
            hand_over(&stream, 1, &bell);
            let (hub_too, stream_too) = (Arc::clone(&hub), Arc::clone(&stream));
            let sender = Sender {
                hub: hub_too,
                stream: stream_too,
            };
            let mut handles: Vec<Option<Box<dyn Handle>>> = vec![
                Some(Box::new(publisher)),
                Some(Box::new(attached)),
                Some(Box::new(hub.attach(PATH).unwrap())),
                Some(Box::new(pull)),
                Some(Box::new(sender)),
            ];
            for &index in order {
                assert_eq!(hub.count(), 1, "{order:?}: too early at {index}");
                handles[index] = None;
            }
            assert_eq!(hub.count(), 0, "{order:?}: left behind");
        }
    }
}

/// Neither a refused publisher nor a player that never came leaves one.
#[test]
fn who_is_refused_leaves_no_stream() {
    let hub = hub(10);
    hub.close();
    assert!(hub.publish(PATH, false).is_err());
    assert!(hub.attach(PATH).is_err());
    assert_eq!(hub.count(), 0);
}

/// A handle of a stream that was forgotten does not take its successor with it.
#[test]
fn a_name_is_a_new_stream_after_the_old_one_is_forgotten() {
    let hub = hub(10);
    let old = Arc::clone(&hub.attach(PATH).unwrap().stream);
    assert_eq!(hub.count(), 0);
    let attached = hub.attach(PATH).unwrap();
    assert!(!Arc::ptr_eq(&old, &attached.stream));
    hub.tidy(&old);
    assert_eq!(hub.count(), 1);
}

#[test]
fn a_stream_is_pulled_once_at_a_time() {
    let hub = hub(10);
    let (first, second) = (hub.attach(PATH).unwrap(), hub.attach(PATH).unwrap());
    let pull = first.pull().unwrap();
    assert!(second.pull().is_none());
    assert!(first.pull().is_none());
    drop(pull);
    assert!(second.pull().is_some());
}

#[test]
fn a_pull_lingers_and_does_not_retire_while_a_player_is_on_its_way() {
    let linger = Duration::from_secs(10);
    let hub = hub(10);
    let attached = hub.attach(PATH).unwrap();
    let mut pull = attached.pull().unwrap();
    let late = Instant::now() + 10 * linger;
    assert!(pull.is_wanted() && !pull.retire(linger, late));
    drop(attached);
    let left = Instant::now();
    assert!(!pull.is_wanted());
    assert!(!pull.retire(linger, left + Duration::from_secs(9)));
    // One comes, sees the pull, and relies on it.
    let attached = hub.attach(PATH).unwrap();
    assert!(attached.pull().is_none());
    assert!(!pull.retire(linger, late));
    drop(attached);
    let left = Instant::now();
    assert!(pull.retire(linger, left + linger));
    // It stays retired, whatever comes; and who comes begins another, which it does not disturb.
    let attached = hub.attach(PATH).unwrap();
    let next = attached.pull().unwrap();
    assert!(pull.retire(linger, left));
    drop(pull);
    assert!(attached.pull().is_none());
    drop((next, attached));
    assert_eq!(hub.count(), 0);
}

/// The players of a publisher that left keep the stream, its time and its name.
#[test]
fn players_keep_a_stream_without_publisher() {
    let hub = hub(10);
    let publisher = hub.publish(PATH, false).unwrap();
    let attached = hub.attach(PATH).unwrap();
    let player = join(&attached.stream);
    drop(publisher);
    assert_eq!(hub.count(), 1);
    let publisher = hub.publish(PATH, false).unwrap();
    deliver(&publisher, 1, &[Kind::RandomAccess]);
    assert_eq!(crate::support::waiting(&player.frames), [1]);
    attached.stream.leave(player.player);
    drop((publisher, attached));
    assert_eq!(hub.count(), 0);
}
