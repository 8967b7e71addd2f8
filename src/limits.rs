//! Every bound on what one peer can make the server hold or do.
//!
//! A reviewer who wants to know what `n` connections can cost reads this file only.

use core::time::Duration;

/// Longest message we assemble. The field allows 16 MiB [RTMP §5.3.1.2.5]; a keyframe of a
/// 60 Mbit/s encoder is under 2 MiB.
pub const MAX_MESSAGE_LENGTH: usize = 4 * 1024 * 1024;

/// Longest message of a peer that may not publish or play yet. A `connect` with every Enhanced RTMP
/// property is under 2 kB.
pub const MAX_MESSAGE_LENGTH_EARLY: usize = 16 * 1024;

/// Chunk streams remembered per connection. Encoders use four or five; 65 598 are expressible.
pub const MAX_CHUNK_STREAMS: usize = 64;

/// Bytes of unfinished messages per connection, all chunk streams together: one longest message,
/// and as much again for what interleaves with it.
pub const MAX_PARTIAL_BYTES: usize = 2 * MAX_MESSAGE_LENGTH;

/// The same for a peer that may not publish or play yet.
pub const MAX_PARTIAL_BYTES_EARLY: usize = 2 * MAX_MESSAGE_LENGTH_EARLY;

/// Smallest chunk size a peer may announce. The specification allows 1 and says that it should be
/// at least 128 [RTMP §5.4.1]; below that, headers cost us more than the payload costs the peer.
pub const MIN_CHUNK_SIZE: usize = 128;

/// Largest chunk that any peer can use: a longer one ends with the message.
pub const MAX_CHUNK_SIZE: usize = MAX_MESSAGE_LENGTH;

/// Chunk size that we announce and cut to. SRS's value; ffmpeg takes it over for what it sends.
pub const OUR_CHUNK_SIZE: usize = 60_000;

/// Bytes asked of a publisher's or an origin's socket at a time: more than [`MAX_UNREAD_BYTES`].
pub const READ_BYTES: usize = 64 * 1024;

/// Bytes asked of the socket of a peer that may not publish or play yet: a `connect`.
pub const READ_BYTES_EARLY: usize = 2048;

/// Bytes asked of a player's socket at a time: it only sends pings and acknowledgements, and a
/// thread's memory grows with it.
pub const PLAYER_READ_BYTES: usize = 512;

/// Between two reads of a publisher or an origin whose stream nobody watches. Whoever begins to gets
/// the stream's group of pictures first, and does not notice.
pub const IDLE_READ: Duration = Duration::from_millis(100);

/// A read falls so long before the round of the stream's sender, for what was read to get there in
/// time on a busy machine; less if rounds follow each other quickly.
pub const EARLY_READ: Duration = Duration::from_millis(3);

/// Bytes that a publisher or an origin should find room for while it is not read. The kernel takes
/// as much at first, half of 128 KiB (`net.ipv4.tcp_rmem`).
pub const MAX_UNREAD_BYTES: u32 = 48 * 1024;

/// Window after which we ask for, and send, acknowledgements [RTMP §5.4.3]. SRS's value.
pub const ACK_WINDOW: u32 = 2_500_000;

/// Smallest acknowledgement window we honour; a peer that asks for less would make us answer every
/// read.
pub const MIN_ACK_WINDOW: u32 = 32 * 1024;

/// Bytes after which it is seen whether to acknowledge, also in the middle of a read.
pub const ACK_STEP: usize = 16 * 1024;

/// Message streams per connection: `createStream` calls less `deleteStream` calls. Clients use one.
pub const MAX_CREATE_STREAMS: u32 = 8;

/// Nested AMF0 objects and arrays we follow before we refuse the message.
pub const MAX_AMF0_DEPTH: usize = 16;

/// AMF0 values in one message: a million one-byte values would cost 30 times their bytes.
pub const MAX_AMF0_VALUES: usize = 1024;

