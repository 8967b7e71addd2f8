#![cfg(test)]
//! `conf/srs-lite.logrotate` is a file that logrotate takes, and no line is lost while it rotates.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use support::clients::installed;
use support::eventually;
use support::peer::publish;
use support::server::Server;
use support::temp::TempDir;

const SHIPPED: &str = include_str!("../conf/srs-lite.logrotate");

const ROTATIONS: usize = 5;

#[test]
fn no_line_is_lost_when_the_log_is_rotated() {
    if !installed("logrotate", "logrotate") {
        return;
    }
    let logs = TempDir::new();
    // Logrotate does not trust a directory that others may write to.
    fs::set_permissions(logs.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let log = logs.path().join("a.log");
    let config = format!(
        "listen = \"127.0.0.1:0\"\nrun_dir = \"\"\nsrs_log_tank = \"file\"\nsrs_log_file = \"{}\"\n",
        log.display()
    );
    let server = Server::spawn(&config);
    let text = || fs::read_to_string(&log).unwrap_or_default();
    eventually("it listens", || text().contains("listening on rtmp "));
    let opening = text();
    let (_, address) = opening.split_once("listening on rtmp ").unwrap();
    let address = address.trim().parse().unwrap();

    let signal = format!("kill -USR1 {}", server.id());
    let ours = SHIPPED
        .replace("/var/log/srs-lite", logs.path().to_str().unwrap())
        .replace("    su srs-lite srs-lite\n", "")
        .replace(
            "systemctl kill --signal=SIGUSR1 'srs-lite@*.service'",
            &signal,
        );
    let file = server.directory().join("logrotate");
    fs::write(&file, ours).unwrap();
    let rotate = || {
        let state = server.directory().join("state");
        let mut command = Command::new("logrotate");
        let command = command.arg("--force").arg("--state").arg(state).arg(&file);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    };

    let published = thread::scope(|scope| {
        let rotations = scope.spawn(|| {
            for number in 1..=ROTATIONS {
                rotate();
                eventually("the log is opened again", || {
                    text().contains("the log is opened again")
                });
                assert!(number < 2 || logs.path().join("a.log.2.gz").exists());
            }
        });
        let mut published = 0;
        while !rotations.is_finished() {
            let name = format!("line{published}");
            publish(address, "live", &name).unwrap();
            published += 1;
        }
        rotations.join().unwrap();
        published
    });
    server.stop();

    let seen = published_lines(logs.path());
    assert_eq!(seen.len(), published, "of {published} lines");
    assert!(seen.values().all(|&times| times == 1), "{seen:?}");
}

/// How often each name is in a log, whichever file it is in by now.
fn published_lines(logs: &Path) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    let zcat = "cd \"$1\" && zcat -f a.log*";
    let mut all = Command::new("sh");
    let all = all.args(["-c", zcat, "sh"]).arg(logs).output().unwrap();
    for line in String::from_utf8(all.stdout).unwrap().lines() {
        if let Some((_, name)) = line.split_once(": publishes live/line") {
            let times: &mut usize = seen.entry(name.parse().unwrap()).or_default();
            *times = times.saturating_add(1);
        }
    }
    seen
}
