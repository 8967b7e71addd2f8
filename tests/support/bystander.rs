//! A stream with a player, on a server that is attacked: neither may notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use srs_lite::limits;

use super::DEADLINE;
use super::amf::Value;
use super::connection::Connection;
use super::media::Kind;
use super::peer::{Player, Publisher, play, publishing};
use super::server::{Server, show};

/// Name of the stream, in `live`.
const NAME: &str = "bystander";

/// Between two frames.
const INTERVAL: Duration = Duration::from_millis(20);

/// Frames from one keyframe to the next.
const GROUP: u32 = 50;

/// Half a second: a shorter attack would not be noticed.
const LEAST_FRAMES: u32 = 25;

/// No stall: whoever waits for an attacker waits for a deadline, the shortest of which is 5 s. A
/// machine that is busy with other tests delays threads by more than 2 s, but not by this.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// KiB by which memory may end above where it began: what the allocator keeps of small blocks. Ten
/// thousand missing names leave 6 MiB, of which 0.4 are used: what little lives keeps the rest.
const KEPT_MEMORY: usize = 8 * 1024;

/// A server, a publisher that sends numbered frames in real time, and a player that checks each.
#[derive(Debug)]
pub(crate) struct Bystander {
    pub(crate) server: Server,
    live: Live,
    before: Usage,
    /// Those whose end was seen.
    ended: Mutex<Vec<SocketAddr>>,
}

#[derive(Debug)]
struct Live {
    stop: Arc<AtomicBool>,
    publisher: JoinHandle<Publisher>,
    player: JoinHandle<Played>,
}

/// What the player saw.
#[derive(Debug)]
struct Played {
    frames: u32,
    longest: Duration,
}

/// What the server holds.
#[derive(Debug)]
struct Usage {
    /// Those whose thread goes, or waits for the next connection, and the others.
    threads: [usize; 2],
    descriptors: usize,
    /// KiB.
    resident: usize,
}

impl Usage {
    fn of(server: &Server) -> Self {
        let names = server.thread_names();
        let may_wait = |name: &&String| {
            let roles = ["rtmp-", "http-", "play-"];
            roles.iter().any(|role| name.starts_with(role))
        };
        let waiting = names.iter().filter(may_wait).count();
        Self {
            threads: [waiting, names.len() - waiting],
            descriptors: server.descriptors(),
            resident: server.resident(),
        }
    }

    /// Whether everything that came since `before` has gone.
    fn is_back_to(&self, before: &Self) -> bool {
        let [waiting, others] = self.threads;
        let [waiting_before, others_before] = before.threads;
        // Threads of connections that have ended wait for the next ones, up to this many with
        // either stack.
        waiting <= waiting_before + 2 * limits::MAX_IDLE_THREADS
            && others <= others_before
            && self.descriptors <= before.descriptors
            && self.resident <= before.resident + KEPT_MEMORY
    }
}

impl Bystander {
    /// On an origin of its own, with this configuration. If it says nothing else, publishers may be
    /// silent for a minute: tests are slow on a busy machine.
    pub(crate) fn start(config: &str) -> Self {
        let patience = if config.contains("[publish]") {
            ""
        } else {
            "[publish]\nnormal_timeout = 60000\n"
        };
        Self::on(Server::origin(&format!("{config}\n{patience}")))
    }

    /// On this server.
    pub(crate) fn on(server: Server) -> Self {
        let address = server.address();
        let stop = Arc::new(AtomicBool::new(false));
        let last = Arc::new(AtomicU32::new(0));
        let mut publisher = publishing(address, NAME);
        publisher.send_frame(Kind::Key, 1, 0, 400);
        let mut player = play(address, "live", NAME);
        assert_eq!(player.frame().0, 1);
        // The first may come from the player's own thread, this one from the stream's.
        publisher.send_frame(Kind::Inter, 2, 20, 400);
        assert_eq!(player.frame().0, 2);
        let before = Usage::of(&server);
        let (stop_, last_) = (Arc::clone(&stop), Arc::clone(&last));
        let publish = move || feed(publisher, &stop_, &last_);
        let live = Live {
            stop,
            publisher: thread::Builder::new().spawn(publish).unwrap(),
            player: thread::Builder::new()
                .spawn(move || watch(player, &last))
                .unwrap(),
        };
        Self {
            server,
            live,
            before,
            ended: Mutex::default(),
        }
    }

