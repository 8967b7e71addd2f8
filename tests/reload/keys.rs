//! Every key: what a reload makes of it.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use srs_lite::config::Config;

use crate::support::amf::Value;
use crate::support::chunk::{Cut, Message, cut};
use crate::support::connection::{Connection, End};
use crate::support::eventually;
use crate::support::hls::{self, Playlist, await_playlist};
use crate::support::http;
use crate::support::origin::{Origin, Redirector};
use crate::support::peer::{Player, Publisher, play, publish, publishing};
use crate::support::server::Server;

/// What is asked of a key.
enum Row {
    /// Needs a restart, with this value beside these lines; what else waits with it.
    Waits(&'static str, &'static str, &'static str),
    /// Acts at once.
    Acts(fn()),
    /// Has one value.
    Constant,
}

use Row::{Acts, Constant, Waits};

const TABLE: &[(&str, Row)] = &[
    ("listen", Waits("1", "", "")),
    ("max_connections", Acts(max_connections)),
    ("max_connections_per_address", Acts(per_address)),
    ("max_memory", Acts(max_memory)),
    ("user", Waits("\"nobody\"", "", "")),
    ("group", Waits("\"nogroup\"", "user = \"nobody\"", "user")),
    ("run_dir", Waits("\"\"", "", "")),
    ("pid", Waits("\"pid\"", "", "")),
    ("grace_final_wait", Acts(grace_final_wait)),
    ("srs_log_tank", Waits("\"file\"", "", "")),
    ("srs_log_file", Waits("\"log\"", "", "")),
    ("srs_log_level", Acts(srs_log_level)),
    (
        "cluster.mode",
        Waits("\"remote\"", "cluster.origin = \"h\"", "cluster.origin"),
    ),
    ("cluster.origin", Acts(cluster_origin)),
    ("cluster.origin_cluster", Acts(origin_cluster)),
    ("cluster.coworkers", Acts(coworkers)),
    ("cluster.redirects", Acts(redirects)),
    ("cluster.token_traverse", Acts(token_traverse)),
    ("cluster.vhost", Acts(cluster_vhost)),
    ("play.gop_cache", Acts(gop_cache)),
    ("play.gop_cache_max_frames", Acts(gop_cache_max_frames)),
    ("play.mw_latency", Acts(mw_latency)),
    ("play.play_wait", Acts(play_wait)),
    ("publish.publisher_wait", Acts(publisher_wait)),
    ("publish.firstpkt_timeout", Acts(firstpkt_timeout)),
    ("publish.normal_timeout", Acts(normal_timeout)),
    ("publish.republish", Acts(republish)),
    ("hls.enabled", Acts(hls_enabled)),
    ("hls.hls_path", Acts(hls_path)),
    ("hls.hls_fragment", Acts(hls_fragment)),
    ("hls.hls_window", Acts(hls_window)),
    ("hls.hls_td_ratio", Acts(hls_td_ratio)),
    ("hls.hls_cleanup", Acts(hls_cleanup)),
    ("hls.hls_dispose", Acts(hls_dispose)),
    ("hls.hls_entry_prefix", Acts(hls_entry_prefix)),
    ("security.enabled", Acts(security_enabled)),
    ("security.allow", Acts(security_allow)),
    ("security.deny", Acts(security_deny)),
    ("security.keys", Acts(security_keys)),
    ("security.key_file", Acts(security_key_file)),
    ("http_server.enabled", Waits("true", "", "")),
    (
        "http_server.listen",
        Waits("1", "http_server.enabled = true", "http_server.enabled"),
    ),
    ("http_server.dir", Acts(http_dir)),
    ("http_remux.enabled", Acts(http_remux)),
    ("http_remux.mount", Constant),
    ("pithy_print_ms", Acts(pithy_print)),
    ("http_api.enabled", Waits("true", "", "")),
    (
        "http_api.listen",
        Waits("1", "http_api.enabled = true", "http_api.enabled"),
    ),
    ("http_api.crossdomain", Acts(api_crossdomain)),
    ("http_api.auth.enabled", Acts(api_auth)),
    ("http_api.auth.username", Acts(api_username)),
    ("http_api.auth.password", Acts(api_password)),
    ("http_server.index", Acts(http_index)),
    ("http_hooks.enabled", Acts(hooks)),
    ("http_hooks.on_connect", Acts(with_hooks_enabled)),
    ("http_hooks.on_close", Acts(with_hooks_enabled)),
    ("http_hooks.on_publish", Acts(with_hooks_enabled)),
    ("http_hooks.on_unpublish", Acts(with_hooks_enabled)),
    ("http_hooks.on_play", Acts(with_hooks_enabled)),
    ("http_hooks.on_stop", Acts(with_hooks_enabled)),
    ("http_hooks.on_hls", Acts(with_hooks_enabled)),
];

const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";

const HTTP: &str = "http_server.enabled = true\nhttp_server.listen = \"127.0.0.1:0\"\n\
                    http_server.dir = \"html\"\n";

const HLS: &str = "hls.enabled = true\nhls.hls_path = \"html\"\nhls.hls_fragment = 1\n";

#[test]
fn every_key_is_in_the_table() {
    let mut keys = Config::keys();
    let mut tried: Vec<&str> = TABLE.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    tried.sort_unstable();
    assert_eq!(keys, tried);
}

#[test]
fn keys_of_the_process() {
    try_all(|key| !key.contains('.'));
}

#[test]
fn keys_of_cluster() {
    try_all(|key| key.starts_with("cluster."));
}

#[test]
fn keys_of_play_and_publish() {
    try_all(|key| key.starts_with("play.") || key.starts_with("publish."));
}

#[test]
fn keys_of_hls() {
    try_all(|key| key.starts_with("hls."));
}

#[test]
fn keys_of_security_and_http() {
    try_all(|key| key.starts_with("security.") || key.starts_with("http_"));
}

fn try_all(of: fn(&str) -> bool) {
    for (key, row) in TABLE.iter().filter(|(key, _)| of(key) && is_built(key)) {
        match row {
            Waits(value, beside, with) => waits(key, value, beside, with),
            Acts(act) => act(),
            Constant => {}
        }
    }
}

/// A build without a feature refuses what turns it on.
fn is_built(key: &str) -> bool {
    match key {
        "http_server.index" => cfg!(feature = "page"),
        key => !key.starts_with("http_api.") || cfg!(feature = "api"),
    }
}

fn waits(key: &str, value: &str, beside: &str, with: &str) {
    let server = Server::start(LISTEN);
    let (address, threads) = (server.address(), server.threads());
    let rest: Vec<_> = LISTEN
        .lines()
        .filter(|line| !line.starts_with(key))
        .collect();
    let text = format!("{}\n{beside}\n{key} = {value}\n", rest.concat());
    let mut keys = vec![key, with];
    keys.retain(|key| !key.is_empty());
    keys.sort_unstable();
    let expected = format!("needs a restart, and is as it was: {}", keys.join(", "));
    let line = server.reload(&text, "SIGHUP: ");
    assert!(line.ends_with(&expected), "{key}: {line}");
    // It is what it was: an origin without HTTP, at its port, with one log.
    assert_eq!(server.threads(), threads, "{key}");
    let mut publisher = publishing(address, "a");
    publisher.send_group(1, 3);
    play(address, "live", "a").frames_until(4);
    server.wait_log(": plays live/a");
    server.stop();
}

/// A server with `base`, and then with `key = value` instead of what `base` says of it.
fn changed(base: &str, key: &str, value: &str) -> Server {
    let server = Server::start(&format!("{LISTEN}{base}"));
    change(&server, base, key, value);
    server
}

fn change(server: &Server, base: &str, key: &str, value: &str) {
    let is_other = |line: &&str| !line.starts_with(&format!("{key} ="));
    let rest: Vec<_> = base.lines().filter(is_other).collect();
    let text = format!("{LISTEN}{}\n{key} = {value}\n", rest.join("\n"));
    server.reload(&text, &format!("[INFO] SIGHUP: changed: {key}"));
}

fn max_connections() {
    let server = changed("", "max_connections", "1");
    let _peers = [(); 2].map(|()| TcpStream::connect(server.address()).unwrap());
    server.wait_log("no room for another connection: max_connections is 1;");
}

fn per_address() {
    let server = changed("", "max_connections_per_address", "1");
    let _peers = [(); 2].map(|()| TcpStream::connect(server.address()).unwrap());
    server.wait_log("127.0.0.1: max_connections_per_address is 1;");
}

fn max_memory() {
    let server = changed("max_connections = 100\n", "max_memory", "64");
    let message = Message {
        csid: 6,
        type_id: 9,
        stream: 1,
        payload: vec![0x27; 4 << 20],
        ..Message::default()
    };
    let mut chunks = cut(&message, Cut::plain(4096)).concat();
    chunks.pop();
    let unfinished = |number| {
        let mut publisher = publish(server.address(), "live", &format!("m{number}")).unwrap();
        let _gone = publisher.connection.send_raw(&chunks);
        publisher
    };
    let _held: Vec<_> = (0..20).map(unfinished).collect();
    server.wait_log("no memory is left for what it sends");
}

fn grace_final_wait() {
    let mut server = changed("", "grace_final_wait", "0");
    let _peer = Connection::open(server.address()).unwrap();
    // It is 30 s otherwise, and nobody waits so long here.
    server.signal(Signal::SIGQUIT);
    server.wait();
}

fn srs_log_level() {
    let server = changed(HTTP, "srs_log_level", "\"info\"");
    http::get(server.http_address(), "/");
    server.wait_log("[DEBUG]");
    change(&server, HTTP, "srs_log_level", "\"trace\"");
    let said = server.count_log("[DEBUG]");
    http::get(server.http_address(), "/");
    publish(server.address(), "live", "a").unwrap();
    server.wait_log(": publishes live/a");
    assert_eq!(server.count_log("[DEBUG]"), said);
}

/// An origin with a stream.
fn origin(more: &str, name: &str) -> (Server, Publisher) {
    let origin = Server::start(&format!("{LISTEN}{more}"));
    let mut publisher = publishing(origin.address(), name);
    publisher.send_group(1, 3);
    (origin, publisher)
}

fn assert_plays(server: &Server, name: &str) -> Player {
    let mut player = play(server.address(), "live", name);
    assert_eq!(player.frames_until(4), 1, "{name}");
    player
}

fn cluster_origin() {
    let (first, mut feed) = origin("", "a");
    let (second, _feed) = origin("", "b");
    let base = format!(
        "cluster.mode = \"remote\"\ncluster.origin = \"{}\"\n",
        first.address()
    );
    let edge = Server::start(&format!("{LISTEN}{base}"));
    let mut player = assert_plays(&edge, "a");
    let address = format!("[\"{}\"]", second.address());
    change(&edge, &base, "cluster.origin", &address);
    assert_plays(&edge, "b");
    // What is being fetched goes on.
    feed.send_group(5, 3);
    assert_eq!(player.frames_until(8), 5);
}

/// Without siblings: there was nobody to ask.
fn origin_cluster() {
    let (other, _feed) = origin("", "a");
    let base = "run_dir = \"\"\n";
    let server = Server::start(&format!("{LISTEN}{base}"));
    let text = format!(
        "{LISTEN}{base}cluster.origin_cluster = true\ncluster.coworkers = \"{}\"\n",
        other.address()
    );
    server.reload(&text, "changed: cluster.coworkers, cluster.origin_cluster");
    assert_plays(&server, "a");
}

fn coworkers() {
    let (other, _feed) = origin("", "a");
    let base = "cluster.origin_cluster = true\ncluster.coworkers = \"127.0.0.1:1\"\n";
    let address = format!("\"{}\"", other.address());
    assert_plays(&changed(base, "cluster.coworkers", &address), "a");
}

fn redirects() {
    let (target, _feed) = origin("", "a");
    let srs = Redirector::new(
        Origin::new(),
        &format!("rtmp://{}/live/a", target.address()),
    );
    let base = format!(
        "cluster.mode = \"remote\"\ncluster.origin = \"{}\"\n",
        srs.address()
    );
    let address = format!("\"{}\"", target.address());
    assert_plays(&changed(&base, "cluster.redirects", &address), "a");
}

fn cluster_vhost() {
    let origin = Origin::new();
    let base = format!(
        "cluster.mode = \"remote\"\ncluster.origin = \"{}\"\n",
        origin.address()
    );
    let edge = changed(&base, "cluster.vhost", "\"same.test\"");
    let _player = play(edge.address(), "live", "a");
    let asked = origin.await_asked();
    let url = asked.object.property("tcUrl").map(Value::text);
    assert_eq!(url, Some("rtmp://same.test/live"));
}

fn token_traverse() {
    let keys = "security.keys = [\"play live/* members-key\"]\n";
    let (origin, _feed) = origin(keys, "a");
    let base = format!(
        "cluster.mode = \"remote\"\ncluster.origin = \"{}\"\n",
        origin.address()
    );
    let edge = Server::start(&format!("{LISTEN}{base}"));
    let _first = assert_plays(&edge, "a?key=members-key");
    assert_plays(&edge, "a");
    change(&edge, &base, "cluster.token_traverse", "true");
    let mut refused = play(edge.address(), "live", "a");
    while refused.receive().is_ok_and(|message| !message.is_media()) {}
    let is_error = |status: &crate::support::chunk::Status| status.level == "error";
    assert!(refused.told.iter().any(is_error), "{:?}", refused.told);
    assert_plays(&edge, "a?key=members-key");
}

/// A player of a stream that was there before gets no group of pictures.
fn assert_no_group(key: &str, value: &str) {
    let (server, mut publisher) = origin("", "a");
    publisher.await_read();
    assert_plays(&server, "a");
    change(&server, "", key, value);
    let mut player = play(server.address(), "live", "a");
    player.wait_told("NetStream.Play.Start");
    publisher.send_group(5, 3);
    assert_eq!(player.frames_until(8), 5, "{key}");
}

fn gop_cache() {
    assert_no_group("play.gop_cache", "false");
}

fn gop_cache_max_frames() {
    assert_no_group("play.gop_cache_max_frames", "2");
}

/// Also of streams that run: the second of two frames waits for the round after.
fn mw_latency() {
    let (server, mut publisher) = origin("", "a");
    let mut player = assert_plays(&server, "a");
    change(&server, "", "play.mw_latency", "2000");
    let mut next = |number| {
        publisher.send_group(number, 0);
        player.frames_until(number);
        Instant::now()
    };
    let first = next(5);
    let took = next(6).duration_since(first);
    assert!(took > Duration::from_secs(1), "{took:?}");
}

fn play_wait() {
    let server = changed("", "play.play_wait", "0.1");
    let mut player = play(server.address(), "live", "absent");
    let told = player.wait_told("NetStream.Play.StreamNotFound");
    assert!(told.description.ends_with("within 0.1 s"), "{told:?}");
}

fn publisher_wait() {
    let (server, publisher) = origin("", "a");
    let mut player = assert_plays(&server, "a");
    change(&server, "", "publish.publisher_wait", "0.1");
    publisher.unpublish();
    player.wait_told("NetStream.Play.UnpublishNotify");
}

/// A publisher that goes silent, in this phase, ends within what a test waits.
fn assert_silence_ends(key: &str, with_media: bool) {
    let base = "publish.firstpkt_timeout = 60000\npublish.normal_timeout = 60000\n";
    let server = changed(base, key, "100");
    let mut publisher = publish(server.address(), "live", "a").unwrap();
    if with_media {
        publisher.send_headers(0);
    }
    let (_, end) = publisher.connection.drain();
    assert_ne!(end, End::Silent, "{key}");
}

fn firstpkt_timeout() {
    assert_silence_ends("publish.firstpkt_timeout", false);
}

fn normal_timeout() {
    assert_silence_ends("publish.normal_timeout", true);
}

fn republish() {
    let (server, _publisher) = origin("", "a");
    publish(server.address(), "live", "a").unwrap_err();
    change(&server, "", "publish.republish", "\"takeover\"");
    publish(server.address(), "live", "a").unwrap();
}

/// All of the block: who is let in before is told of no more than what is wanted then.
#[cfg(feature = "hooks")]
fn hooks() {
    use crate::support::hook_server::{HookServer, Reply};

    let hooks = HookServer::start(|heard| match heard.action() {
        "on_publish" => Reply::status("200 OK", "1"),
        _ => Reply::yes(),
    });
    let all = [
        "connect",
        "close",
        "publish",
        "unpublish",
        "play",
        "stop",
        "hls",
    ];
    let url = |key: &str| format!("http_hooks.on_{key} = \"http://{}/\"\n", hooks.address);
    let base: String = all.into_iter().map(url).collect();
    let (server, _publisher) = origin("", "a");
    change(&server, &base, "http_hooks.enabled", "true");
    let why = publish(server.address(), "live", "b").unwrap_err();
    assert!(
        why.description.contains("on_publish did not say yes"),
        "{why:?}"
    );
    hooks.wait("on_connect", 1);
    hooks.wait("on_close", 1);
}

/// This build refuses to.
#[cfg(not(feature = "hooks"))]
fn hooks() {}

/// It is changed there.
fn with_hooks_enabled() {}

/// The playlist of a stream of so many milliseconds, published after the change.
fn playlist(base: &str, key: &str, value: &str, until: u32) -> Playlist {
    let server = changed(base, key, value);
    record(&server, "html", until)
}

fn record(server: &Server, directory: &str, until: u32) -> Playlist {
    let directory = server.directory().join(directory);
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..until);
    publisher.unpublish();
    await_playlist(&directory, "a", "a segment", |playlist| {
        playlist.entries.len() > 1
    })
}

