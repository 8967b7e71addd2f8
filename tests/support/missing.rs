//! A crowd of players of streams that do not exist.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::peer::{Player, play};

/// Players at a time: a few threads with some connections each.
const THREADS: usize = 20;
const PLAYERS_PER_THREAD: usize = 20;
pub(crate) const PLAYERS: usize = THREADS * PLAYERS_PER_THREAD;

/// Asks for so many missing names and sees each refused; the most of what is measured meanwhile.
pub(crate) fn ask_for<const N: usize>(
    names: usize,
    address: SocketAddr,
    measure: impl Fn() -> [usize; N],
) -> [usize; N] {
    let next = AtomicUsize::new(0);
    let mut most = [0; N];
    thread::scope(|scope| {
        let ask = || while ask(address, &next, names) {};
        let workers = [(); THREADS].map(|()| scope.spawn(ask));
        while workers.iter().any(|worker| !worker.is_finished()) {
            for (most, now) in most.iter_mut().zip(measure()) {
                *most = now.max(*most);
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    most
}

/// Asks for some at once; `false` when all have been.
fn ask(address: SocketAddr, next: &AtomicUsize, names: usize) -> bool {
    let players: Vec<Player> = (0..PLAYERS_PER_THREAD)
        .map_while(|_| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            (number < names).then(|| play(address, "live", &format!("missing{number}")))
        })
        .collect();
    let all = players.len() == PLAYERS_PER_THREAD;
    for mut player in players {
        player.wait_told("NetStream.Play.StreamNotFound");
    }
    all
}
