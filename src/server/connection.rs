//! One connection: every read and write has a deadline, and it ends without losing what was
//! sent.

use core::fmt;
use core::ops::Range;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::sendfile::sendfile64;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{MsgFlags, getsockopt};
use socket2::{SockRef, Socket, TcpKeepalive};

use crate::hub::tally::Traffic;
use crate::limits;
use crate::server::activity::Activity;
use crate::server::connections::{NoRoom, Place};
use crate::server::port::Protocol;
use crate::session::connect::Introduction;

/// A connection, shared by the thread that reads it and the one that writes it. The descriptor
/// closes when the last of them lets go, so nobody ever writes to a reused one.
#[derive(Debug)]
pub struct Connection {
    /// Names it in the log.
    pub id: u64,
    /// The other end; IPv4 peers of an IPv6 socket as IPv4.
    pub peer: SocketAddr,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Since when it is there.
    pub since: Instant,
    /// Its bytes.
    pub traffic: Traffic,
    /// Those of all connections of its kind.
    total: Arc<Traffic>,
    pub(super) activity: Mutex<Option<Activity>>,
    /// What an RTMP peer said in its `connect`.
    pub introduction: OnceLock<Introduction>,
    socket: Socket,
    /// The socket's timeout for reads, in microseconds; 0: not known.
    read_timeout: AtomicU64,
    /// Written by a sender: a stop leaves its end to that.
    playing: AtomicBool,
    /// The reader has seen the end.
    left: AtomicBool,
    /// Why we have reset it.
    reset: OnceLock<&'static str>,
    /// Among those that others opened to us; given up when the last holder lets go.
    place: Option<Mutex<Place>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(place) = &mut self.place {
            let place = place.get_mut().unwrap_or_else(PoisonError::into_inner);
            place.connections.leave(self.id);
        }
    }
}

/// For [`Connection::read_timeout`].
const NO_TIMEOUT: u64 = u64::MAX;

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Rtmp | Protocol::Http | Protocol::Api => {
                write!(f, "#{} {}", self.id, self.peer)
            }
            Protocol::Sibling => write!(f, "#{} sibling", self.id),
        }
    }
}