fn hls_enabled() {
    let base = HLS.replace("hls.enabled = true", "hls.enabled = false");
    playlist(&base, "hls.enabled", "true", 3000);
}

fn hls_path() {
    let server = changed(HLS, "hls.hls_path", "\"other\"");
    record(&server, "other", 3000);
    assert!(!server.directory().join("html/live").exists());
}

fn hls_fragment() {
    let base = HLS.replace("hls.hls_fragment = 1", "hls.hls_fragment = 10");
    assert_eq!(playlist(&base, "hls.hls_fragment", "1", 3000).target, 1);
}

fn hls_window() {
    let server = changed(HLS, "hls.hls_window", "1");
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..12_000);
    publisher.unpublish();
    let directory = server.directory().join("html");
    // Twelve segments: at least three are listed, and those that are older are not.
    let is_short = |playlist: &Playlist| playlist.entries.len() < 6;
    let eleventh = |playlist: &Playlist| {
        let files = fs::read_dir(directory.join("live/a")).unwrap().count();
        files >= 11 && is_short(playlist)
    };
    await_playlist(&directory, "a", "a short window", eleventh);
}

fn hls_td_ratio() {
    assert_eq!(playlist(HLS, "hls.hls_td_ratio", "3", 5000).target, 3);
}

fn hls_cleanup() {
    let base = format!("{HLS}hls.hls_window = 1\nhls.hls_cleanup = false\n");
    let server = changed(&base, "hls.hls_cleanup", "true");
    let directory = server.directory().join("html");
    let mut publisher = publishing(server.address(), "a");
    hls::send(&mut publisher, 0..2000);
    let first = await_playlist(&directory, "a", "a segment", |_| true).sequence;
    let segment = directory.join(format!("live/a/{first}.ts"));
    assert!(segment.exists());
    let mut time = 2000;
    eventually("the first segment is removed", || {
        hls::send(&mut publisher, time..time + 1000);
        time += 1000;
        !segment.exists()
    });
}