/// Length of an application or stream name.
pub const MAX_NAME_LENGTH: usize = 128;

/// Characters of a static key. Ten attempts a minute find none of these in a thousand years.
pub const MIN_KEY_LENGTH: usize = 8;
/// And at most.
pub const MAX_KEY_LENGTH: usize = 128;

/// Wrong keys from one address within [`WRONG_KEY_TIME`], after which none of its is looked at …
pub const MAX_WRONG_KEYS: u32 = 10;
/// … until this has passed since the first of them.
pub const WRONG_KEY_TIME: Duration = Duration::from_secs(60);

/// Addresses whose wrong keys are counted; the one that has been counted for longest makes room.
pub const MAX_WRONG_KEY_ADDRESSES: usize = 4096;

/// Length of a host name, in a configuration or from an origin; DNS has no longer ones.
pub const MAX_HOST_LENGTH: usize = 253;

/// Length of a query string (`?token=…`) that we keep and forward.
pub const MAX_QUERY_LENGTH: usize = 2048;

/// Messages split out of one aggregate message [RTMP §7.1.6].
pub const MAX_AGGREGATE_MESSAGES: usize = 1024;

/// Modifiers followed in one Enhanced RTMP tag.
pub const MAX_MOD_EX: usize = 8;

/// Sequence headers kept per stream and kind: tracks of a multitrack stream.
pub const MAX_TRACKS: usize = 16;

/// `onMetaData`, or a sequence header, that we keep. Encoders send under 1 kB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// Parameter sets in an AVC sequence header, which HLS repeats at each keyframe, however short that
/// is. Encoders send under 100 bytes.
pub const MAX_PARAMETER_SET_BYTES: usize = 4096;

/// Frames waiting for one player before we drop; about three seconds of audio and video.
pub const PLAYER_QUEUE_FRAMES: usize = 256;

/// Payload bytes waiting for one player before we drop.
pub const PLAYER_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Payload bytes kept of the current group of pictures, per stream.
pub const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// The same when memory is tight: more than [`TIGHT_QUARTERS`] of the budget is used. Groups of
/// pictures are not kept then, and players begin with the next keyframe.
pub const TIGHT_QUEUE_BYTES: usize = 1024 * 1024;

/// See [`TIGHT_QUEUE_BYTES`].
pub const TIGHT_QUARTERS: usize = 3;

/// Bytes of a message in the budget beside its body: what holds it.
pub const FRAME_OVERHEAD: usize = 512;

/// Bytes that who may not publish or play yet can make a connection hold beyond which they are
/// counted in the budget, of which the early may take a quarter.
pub const EARLY_BYTES: usize = 8 * 1024;

/// What the process needs for itself, and the least budget for streams: a large group of pictures.
pub const PROCESS_BYTES: usize = 16 * 1024 * 1024;
/// See [`PROCESS_BYTES`].
pub const LEAST_BUDGET: usize = 32 * 1024 * 1024;

/// Memory of a connection at most, beside what the budget counts: its stack, its small buffers, and
/// its place in the fan-out.
pub const CONNECTION_BYTES: usize = 64 * 1024;

/// Slices of one `sendmsg`: more than usually come in [`MAX_MERGE_TIME`]. The kernel takes 1024, but
/// they are on the stack.
pub const MAX_SLICES: usize = 64;

/// Frames that are handed to a stream's players at a time, under its lock; fewer than a queue holds,
/// so that its sender gets a turn in between.
pub const MAX_BATCH_FRAMES: usize = 128;

/// `SO_SNDBUF` of every connection (the kernel doubles it): what one player can make the kernel
/// hold, and how stale a slow one gets.
pub const SOCKET_SEND_BYTES: usize = 128 * 1024;

/// Stack of a thread. Nothing on it recurses deeper than [`MAX_AMF0_DEPTH`].
pub const THREAD_STACK_BYTES: usize = 256 * 1024;

