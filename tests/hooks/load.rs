//! Many publishes, and every kind of answer.

use std::thread;
use std::time::{Duration, Instant};

use crate::answers::hooks;
use crate::support::eventually;
use crate::support::peer::publish;
use crate::{ALL, publisher, server};

const KINDS: [&str; 10] = [
    "yes", "deny", "yes-slow", "garbage", "moved", "yes-json", "huge", "half", "deny-500",
    "yes-old",
];
const THREADS: usize = 10;
const EACH: usize = 20;

/// A thousand publishes a minute, of names that they share: at the end nothing is busy, and no thread
/// or descriptor is left.
#[test]
fn a_thousand_publishes_a_minute_leave_nothing_behind() {
    let hooks = hooks();
    let server = server(&hooks, ALL);
    publisher(&server, "yes").unwrap().unpublish();
    hooks.wait("on_close", 1);
    let quiet = || server.threads_of("rtmp") + server.threads_of("hook") == 0;
    eventually("the pool is empty", quiet);
    let (descriptors, threads) = (server.descriptors(), server.threads());
    let begun = Instant::now();
    let address = server.address();
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                for index in 0..EACH {
                    let kind = KINDS[(number + index) % KINDS.len()];
                    // Two threads share each name.
                    match publish(address, "live", &format!("{kind}_{}", number / 2)) {
                        Ok(publisher) => {
                            assert!(kind.starts_with("yes"), "{kind}");
                            publisher.unpublish();
                        }
                        Err(status) => {
                            let busy = status.description.contains("somebody else publishes");
                            assert!(busy || !kind.starts_with("yes"), "{kind}: {status:?}");
                        }
                    }
                }
            });
        }
    });
    let all = THREADS * EACH;
    let rate = Duration::from_secs(60) * u32::try_from(all).unwrap() / 1000;
    assert!(begun.elapsed() < rate, "{:?} for {all}", begun.elapsed());
    hooks.wait("on_close", all + 1);
    let told = |action| hooks.count(action);
    assert_eq!((told("on_connect"), told("on_close")), (all + 1, all + 1));
    // A clear no has no end: a tenth each of `deny` and `moved`.
    assert_eq!(told("on_publish") - told("on_unpublish"), all / 5);
    eventually("threads are gone", || {
        quiet() && server.threads() <= threads
    });
    eventually("descriptors are gone", || {
        server.descriptors() <= descriptors
    });
    for number in 0..THREADS / 2 {
        for kind in KINDS.iter().filter(|kind| kind.starts_with("yes")) {
            publisher(&server, &format!("{kind}_{number}")).unwrap();
        }
    }
    server.stop();
}