fn hls_dispose() {
    let base = format!("{HLS}hls.hls_dispose = 0\n");
    let server = Server::start(&format!("{LISTEN}{base}"));
    record(&server, "html", 3000);
    change(&server, &base, "hls.hls_dispose", "1");
    let playlist = server.directory().join("html/live/a.m3u8");
    eventually("the files are removed", || !playlist.exists());
}

fn hls_entry_prefix() {
    let playlist = playlist(HLS, "hls.hls_entry_prefix", "\"/prefix\"", 3000);
    let uri = &playlist.entries[0].uri;
    assert!(uri.starts_with("/prefix/live/a/"), "{uri}");
}

fn security_enabled() {
    let base = "security.deny = [\"publish all\"]\n";
    let server = changed(base, "security.enabled", "false");
    publish(server.address(), "live", "a").unwrap();
}

fn security_allow() {
    let base = "security.allow = [\"publish 10.0.0.1\"]\n";
    let server = changed(base, "security.allow", "[\"publish loopback\"]");
    publish(server.address(), "live", "a").unwrap();
}

fn security_deny() {
    let (server, mut publisher) = origin("", "a");
    change(&server, "", "security.deny", "[\"publish loopback\"]");
    publish(server.address(), "live", "b").unwrap_err();
    // Who was allowed goes on.
    publisher.send_group(5, 3);
    publisher.await_read();
    assert_eq!(play(server.address(), "live", "a").frames_until(8), 5);
}

