#![cfg(test)]
//! SIGHUP: what has changed in the file acts, or is said to need a restart; nobody is disconnected.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "an overflow in a test fails the test"
)]

mod keys;
mod load;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use support::peer::{play, publish, publishing};
use support::server::Server;
use support::temp::TempDir;

/// What `-t` says of a file.
fn tested(server: &Server) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_srs-lite"));
    let output = command.arg("-t").arg("-c").arg(server.file()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.trim_end().strip_prefix("srs-lite: ").unwrap();
    said.to_owned()
}

#[test]
fn a_bad_file_changes_nothing_and_the_log_says_what_t_does() {
    let good = "listen = \"127.0.0.1:0\"\n";
    let server = Server::start(good);
    let secret = "security.keys = [\"publish live/* hidden-key\", \"publish live/* bad key\"]\n";
    for (bad, why) in [
        ("nonsense = 1\n", "key `nonsense`: not known"),
        ("play.play_wait = -1\n", "key `play.play_wait`: expected"),
        ("listen 1935;\n", "SRS's own syntax"),
        (secret, "key `security.keys`: expected"),
        ("security.key_file = \"absent\"\n", "absent: cannot be read"),
        (
            "http_server.enabled = true\nhttp_server.listen = 1935\n",
            "key `http_server.listen`: RTMP listens there",
        ),
    ] {
        let text = format!("security.deny = [\"publish all\"]\n{bad}");
        let line = server.reload(&text, "SIGHUP: nothing is changed: ");
        assert!(line.contains("[ERROR]") && line.contains(why), "{line}");
        assert!(line.ends_with(&tested(&server)), "{line}");
        // What was right in it does not count either.
        publish(server.address(), "live", "a").unwrap();
    }
    assert_eq!(server.count_log("hidden-key"), 0);
    fs::remove_file(server.file()).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_log("srs-lite.conf: cannot be read");
    // The same file again is no change.
    server.reload(good, "[INFO] SIGHUP: nothing has changed in ");
    assert_eq!(server.count_log("SIGHUP: changed"), 0);
    server.stop();
}

/// The directory cannot be created: the process goes on with the old one.
#[test]
fn what_the_machine_refuses_changes_nothing() {
    let config = format!("listen = \"127.0.0.1:0\"\n{}", support::http::CONFIG);
    let server = Server::start(&config);
    fs::write(server.directory().join("file"), "").unwrap();
    let bad = config.replace("\"html\"", "\"file/html\"") + "[play]\nplay_wait = 0\n";
    let line = server.reload(&bad, "SIGHUP: nothing is changed: cannot create file/html");
    assert!(line.contains("[ERROR]"), "{line}");
    let mut player = play(server.address(), "live", "absent");
    let good = "[play]\nplay_wait = 0.1\n";
    server.reload(&(config + good), "SIGHUP: changed: play.play_wait");
    player.wait_told("NetStream.Play.StreamNotFound");
    server.wait_log("none came within 5 s");
}

/// What needs a restart is named until the file says again what the process does, and does not hold
/// up the rest.
#[test]
fn what_needs_a_restart_stays_as_it_is() {
    let good = "listen = \"127.0.0.1:0\"\nsecurity.deny = []\n";
    let server = Server::start(good);
    let port = server.address().port();
    let other = "listen = 1\npid = \"x\"\nsecurity.deny = [\"publish all\"]\n";
    server.reload(other, "SIGHUP: changed: security.deny");
    let waits = "[WARN] SIGHUP: needs a restart, and is as it was: listen, pid";
    server.wait_log(waits);
    publish(server.address(), "live", "a").unwrap_err();
    server.reload(other, waits);
    assert_eq!(server.count_log("SIGHUP: changed"), 1);
    server.reload(good, "SIGHUP: changed: security.deny");
    publish(server.address(), "live", "a").unwrap();
    assert_eq!(server.address().port(), port);
    assert_eq!(server.count_log("needs a restart"), 2);
}

/// What the system allows is said again only if the file wants something else.
#[test]
fn a_lowered_limit_is_said_once() {
    let config = "listen = \"127.0.0.1:0\"\nmax_connections = 1000\n";
    let shell = ["sh", "-c", "ulimit -n 100; exec \"$@\"", "sh"];
    let server = Server::under(&shell, config);
    server.wait_log("max_connections lowered from 1000 to 18: ");
    server.wait_log("listening on rtmp ");
    let other = format!("{config}play.play_wait = 1\n");
    server.reload(&other, "SIGHUP: changed: play.play_wait");
    assert_eq!(server.count_log("lowered"), 1);
    let other = config.replace("1000", "900");
    server.reload(&other, "SIGHUP: changed: max_connections, play.play_wait");
    server.wait_log("max_connections lowered from 900 to 18: ");
}

/// A vhost is added, changed, and removed: who is there goes on, who comes finds what the file says.
#[test]
fn vhosts_come_and_go() {
    let base = "listen = \"127.0.0.1:0\"\n";
    let server = Server::start(base);
    let denied = format!("{base}[vhost.\"a.test\".security]\ndeny = [\"publish all\"]\n");
    let with = "a?vhost=a.test";
    server.reload(&denied, "SIGHUP: changed: vhost.\"a.test\".");
    publish(server.address(), "live", with).unwrap_err();
    publish(server.address(), "live", "a").unwrap();
    let allowed = denied.replace("publish all", "publish 10.0.0.1");
    server.reload(&allowed, "changed: vhost.\"a.test\".security.deny");
    let mut publisher = publishing(server.address(), with);
    server.reload(base, "SIGHUP: changed: vhost.\"a.test\".");
    publisher.send_group(1, 3);
    publisher.await_read();
    publish(server.address(), "live", "b?vhost=a.test").unwrap();
}

/// A key file is read again, too; who has begun with a key that is gone goes on.
#[test]
fn keys_change_and_sessions_stay() {
    let keys = TempDir::new();
    let file = keys.path().join("keys");
    fs::write(&file, "publish live/* first-key\n").unwrap();
    let config = format!(
        "listen = \"127.0.0.1:0\"\nsecurity.key_file = \"{}\"\n",
        file.display()
    );
    let server = Server::start(&config);
    let mut publisher = publishing(server.address(), "a?key=first-key");
    let mut player = play(server.address(), "live", "a");
    publisher.send_group(1, 3);
    player.frames_until(4);
    fs::write(&file, "# another\npublish live/* second-key\n").unwrap();
    server.reload(&config, "SIGHUP: changed: security.key_file");
    publisher.send_group(5, 3);
    player.frames_until(8);
    publish(server.address(), "live", "b?key=first-key").unwrap_err();
    publish(server.address(), "live", "b?key=second-key").unwrap();
    assert_eq!(server.count_log("second-key"), 0);
}