impl Connection {
    /// A connection over a socket that has what [`set_options`] sets, if it is one of TCP.
    /// Its bytes count in `total`, too. `place`: if others opened it to us.
    pub fn new(
        id: u64,
        socket: Socket,
        peer: SocketAddr,
        protocol: Protocol,
        total: Arc<Traffic>,
        place: Option<Place>,
    ) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Self {
            id,
            peer,
            protocol,
            since: Instant::now(),
            traffic: Traffic::default(),
            total,
            activity: Mutex::default(),
            introduction: OnceLock::new(),
            socket,
            read_timeout: AtomicU64::new(0),
            playing: AtomicBool::new(false),
            left: AtomicBool::new(false),
            reset: OnceLock::new(),
            place: place.map(Mutex::new),
        }
    }

    /// Reads what there is, at least one byte; 0 is the end.
    ///
    /// # Errors
    ///
    /// `TimedOut`: nothing came until `deadline`. Others as the system says.
    pub fn read(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        let left = remaining(deadline)?;
        let most = left.saturating_add(left.checked_div(limits::TIMEOUT_SLACK).unwrap_or_default());
        let set = Duration::from_micros(self.read_timeout.load(Ordering::Relaxed));
        if set < left || set > most {
            self.set_read_timeout(Some(left))?;
        }
        self.read_again(buffer)
    }

    /// The same; without a deadline, as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Self::read`].
    pub fn read_until(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        if let Some(deadline) = deadline {
            return self.read(buffer, deadline);
        }
        if self.read_timeout.load(Ordering::Relaxed) != NO_TIMEOUT {
            self.set_read_timeout(None)?;
        }
        self.read_again(buffer)
    }

    /// Reads under the timeout of [`Self::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// See [`Self::read`].
    pub fn read_again(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.socket).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(ErrorKind::TimedOut.into());
                }
                result => return result.inspect(|&length| self.receive(length)),
            }
        }
    }

    /// How long [`Self::read_again`] waits; `None`: for ever.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let micros = timeout.map_or(NO_TIMEOUT, |timeout| {
            u64::try_from(timeout.as_micros()).unwrap_or(NO_TIMEOUT)
        });
        self.read_timeout.store(micros, Ordering::Relaxed);
        self.socket.set_read_timeout(timeout)
    }

    /// Reads what has arrived, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing has. Others as the system says.
    pub fn read_waiting(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let descriptor = self.socket.as_raw_fd();
        let length = nix::sys::socket::recv(descriptor, buffer, MsgFlags::MSG_DONTWAIT)?;
        self.receive(length);
        Ok(length)
    }

    /// Waits, at most so long, until the peer has closed or nobody is to read any more; what it
    /// sends meanwhile does not end that.
    pub fn wait_left(&self, wait: Duration) {
        if !wait.is_zero() {
            self.poll(PollFlags::from_bits_retain(libc::POLLRDHUP), wait);
        }
    }

    /// Waits, at most so long, until there is something to read; whether there is. More exact than a
    /// socket's timeout, which counts in ticks of the kernel.
    pub fn wait_input(&self, wait: Duration) -> bool {
        self.poll(PollFlags::POLLIN, wait)
    }

    fn poll(&self, what: PollFlags, wait: Duration) -> bool {
        let mut polled = [PollFd::new(self.socket.as_fd(), what)];
        // A signal may end it early, and an error is for the next read to find.
        ppoll(&mut polled, Some(wait.into()), None) != Ok(0)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// `TimedOut`: the peer did not take them all until `deadline`. Others as the system says.
    pub fn write(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        // Most of what is written fits, and needs no timeout.
        let mut until = None;
        while !bytes.is_empty() {
            let length = self.send(&[IoSlice::new(bytes)], until)?;
            bytes = bytes.get(length..).unwrap_or_default();
            until = Some(deadline);
        }
        Ok(())
    }

    /// Writes `head` and then the bytes of `file` in `range`, without copying these.
    ///
    /// # Errors
    ///
    /// As in [`Self::write`]. `UnexpectedEof`: the file has become shorter.
    pub fn write_file(
        &self,
        mut head: &[u8],
        file: &File,
        range: Range<u64>,
        deadline: Instant,
    ) -> io::Result<()> {
        while !head.is_empty() {
            self.socket.set_write_timeout(Some(remaining(deadline)?))?;
            let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
            let length = retry(|| self.socket.send_with_flags(head, flags))?;
            self.sent(length);
            head = head.get(length..).unwrap_or_default();
        }
        let mut left = range.end.saturating_sub(range.start);
        let mut offset = i64::try_from(range.start).map_err(io::Error::other)?;
        while left > 0 {
            let wait = remaining(deadline)?.min(limits::SENDFILE_WAIT);
            self.socket.set_write_timeout(Some(wait))?;
            let count = usize::try_from(left).unwrap_or(usize::MAX);
            let count = count.min(limits::SENDFILE_BYTES);
            let length = match sendfile64(&self.socket, file, Some(&mut offset), count) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(Errno::EINTR | Errno::EAGAIN) => 0,
                Err(error) => return Err(error.into()),
            };
            self.sent(length);
            left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Writes some of `slices`, blocking until `deadline`, or what fits without waiting if there
    /// is none; how many bytes. 0 only if nothing fits.
    ///
    /// # Errors
    ///
    /// As the system says; `TimedOut` only with a deadline.
    pub fn send(&self, slices: &[IoSlice<'_>], deadline: Option<Instant>) -> io::Result<usize> {
        let mut flags = libc::MSG_NOSIGNAL;
        match deadline {
            Some(deadline) => self.socket.set_write_timeout(Some(remaining(deadline)?))?,
            None => flags |= libc::MSG_DONTWAIT,
        }
        match retry(|| self.socket.send_vectored_with_flags(slices, flags)) {
            Err(error) if error.kind() == ErrorKind::TimedOut && deadline.is_none() => Ok(0),
            result => result.inspect(|&length| self.sent(length)),
        }
    }

    fn receive(&self, length: usize) {
        self.traffic.receive(length);
        self.total.receive(length);
    }

    fn sent(&self, length: usize) {
        self.traffic.send(length);
        self.total.send(length);
    }

    /// Takes a place among the connections of `protocol`, and gives up the one that it has, if that is
    /// another's.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn move_to(&self, protocol: Protocol) -> Result<(), NoRoom> {
        self.place.as_ref().map_or(Ok(()), |place| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.change(protocol)
        })
    }

    /// Says that a sender writes from now on.
    pub fn set_playing(&self) {
        self.playing.store(true, Ordering::Relaxed);
    }

    /// Whether a sender writes, and ends the connection.
    pub fn is_playing(&self) -> bool {
        self.playing.load(Ordering::Relaxed)
    }

    /// Says that nobody reads any more.
    pub fn set_left(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether the peer has closed, as far as the reader knows.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Wakes the reader with an end of input; what has arrived can still be read.
    pub fn shut_input(&self) {
        // Fails only if the connection is gone already.
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Sends the end of our output; the peer can still send.
    pub fn shut_output(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends both directions; wakes the reader.
    pub fn shut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Whether the peer has closed, and sent nothing before that nobody has read.
    pub fn is_closed_by_peer(&self) -> bool {
        let peek = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        let peeked = nix::sys::socket::recv(self.socket.as_raw_fd(), &mut [0], peek);
        matches!(peeked, Ok(0))
    }

    /// Why we have reset it, if we have.
    pub fn reset_reason(&self) -> Option<&'static str> {
        self.reset.get().copied()
    }

    /// The number of the process at the other end, if that is a sibling whom we have called, in our
    /// namespace; 0 if it has none there.
    pub fn peer_process(&self) -> u32 {
        let peer = getsockopt(&self.socket, PeerCredentials);
        peer.map_or(0, |peer| u32::try_from(peer.pid()).unwrap_or_default())
    }

    /// Throws away what the kernel holds for the peer, and ends both directions.
    pub fn reset(&self, why: &'static str) {
        // The first reason is the one that counts.
        let _ = self.reset.set(why);
        let _ = self.socket.set_linger(Some(Duration::ZERO));
        self.shut();
    }

    /// Ends our output and reads until the peer has ended its own, at most
    /// [`limits::LINGER_DEADLINE`]. Closing with unread input would make the kernel reset the
    /// connection, and the peer lose what was sent last.
    pub fn linger(&self) {
        self.shut_output();
        self.drain_input();
    }

    /// Reads until the peer has ended its output, at most [`limits::LINGER_DEADLINE`].
    pub fn drain_input(&self) {
        let deadline = deadline(limits::LINGER_DEADLINE);
        let mut sink = vec![0; 4096];
        while matches!(self.read(&mut sink, deadline), Ok(1..)) {}
    }
}

/// Sets what every connection has, or what is accepted from a listener is to have: a socket inherits
/// it.
///
/// # Errors
///
/// The system refuses an option.
pub fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(limits::SOCKET_SEND_BYTES)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(limits::KEEPALIVE_IDLE)
            .with_interval(limits::KEEPALIVE_INTERVAL)
            .with_retries(limits::KEEPALIVE_PROBES),
    )
}

/// `wait` from now.
pub fn deadline(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}

/// What is left until `deadline`, as a socket timeout: never 0, which would mean for ever.
///
/// # Errors
///
/// `TimedOut`: it has passed.
pub fn remaining(deadline: Instant) -> io::Result<Duration> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(remaining.max(Duration::from_millis(1)))
}

fn retry(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            result => return result,
        }
    }
}