fn security_keys() {
    let base = "security.keys = [\"publish live/* first-key\"]\n";
    let server = changed(base, "security.keys", "[\"publish live/* second-key\"]");
    publish(server.address(), "live", "a?key=first-key").unwrap_err();
    publish(server.address(), "live", "a?key=second-key").unwrap();
    assert_eq!(server.count_log("second-key"), 0);
}

fn security_key_file() {
    let server = Server::start(LISTEN);
    fs::write(server.directory().join("keys"), "publish * first-key\n").unwrap();
    change(&server, "", "security.key_file", "\"keys\"");
    publish(server.address(), "live", "a").unwrap_err();
}

fn http_dir() {
    let server = Server::start(&format!("{LISTEN}{HTTP}"));
    // One that is connected sees it, too.
    let mut client = http::Client::open(server.http_address());
    let mut status = || {
        client.send("GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        client.response(true).status
    };
    assert_eq!(status(), 404);
    change(&server, HTTP, "http_server.dir", "\"other\"");
    fs::write(server.directory().join("other/a.txt"), "a").unwrap();
    assert_eq!(status(), 200);
}

fn http_remux() {
    let server = Server::start(&format!("{LISTEN}{HTTP}"));
    let mut publisher = publishing(server.address(), "a");
    publisher.send_group(1, 3);
    publisher.await_read();
    let address = server.http_address();
    assert_eq!(http::get(address, "/live/a.flv").status, 404);
    change(&server, HTTP, "http_remux.enabled", "true");
    let mut player = http::FlvPlayer::play(address, "a.flv");
    assert_eq!(player.frames_until(4), 1);
}

fn pithy_print() {
    let server = changed("", "pithy_print_ms", "1000");
    let _publisher = publishing(server.address(), "a");
    server.wait_log(" connections, 1 publishers, ");
}

const API: &str = "http_api.enabled = true\nhttp_api.listen = \"127.0.0.1:0\"\n";

/// One that asks for `a` and `b`.
const GUARDED: &str = "http_api.enabled = true\nhttp_api.listen = \"127.0.0.1:0\"\n\
                       http_api.auth.enabled = true\nhttp_api.auth.username = \"a\"\n\
                       http_api.auth.password = \"b\"\n";

fn ask_api(server: &Server) -> http::Response {
    let mut client = http::Client::open(server.api_address());
    let login = "Authorization: Basic YTpi";
    client.send(&format!(
        "GET /api/v1/versions HTTP/1.1\r\nHost: localhost\r\n{login}\r\n\r\n"
    ));
    client.response(true)
}

fn api_crossdomain() {
    let server = changed(API, "http_api.crossdomain", "true");
    let allowed = ask_api(&server);
    assert_eq!(allowed.field("Access-Control-Allow-Origin"), Some("*"));
}

fn api_auth() {
    let base = GUARDED.replace("http_api.auth.enabled = true\n", "");
    let server = Server::start(&format!("{LISTEN}{base}"));
    let mut client = http::Client::open(server.api_address());
    let mut asked = || {
        client.send("GET /api/v1/versions HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.response(true).status
    };
    assert_eq!(asked(), 200);
    change(&server, &base, "http_api.auth.enabled", "true");
    assert_eq!((asked(), ask_api(&server).status), (401, 200));
}

fn api_username() {
    let server = Server::start(&format!("{LISTEN}{GUARDED}"));
    assert_eq!(ask_api(&server).status, 200);
    change(&server, GUARDED, "http_api.auth.username", "\"c\"");
    assert_eq!(ask_api(&server).status, 401);
}

fn api_password() {
    let server = Server::start(&format!("{LISTEN}{GUARDED}"));
    assert_eq!(ask_api(&server).status, 200);
    change(&server, GUARDED, "http_api.auth.password", "\"c\"");
    assert_eq!(ask_api(&server).status, 401);
}

fn http_index() {
    let server = Server::start(&format!("{LISTEN}{HTTP}"));
    let page = || http::get(server.http_address(), "/").body;
    let before = page();
    change(&server, HTTP, "http_server.index", "true");
    assert_ne!(page(), before);
}