    /// Where to attack.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Asserts that the connection from `peer` ends, and that one line says so, and why. Returns
    /// after how many seconds, by that line.
    pub(crate) fn assert_ended(&self, peer: SocketAddr, why: &str) -> f64 {
        let line = self.server.wait_ended(peer);
        assert!(line.contains(why), "not {why:?}: {line}");
        self.ended.lock().unwrap().push(peer);
        let (_, after) = line.split_once(" ended after ").unwrap();
        let (seconds, _) = after.split_once(" s: ").unwrap();
        seconds.parse().unwrap()
    }

    /// Asserts that the connection goes on: it is answered, and no line says that it ended.
    pub(crate) fn assert_goes_on(&self, connection: &mut Connection) {
        let call = connection.call(0, "_checkbw", &[Value::Null]);
        connection.answer(call).unwrap();
        let peer = connection.socket().local_addr().unwrap();
        assert_eq!(self.server.count_ended(peer), 0, "{peer} ended");
    }

    /// KiB that the server held at most since it started, above what it held before the attack.
    pub(crate) fn peak(&self) -> usize {
        self.server.peak().saturating_sub(self.before.resident)
    }

    /// Ends the stream. Asserts that the server goes on, has given back what attackers took, and
    /// that the player missed nothing and never waited for long. Shows `row` of the report.
    pub(crate) fn end(self, row: &str) {
        let Live {
            stop,
            publisher,
            player,
        } = self.live;
        // Somebody else is served as before.
        let mut witness = play(self.server.address(), "live", NAME);
        witness.frame();
        drop(witness);
        let deadline = Instant::now() + DEADLINE;
        let mut now = Usage::of(&self.server);
        while !now.is_back_to(&self.before) {
            let before = &self.before;
            assert!(Instant::now() < deadline, "kept: {now:?}, had {before:?}");
            thread::sleep(Duration::from_millis(10));
            now = Usage::of(&self.server);
        }
        stop.store(true, Ordering::Relaxed);
        let publisher = publisher.join().expect("the publisher was disturbed");
        let played = player.join().expect("the player was disturbed");
        let longest = played.longest;
        assert!(longest < LONGEST_PAUSE, "no frame for {longest:?}");
        publisher.unpublish();
        for peer in self.ended.into_inner().unwrap() {
            assert_eq!(self.server.count_ended(peer), 1, "{peer}");
        }
        assert_eq!(self.server.count_log("[ERROR]"), 0, "a thread failed");
        show(&format!(
            "{row} | {} frames, longest pause {} ms, RSS {:+.1} MB",
            played.frames,
            longest.as_millis(),
            (now.resident as f64 - self.before.resident as f64) / 1024.0
        ));
        self.server.stop();
    }
}

/// Publishes until `stop`; `last` is then the number of the last frame.
fn feed(mut publisher: Publisher, stop: &AtomicBool, last: &AtomicU32) -> Publisher {
    let begun = Instant::now();
    for number in 3.. {
        let due = begun + INTERVAL * (number - 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let kind = match number % GROUP {
            1 => Kind::Key,
            _ if number % 2 == 1 => Kind::Audio,
            _ => Kind::Inter,
        };
        let stopped = number >= LEAST_FRAMES && stop.load(Ordering::Relaxed);
        if stopped {
            last.store(number, Ordering::SeqCst);
        }
        publisher.send_frame(kind, number, number * 20, 400);
        if stopped {
            break;
        }
    }
    publisher
}

/// Plays until frame `last`, of which none may be missing.
fn watch(mut player: Player, last: &AtomicU32) -> Played {
    let mut number = 2;
    let mut longest = Duration::ZERO;
    let mut seen = Instant::now();
    while last.load(Ordering::SeqCst) != number {
        let (next, _) = player.frame();
        assert_eq!(next, number + 1, "frames lost or out of order");
        longest = longest.max(seen.elapsed());
        seen = Instant::now();
        number = next;
    }
    Played {
        frames: number,
        longest,
    }
}