/// Stack of a thread that only reads what a player says. Not of the other size: the C library would
/// give it the stack of a thread that has ended, with all the memory that this one had touched.
pub const PLAYER_STACK_BYTES: usize = 64 * 1024;

/// A player that stays for so long gets such a thread.
pub const PLAYER_SETTLES: Duration = Duration::from_millis(50);

/// Threads of each of these sizes that wait for the next connection, or player, …
pub const MAX_IDLE_THREADS: usize = 16;
/// … for so long.
pub const IDLE_THREAD_TIME: Duration = Duration::from_secs(5);

/// From accept to a finished handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// From the handshake to a `publish` or `play`.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(15);

/// A socket's timeout is left as it is if it passes a deadline by no more than this part of what is
/// left until then: most reads need no other system call.
pub const TIMEOUT_SLACK: u32 = 8;

/// For a player to take its opening (metadata, headers, group of pictures).
pub const OPENING_DEADLINE: Duration = Duration::from_secs(10);

/// For a peer to take one batch of replies.
pub const REPLY_DEADLINE: Duration = Duration::from_secs(5);

/// How often a player that waits for its stream is looked after: it may have left. And how often one
/// that plays, and can be asked to connect anew, whether the process drains.
pub const PLAYER_LOOK: Duration = Duration::from_secs(1);

/// A player that takes not one byte for so long is reset.
pub const PLAYER_STALL_DEADLINE: Duration = Duration::from_secs(10);

/// For a control message to find a place in its player's queue.
pub const CONTROL_DEADLINE: Duration = Duration::from_secs(5);

/// How long we read what a peer still sends after we said our last word, so that the kernel does
/// not turn the close into a reset.
pub const LINGER_DEADLINE: Duration = Duration::from_secs(1);

/// For everything to end at a stop: the last frames are flushed, then sockets are shut.
pub const STOP_DEADLINE: Duration = Duration::from_millis(2000);

/// How often a stop looks whether what publishers had sent is read.
pub const STOP_POLL: Duration = Duration::from_millis(1);

/// A silent peer is probed after this; together with the next two it is found dead after a minute.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Between two probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes that end a connection.
pub const KEEPALIVE_PROBES: u32 = 3;

/// Replies that wait for a publisher who does not read (OBS does not); more are dropped.
pub const OUTBOX_BYTES: usize = 4096;

/// Connections that wait to be accepted; the kernel's `net.core.somaxconn` caps it.
pub const LISTEN_BACKLOG: i32 = 1024;

/// How long a listener waits in `accept` before it looks whether it should stop.
pub const ACCEPT_POLL: Duration = Duration::from_millis(250);

/// Least wait of a sender that retries players whose socket was full.
pub const RETRY_ROUND: Duration = Duration::from_millis(10);

/// Longest merge time of `mw_latency = "auto"`; SRS's fixed one.
pub const MAX_MERGE_TIME: Duration = Duration::from_millis(350);

/// Players for which `mw_latency = "auto"` adds one millisecond of merge time.
pub const PLAYERS_PER_MERGE_MILLISECOND: usize = 12;

/// Streams that an edge pulls or tries to pull at a time.
pub const MAX_PULLS: usize = 1000;

/// Of these, the ones that have not delivered media yet: what plays of missing names can cost.
pub const MAX_UNPROVEN_PULLS: usize = 128;

/// Players that an edge asks an origin about at a time (`token_traverse`).
pub const MAX_ASKED_PLAYERS: usize = 128;

/// Names whose absence an edge remembers.
pub const MAX_ABSENT_NAMES: usize = 1024;

/// How long the absence of a name delays the next pull of it.
pub const ABSENT_TIME: Duration = Duration::from_secs(1);

/// A pull goes on for so long after its last player left.
pub const PULL_LINGER: Duration = Duration::from_secs(10);

/// For a name server's answer.
pub const RESOLVE_DEADLINE: Duration = Duration::from_secs(3);

