//! A network of its own for tests that use fixed ports: on a shared port a server that is left
//! over, or runs beside us, would silently take part of the connections. And mounts of its own.

use std::env;
use std::process::Command;

use super::server::show;

const MARKER: &str = "SRS_LITE_TEST_IN_NAMESPACE";

/// Runs `body` in a network namespace with nothing but a loopback device. `test` is the full name
/// of the calling test: it is run again, alone, in a child of this process.
pub(crate) fn in_netns(test: &str, body: impl FnOnce()) {
    again(test, "n", "ip link set lo up && exec \"$0\" \"$@\"", body);
}

/// Runs `body` where it may mount what nobody else sees, in the same way.
pub(crate) fn in_mount_namespace(test: &str, body: impl FnOnce()) {
    again(test, "m", "exec \"$0\" \"$@\"", body);
}

fn again(test: &str, namespace: &str, script: &str, body: impl FnOnce()) {
    if env::var_os(MARKER).is_some() {
        return body();
    }
    let user = if nix::unistd::geteuid().is_root() {
        ""
    } else {
        "Ur"
    };
    let output = Command::new("unshare")
        .args([&format!("-{user}{namespace}"), "sh", "-c", script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARKER, "1")
        .output()
        .expect("needs unshare (util-linux)");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{test} in its namespace: {text}");
    assert!(
        text.contains(" 1 passed"),
        "no test is called {test}: {text}"
    );
    // Rows of a report.
    text.lines()
        .filter(|line| line.contains(" | "))
        .for_each(show);
}
