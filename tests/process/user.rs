//! Root starts it, and another user runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::support::{BINARY, Room, Server, await_text};

/// A directory for everybody, and who the server becomes.
fn open_room(name: &str) -> (Room, User) {
    let room = Room::new(name);
    fs::set_permissions(&room.path, PermissionsExt::from_mode(0o777)).unwrap();
    (room, User::from_name("nobody").unwrap().unwrap())
}

/// It becomes the user, without a way back, and still opens its log again and empties its pid file.
#[test]
fn root_becomes_the_user_when_ports_are_bound() {
    if !geteuid().is_root() {
        return;
    }
    let (room, nobody) = open_room("becomes");
    let path = |name: &str| room.path.join(name).display().to_string();
    let text = format!(
        "listen = '127.0.0.1:0'\nuser = 'nobody'\npid = '{}'\nsrs_log_tank = 'file'\n\
         srs_log_file = '{}'\n",
        path("a.pid"),
        path("a.log")
    );
    let file = room.write("a.conf", &text);
    let server = Server::watch(Command::new(BINARY).args(["-c", &file]));
    await_text(Path::new(&path("a.log")), "listening on rtmp");
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = |key: &str| status.lines().find(|line| line.starts_with(key)).unwrap();
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert_eq!(line("Uid:"), format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"));
    assert_eq!(line("Gid:"), format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}"));
    assert_eq!(line("Groups:").trim_end(), format!("Groups:\t{gid}"));
    assert_eq!(line("CapEff:"), "CapEff:\t0000000000000000");
    assert_eq!(fs::metadata(path("a.pid")).unwrap().uid(), uid.as_raw());
    fs::rename(path("a.log"), path("old.log")).unwrap();
    server.signal(Signal::SIGUSR1);
    await_text(Path::new(&path("a.log")), "the log is opened again");
    server.stop(Signal::SIGTERM);
    assert_eq!(fs::read_to_string(path("a.pid")).unwrap(), "");
}

/// Who is the user already, since a service manager has seen to it, gives nothing away.
#[test]
fn the_user_itself_starts_it() {
    if !geteuid().is_root() {
        return;
    }
    let (room, nobody) = open_room("itself");
    let pid = room.path.join("a.pid");
    // It may not give a file to this group.
    let text = format!(
        "listen = '127.0.0.1:0'\nrun_dir = ''\nuser = 'nobody'\ngroup = 'root'\npid = '{}'\n",
        pid.display()
    );
    let file = room.write("a.conf", &text);
    // The user may not be able to see the directory in which we are built.
    let binary = room.path.join("srs-lite");
    fs::copy(BINARY, &binary).unwrap();
    let mut command = Command::new(binary);
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let server = Server::spawn(command.args(["-c", &file]).uid(uid).gid(gid));
    let made = fs::metadata(&pid).unwrap();
    assert_eq!((made.uid(), made.gid()), (uid, gid));
    server.stop(Signal::SIGTERM);
}

#[test]
fn a_user_that_is_not_there_is_refused() {
    let room = Room::new("nouser");
    let file = room.write("a.conf", "listen = '127.0.0.1:0'\nuser = 'no-such-user'\n");
    room.refused(&file, "`user = \"no-such-user\"`: there is none");
    let file = room.write("b.conf", "group = 'root'\n");
    let expected = format!("{file}:1: key `group`: counts beside a user only; add `user = \"…\"`");
    room.refused(&file, &expected);
}

/// Whoever may write to the directory could else have root give any file away, or write to it.
#[test]
fn root_writes_through_no_link() {
    if !geteuid().is_root() {
        return;
    }
    let room = Room::new("links");
    let secret = room.write("secret", "of root\n");
    let link = room.path.join("link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let link = link.display();
    let tank = "srs_log_tank = 'file'\nsrs_log_file";
    for (key, what, advice) in [(tank, "log file", "opened"), ("pid", "pid file", "written")] {
        let text = format!("listen = '127.0.0.1:0'\nuser = 'nobody'\n{key} = '{link}'\n");
        let file = room.write("a.conf", &text);
        let output = Command::new(BINARY).args(["-c", &file]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!("srs-lite: the {what} {link} cannot be {advice} (");
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "of root\n");
        assert!(fs::metadata(&secret).unwrap().uid() == 0, "{what}");
    }
}