/// For a TCP connection to one address of an origin.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// For the handshake with an origin.
pub const ORIGIN_HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);

/// For an origin's answer to `connect` … `publish`, or to `connect` … `play`.
pub const ORIGIN_ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// An origin that sends nothing for so long is left for the next one.
pub const ORIGIN_STALL_DEADLINE: Duration = Duration::from_secs(5);

/// Times in a row that a stream may have moved before we get there, each [`POLL`] after the one before.
pub const MAX_MOVES: u32 = 20;

/// Origins that may send us on to another one, in a row.
pub const MAX_REDIRECTS: usize = 3;

/// From resolving to yes, for the only origin. Encoders give up after about 10 s.
pub const ONLY_ORIGIN_PATIENCE: Duration = Duration::from_secs(9);
/// The same for one of several: the next one gets its turn before a player's `play_wait` is over.
pub const ORIGIN_PATIENCE: Duration = Duration::from_millis(2500);

/// A listener that closes takes what waits in its backlog, for at most so long.
pub const BACKLOG_TIME: Duration = Duration::from_millis(50);

/// An origin that failed is tried after the others for so long.
pub const ORIGIN_DOWN_TIME: Duration = Duration::from_secs(10);

/// A pull that begins gets a burst: the origin's cached group of pictures. Players join when it is
/// over, that is when nothing came for this long …
pub const BURST_GAP: Duration = Duration::from_millis(10);
/// … from a process on this machine, this long …
pub const SIBLING_BURST_GAP: Duration = Duration::from_millis(3);
/// … or when it has lasted this long.
pub const BURST_TIME: Duration = Duration::from_millis(250);

/// How often a thread that waits for something else looks whether it should end.
pub const POLL: Duration = Duration::from_millis(100);

/// Shortest and longest wait between attempts to reach an origin.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// See [`BACKOFF_MIN`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Longest wait while players that have already seen media hang on it.
pub const BACKOFF_MAX_WATCHED: Duration = Duration::from_secs(1);

/// A publisher on an edge is let go when no origin takes its stream for so long.
pub const FORWARD_DEADLINE: Duration = Duration::from_secs(20);

/// Longest head of a request; nothing else of a request is taken. Browsers send under 2 kB, and a
/// token may be as long as [`MAX_QUERY_LENGTH`].
pub const MAX_HTTP_HEAD: usize = 8 * 1024;

/// Fields in one. Browsers send under 30.
pub const MAX_HTTP_FIELDS: usize = 64;

/// Bytes asked of an HTTP connection's socket at a time.
pub const HTTP_READ_BYTES: usize = 2048;

/// Quarters of `max_connections` that HTTP connections may take: the last one is kept for
/// publishers and RTMP players.
pub const HTTP_QUARTERS: usize = 3;

/// Connections of one listener that were told 503 and are not closed yet: closing at once would make the kernel
/// reset them, and the peer lose the answer.
pub const MAX_TURNED_AWAY: usize = 32;

/// Connections that one address may have at least, if `max_connections` is as high.
pub const LEAST_PER_ADDRESS: usize = 100;

/// What peers can make happen as often as they like is logged once in so long.
pub const REPEATED_LOG: Duration = Duration::from_secs(10);

/// From the first byte of a request (of the first request: from accept) to the end of its head.
pub const HTTP_HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// Between two requests. Players ask for a playlist every few seconds.
pub const HTTP_IDLE_DEADLINE: Duration = Duration::from_secs(30);

/// For a peer to take a response; and as long again for each [`HTTP_LEAST_RATE`] bytes of it.
pub const HTTP_RESPONSE_DEADLINE: Duration = Duration::from_secs(10);
/// 256 kbit/s: who takes less cannot play what is here.
pub const HTTP_LEAST_RATE: u64 = 10 * 32 * 1024;

/// Bytes of one `sendfile`, between two looks at the deadline.
pub const SENDFILE_BYTES: usize = 256 * 1024;

