#![cfg(test)]
//! The directory where processes meet, and what somebody may have put there.

mod support;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use support::bystander::Bystander;
use support::peer::{play, publishing};
use support::server::{Server, show};
use support::siblings::{Feed, Meeting, Viewer, fetches, names};
use support::temp::TempDir;
use support::{DEADLINE, eventually};

/// Bytes of a file with nothing in it.
const HUGE: u64 = 1 << 34;

/// Strangers at a door at a time.
const STRANGERS: usize = 50;

fn make(path: &Path, mode: u32) {
    DirBuilder::new().mode(0o700).create(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Starts a process that must not start: one line says why, and names the directory.
fn refused(run_dir: &Path, why: &str) {
    let config = format!("listen = \"127.0.0.1:0\"\nrun_dir = {run_dir:?}\n");
    let mut server = Server::spawn(&config);
    assert_eq!(server.wait().code(), Some(1), "{why}");
    let log = server.log();
    let line = format!("srs-lite: run_dir {}", run_dir.display());
    assert!(
        log.len() == 1 && log[0].starts_with(&line) && log[0].contains(why),
        "not {why:?}: {log:?}"
    );
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused() {
    let directory = TempDir::short();
    let at = |name: &str| directory.path().join(name);
    let good = at("good");
    make(&good, 0o700);
    symlink(&good, at("link")).unwrap();
    refused(&at("link"), "is not a directory");
    symlink(at("nowhere"), at("dangling")).unwrap();
    refused(&at("dangling"), "is not a directory");
    assert!(!at("nowhere").exists(), "made through a symlink");
    File::create(at("file")).unwrap();
    refused(&at("file"), "is not a directory");
    for mode in [0o777, 0o770, 0o1777, 0o702] {
        let path = at(&format!("{mode:o}"));
        make(&path, mode);
        refused(&path, "others can write to it");
        assert_eq!(names(&path), [""; 0], "{mode:o}");
    }
    make(&at("open"), 0o777);
    make(&at("open").join("run"), 0o700);
    refused(&at("open").join("run"), "others can write to");
    refused(&at("file").join("run"), "cannot be created");
    refused(&at(&"long".repeat(25)), "is longer than");
    // Only root can give a directory away.
    if geteuid().is_root() {
        make(&at("theirs"), 0o700);
        chown(at("theirs"), Some(65_534), None).unwrap();
        refused(&at("theirs"), "belongs to user 65534");
    }
    assert_eq!(names(&good), [""; 0]);
}

#[test]
fn a_lock_or_a_secret_that_is_not_ours_alone_is_refused() {
    let victim = TempDir::short();
    let file = victim.path().join("victim");
    fs::write(&file, [b'v'; 64]).unwrap();
    for name in ["lock", "secret"] {
        let put: [&dyn Fn(&Path); 5] = [
            &|path| symlink(&file, path).unwrap(),
            &|path| mkfifo(path, Mode::S_IRWXU).unwrap(),
            &|path| make(path, 0o700),
            &|path| {
                fs::write(path, [b's'; 32]).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
            },
            &|path| drop(UnixListener::bind(path).unwrap()),
        ];
        for put in put {
            let meeting = Meeting::new();
            make(&meeting.path(), 0o700);
            put(&meeting.path().join(name));
            refused(&meeting.path(), &format!("its file `{name}`"));
        }
    }
    let meeting = Meeting::new();
    make(&meeting.path(), 0o700);
    fs::write(meeting.path().join("secret"), b"short").unwrap();
    refused(&meeting.path(), "its file `secret`");
    assert_eq!(fs::read(file).unwrap(), [b'v'; 64]);
}

#[test]
fn what_is_made_is_ours_alone() {
    let meeting = Meeting::new();
    let server = meeting.start("");
    let mode = |path: PathBuf| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    let file = |name: &str| mode(meeting.path().join(name));
    assert_eq!(mode(meeting.path()), 0o700);
    assert_eq!([file("lock"), file("secret")], [0o600, 0o600]);
    let _publisher = publishing(server.address(), "a");
    let files = meeting.files();
    assert_eq!(files.len(), 2, "{files:?}");
    for name in files {
        // Whoever connects needs the right to write to the socket, and to search the directory.
        assert!(name.ends_with(".sock") || file(&name) == 0o600, "{name}");
    }
    server.stop();
    assert_eq!(names(&meeting.path()), ["lock", "secret"]);
}

/// Puts beside the files of the processes what none of them would have written: symlinks to `victim`,
/// huge files, pipes, directories, and many.
fn litter(run_dir: &Path, victim: &Path) {
    let ids = ["0123456789abcdef", "zz", "-1", "7fffffffffffffff"];
    let kinds = ["stream", "sock", "tmp", "lock", ""];
    let names = ids
        .iter()
        .flat_map(|id| kinds.map(|kind| format!("{id}.{kind}")));
    for (number, name) in names.enumerate() {
        let path = run_dir.join(name);
        // What a sweep has removed is put there again.
        let _there = match number % 4 {
            0 => symlink(victim, &path),
            1 => File::create(&path).and_then(|file| file.set_len(HUGE)),
            2 => mkfifo(&path, Mode::S_IRWXU).map_err(Into::into),
            _ => fs::create_dir(&path),
        };
    }
    let _there = File::create(run_dir.join(OsStr::from_bytes(b"\xff\xfe.stream")));
    for number in 0..2000 {
        let _there = fs::write(run_dir.join(format!("{number:016x}.stream")), b"\0garbage");
    }
}

#[test]
fn garbage_is_ignored() {
    let meeting = Meeting::new();
    let directory = TempDir::short();
    let victim = directory.path().join("victim");
    fs::write(&victim, "victim").unwrap();
    make(&meeting.path(), 0o700);
    litter(&meeting.path(), &victim);
    let begun = Instant::now();
    let [one, other] = meeting.servers("");
    let bystander = Bystander::on(one);
    let feed = Feed::start(vec![publishing(other.address(), "a")]);
    for _ in 0..2 {
        litter(&meeting.path(), &victim);
        let mut viewer = Viewer::rtmp(bystander.address(), "a");
        eventually("it is swept", || {
            let files = meeting.files();
            !files.contains(&format!("{:016x}.stream", 1999))
        });
        viewer.until(feed.now());
    }
    assert_eq!(fetches(&bystander.server, "a"), 1);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
    drop(feed);
    bystander.end(&format!(
        "garbage in run_dir for {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    other.stop();
}

/// What says who holds a stream is replaced: the stream is not found elsewhere, until it is published
/// again.
#[test]
fn garbage_in_place_of_an_announcement_hides_one_stream() {
    let meeting = Meeting::new();
    let [one, other] = meeting.servers("[play]\nplay_wait = 0.5\n");
    let bystander = Bystander::on(one);
    let put: [&dyn Fn(&Path); 5] = [
        &|path| symlink("/dev/zero", path).unwrap(),
        &|path| File::create(path).unwrap().set_len(HUGE).unwrap(),
        &|path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        &|path| fs::write(path, "publish live/hidden 0123456789abcdef 1\n").unwrap(),
        &|path| fs::write(path, "publish live/hidden ../../victim 1\n").unwrap(),
    ];
    for put in put {
        let mut publisher = publishing(other.address(), "hidden");
        publisher.send_group(1, 3);
        let files = meeting.files();
        let is_ours = |name: &&String| {
            let text = fs::read_to_string(meeting.path().join(name));
            text.is_ok_and(|text| text.starts_with("publish live/hidden "))
        };
        let announcement = files.iter().find(is_ours).unwrap();
        let path = meeting.path().join(announcement);
        fs::remove_file(&path).unwrap();
        put(&path);
        let mut player = play(bystander.address(), "live", "hidden");
        player.wait_told("NetStream.Play.StreamNotFound");
        let mut player = play(other.address(), "live", "hidden");
        player.frames_until(4);
        publisher.unpublish();
        let mut publisher = publishing(other.address(), "hidden");
        publisher.send_group(1, 3);
        let mut player = play(bystander.address(), "live", "hidden");
        player.frames_until(4);
        publisher.unpublish();
    }
    bystander.end("garbage for announcements");
    other.stop();
}

/// Whether the door closes, without a word.
fn is_closed(mut stranger: &UnixStream) -> bool {
    stranger.set_read_timeout(Some(DEADLINE)).unwrap();
    match stranger.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn strangers_at_the_door_are_closed_and_logged_once() {
    let meeting = Meeting::new();
    let bystander = Bystander::on(meeting.start(""));
    let doors = meeting.files();
    let door = doors.iter().find(|name| name.ends_with(".sock")).unwrap();
    let door = meeting.path().join(door);
    let secret = fs::read(meeting.path().join("secret")).unwrap();
    assert_eq!(secret.len(), 32);
    let mut other = secret.clone();
    other[31] ^= 1;
    let with = |more: &[u8]| [&secret[..], more].concat();
    // The last ones say nothing more and stay until they are closed.
    let words = [
        // It would end the bystander.
        [&other[..], b"G\0\x0elive/bystander"].concat(),
        vec![0; 64 * 1024],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        with(b"?"),
        with(b"P\x03"),
        with(b"G\xff\xff"),
        secret[..31].to_vec(),
        secret.clone(),
        Vec::new(),
    ];
    let begun = Instant::now();
    let visit = |words: &Vec<u8>| {
        let mut stranger = UnixStream::connect(&door).unwrap();
        // It may be closed before it has said all of it.
        let _closed = stranger.write_all(words);
        stranger
    };
    let strangers: Vec<_> = words.iter().cycle().take(STRANGERS).map(visit).collect();
    for stranger in &strangers {
        assert!(is_closed(stranger));
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    // Who knows the secret may name what it likes.
    for path in ["../../../etc", "live/bystander\0", "live/nothing", ""] {
        let length = u16::try_from(path.len()).unwrap().to_be_bytes();
        let words = with(&[b"G", &length[..], path.as_bytes()].concat());
        let mut stranger = visit(&words);
        let mut answer = Vec::new();
        stranger.set_read_timeout(Some(DEADLINE)).unwrap();
        stranger.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"D", "{path}");
    }
    let said = bystander
        .server
        .count_log("a stranger at our door in run_dir");
    assert!((1..=2).contains(&said), "{said} times in {took:?}");
    show(&format!(
        "{STRANGERS} strangers at the door | closed within {:.1} s, logged {said} times",
        took.as_secs_f64()
    ));
    bystander.end("strangers at the door");
}

#[test]
fn a_directory_that_goes_away_takes_no_stream_with_it() {
    let meeting = Meeting::new();
    let bystander = Bystander::on(meeting.start(""));
    fs::remove_dir_all(meeting.path()).unwrap();
    bystander.server.wait_log("run_dir is gone");
    let mut publisher = publishing(bystander.address(), "after");
    publisher.send_group(1, 3);
    let mut player = play(bystander.address(), "live", "after");
    player.frames_until(4);
    publisher.unpublish();
    drop(player);
    bystander.end("run_dir is removed");
}