/// For the peer to take some of them. The kernel waits so long several times in one `sendfile`.
pub const SENDFILE_WAIT: Duration = Duration::from_millis(500);

/// Files up to this length (a playlist) are read, and sent with the head in one piece.
pub const SMALL_FILE_BYTES: u64 = 16 * 1024;

/// Streams on the index page.
pub const MAX_LISTED_STREAMS: usize = 1000;

/// Clients on the live page, of all streams together.
pub const MAX_LISTED_CLIENTS: usize = 1000;

/// How old the live page may be: whoever asks in this time gets the same one.
pub const PAGE_KEPT: Duration = Duration::from_secs(1);

/// Edges a stream may pass on its way from the origin. A loop ends here.
pub const MAX_EDGE_HOPS: u32 = 8;

/// Segments of a playlist: a day of ten-second ones.
pub const MAX_PLAYLIST_SEGMENTS: usize = 8640;

/// Bytes of a segment; a longer one is cut wherever it is.
pub const MAX_SEGMENT_BYTES: usize = 128 * 1024 * 1024;

/// Milliseconds of the first segment, if no keyframe ends it; those after it obey the target.
pub const MAX_FIRST_SEGMENT: u64 = 30_000;

/// Milliseconds of a segment; a shorter one is left out, or leaping timestamps would make a file of
/// each frame. A stream's last segment may be as short as it is.
pub const MIN_SEGMENT: u64 = 100;

/// Milliseconds by which timestamps may leap ahead before that is another time line.
pub const MAX_HLS_GAP: i64 = 10_000;

/// Milliseconds by which a track may fall back before that is another time line.
pub const MAX_HLS_BACKWARD: u64 = 1000;

/// Milliseconds after which a track that appears for the first time is not late, but new.
pub const MAX_HLS_LATE_TRACK: u64 = 2000;

/// Milliseconds between two frames that the last frame of a segment can be thought to last.
pub const MAX_HLS_INTERVAL: u64 = 1000;

/// Milliseconds that a segment may exceed its target by: timestamps jitter, and players compare
/// rounded seconds.
pub const HLS_SLACK: u64 = 250;

/// Milliseconds of audio that share one packet: what its header costs is shared too.
pub const HLS_AUDIO_BATCH: u64 = 60;

/// Bytes of a playlist that is taken up again: [`MAX_PLAYLIST_SEGMENTS`] lines.
pub const MAX_PLAYLIST_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a segment that are written at once.
pub const HLS_WRITE_BYTES: usize = 64 * 1024;

/// For the process that wrote a stream before to finish its last segment.
pub const HLS_CLAIM_DEADLINE: Duration = Duration::from_secs(1);
/// How often its lock is tried.
pub const HLS_CLAIM_POLL: Duration = Duration::from_millis(20);

/// Between two looks for streams that have been idle for long.
pub const JANITOR_ROUND: Duration = Duration::from_secs(5);

/// Connections of processes that share the port: one for each stream that one of them plays from
/// here.
pub const MAX_SIBLING_CONNECTIONS: usize = 1000;

/// For a sibling's door to open. Longer, and the process hangs.
pub const SIBLING_CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// For a sibling that holds a stream to be done with it: it may be about to, or be swept.
pub const SIBLING_CLAIM_DEADLINE: Duration = Duration::from_millis(100);

/// For one to give it up to a publisher that takes over. Encoders wait longer.
pub const SIBLING_TAKEOVER_DEADLINE: Duration = Duration::from_secs(2);

/// Length of the path of `run_dir`: with the name of a socket in it, it must fit into an address of 108
/// bytes (unix(7)).
pub const MAX_RUN_DIR_LENGTH: usize = 80;

/// Files in it that are looked at at a time.
pub const MAX_RUN_DIR_FILES: usize = 16_384;

/// Bytes of one that says who holds a stream: two names and two numbers.
pub const MAX_ANNOUNCEMENT_BYTES: u64 = 512;

/// `app`, `tcUrl`, `pageUrl` or `swfUrl` of a `connect`, each kept as long as the peer is connected; what
/// is longer is left out. A query string may be as long as [`MAX_QUERY_LENGTH`].
pub const MAX_INTRODUCTION_LENGTH: usize = 2 * MAX_QUERY_LENGTH;

/// For all hooks of one event to answer, from the first byte that is sent. Encoders and players give
/// up after about 10 s, and an origin may have to be asked after that.
pub const HOOK_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a hook's answer: head, body and what frames it. SRS's answers are under 200.
pub const MAX_HOOK_ANSWER: usize = 16 * 1024;

/// Hooks that are asked at a time; more wait for their turn, within [`HOOK_DEADLINE`].
pub const MAX_HOOK_ASKS: usize = 64;

/// So many of these at one server: a slow one leaves the rest to the hooks of other vhosts.
pub const MAX_HOOK_ASKS_EACH: usize = 32;

/// Threads that tell one hook's server about what has happened. What a peer did is told by one, in
/// order.
pub const HOOK_LANES: u64 = 4;

/// Bytes that wait for each of these; the oldest are dropped for more.
pub const HOOK_QUEUE_BYTES: usize = 1024 * 1024;

/// A server that is down is tried again, for what happened so long ago at most.
pub const HOOK_PATIENCE: Duration = Duration::from_secs(60);

/// At a stop what waits is told within this, and dropped then: less than [`STOP_DEADLINE`].
pub const HOOK_FLUSH: Duration = Duration::from_millis(1500);

/// Bytes of a file of SRS that is converted, with what it includes. SRS's own full.conf has 100 KiB.
pub const MAX_SRS_CONF_BYTES: usize = 1024 * 1024;

/// Blocks and included files within each other there; SRS has four.
pub const MAX_SRS_CONF_DEPTH: usize = 16;

/// Directives in it: each that is refused costs one more look at all. SRS's full.conf has 700.
pub const MAX_SRS_CONF_DIRECTIVES: usize = 4096;

/// Bytes of a URL that is shown, of what a peer says of itself.
pub const MAX_SHOWN_URL: usize = 256;

/// Samples of a picture's width or height; what says that there are more is not believed.
pub const MAX_PICTURE_LENGTH: u32 = 16_384;

/// Between two samples of what has been counted, for what is shown per second …
pub const RATE_SAMPLE_TIME: Duration = Duration::from_secs(10);
/// … over so many of them: SRS shows 30 s.
pub const RATE_SAMPLES: usize = 3;

/// Length of the API's user name and of its password.
pub const MAX_LOGIN_LENGTH: usize = 128;

/// Connections to the API: these do not count among others, so that players cannot lock the operator
/// out. Dashboards, scrapers and people are few.
pub const MAX_API_CONNECTIONS: usize = 32;
/// Of one address, also of this machine: others find a place, whoever comes through a proxy here. Twice
/// what a browser opens, and more.
pub const MAX_API_CONNECTIONS_PER_ADDRESS: usize = 16;

/// Bytes that a sibling says of itself: some 700 for each client.
pub const MAX_OVERVIEW_BYTES: usize = 16 * 1024 * 1024;

/// For one to say so. Longer, and it is left out.
pub const SIBLING_OVERVIEW_DEADLINE: Duration = Duration::from_secs(2);

/// For one to say so to who makes the live page, or to end a client, since others wait, too …
pub const SIBLING_PATIENCE: Duration = Duration::from_millis(500);
/// … and so long the page does not ask it again. One that hangs slows one page of ten down.
pub const SIBLING_SILENCE: Duration = Duration::from_secs(10);

/// Siblings that are asked at a time.
pub const MAX_SIBLINGS_ASKED: usize = 64;

/// Streams with a line of their own in the metrics: each makes several series in Prometheus.
pub const MAX_METRIC_STREAMS: usize = 1000;
