//! The live page, as a browser shows it: with and without scripts, on a phone, and that it plays.
#![cfg(test)]
#![cfg(feature = "page")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use srs_lite::limits;

use support::clients::{self, Client};
use support::eventually;
use support::http::{self, Client as Http, FlvPlayer};
use support::netns::in_netns;
use support::peer::publishing;
use support::server::{Server, show};
use support::siblings::Meeting;
use support::temp::TempDir;

/// How long players play, in seconds.
const PLAYED: f64 = 10.0;

/// A server with the page.
const PAGE: &str = "
[http_server]
enabled = true
index = true
listen = \"127.0.0.1:0\"
dir = \"html\"
[http_remux]
enabled = true
";

fn text(server: &Server, path: &str) -> String {
    let response = http::get(server.http_address(), path);
    assert_eq!(response.status, 200, "{path}");
    String::from_utf8(response.body).unwrap()
}

#[test]
fn the_page_is_there_if_it_is_wanted_and_no_other_is() {
    let list = Server::origin(http::CONFIG);
    assert!(text(&list, "/").contains("<ul>"));
    let asset = http::get(list.http_address(), "/srs-lite/page.js");
    assert_eq!(asset.status, 404);

    let server = Server::origin(PAGE);
    assert!(text(&server, "/").contains("Nothing is live."));
    let publisher = publishing(server.address(), "a.-_");
    eventually("it is listed", || {
        text(&server, "/").contains("href=\"/live/a.-_.flv\"")
    });
    drop(publisher);
    eventually("it is gone", || {
        text(&server, "/").contains("Nothing is live.")
    });
    fs::write(server.directory().join("html/index.html"), "mine").unwrap();
    assert_eq!(text(&server, "/"), "mine");
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_repeats_nothing() {
    let server = Server::origin(PAGE);
    let page = http::get(server.http_address(), "/?key=%3Cscript%3Ereflected");
    let policy = page.field("Content-Security-Policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|found| found == part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.field("Referrer-Policy"), Some("no-referrer"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(!text.contains("reflected"), "{text}");
    for attribute in ["src=\"", "href=\"", "data-hls=\"", "data-mpegts=\""] {
        for value in text.split(attribute).skip(1) {
            assert!(
                value.starts_with('/') || value.starts_with("data:,"),
                "{value}"
            );
        }
    }
    for inline in ["style=", "<style", " on"] {
        assert!(!text.contains(inline), "{inline}: {text}");
    }
}

#[test]
fn who_may_not_play_sees_no_page() {
    let server = Server::origin(&format!("[security]\ndeny = [\"play all\"]\n{PAGE}"));
    assert_eq!(http::get(server.http_address(), "/").status, 403);
    // The page names the streams of all vhosts; the list only what may be played.
    let closed = "[vhost.\"a.test\".security]\ndeny = [\"play all\"]\n";
    let server = Server::origin(&format!("{PAGE}{closed}"));
    let _publishers =
        ["open", "closed?vhost=a.test"].map(|name| publishing(server.address(), name));
    let list = || text(&server, "/");
    eventually("what is open is listed", || list().contains("live/open"));
    assert!(list().contains("<ul>") && !list().contains("closed"));
}

/// The processes on the page of an API's port, in its order, and how long it took.
fn processes(server: &Server) -> (Vec<String>, Duration) {
    let begun = Instant::now();
    let page = http::get(server.api_address(), "/").body;
    let took = begun.elapsed();
    let page = String::from_utf8(page).unwrap();
    let (table, _) = page.split_once("<section id=\"streams\">").unwrap();
    let rows = table.split("<th scope=\"row\">").skip(1);
    let row = |row: &str| match row.split_once(|next: char| !next.is_ascii_digit()) {
        Some((id, rest)) if rest.contains("does not answer") => format!("{id} hangs"),
        Some((id, _)) => id.to_owned(),
        None => panic!("{row}"),
    };
    (rows.map(row).collect(), took)
}

#[test]
fn a_process_that_hangs_is_shown_so_and_holds_up_no_page() {
    let meeting = Meeting::new();
    let api = "[http_api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
    let servers = meeting.servers::<3>(api);
    let mut ids: Vec<_> = servers.iter().map(Server::id).collect();
    ids.sort_unstable();
    let all: Vec<_> = ids.iter().map(u32::to_string).collect();
    for server in &servers {
        eventually("each lists all in one order", || processes(server).0 == all);
    }
    let [hangs, lives, other] = &servers;
    let _publisher = publishing(other.address(), "a");
    hangs.signal(Signal::SIGSTOP);
    let mut known = [lives, other].map(Server::id);
    known.sort_unstable();
    let mut known: Vec<_> = known.iter().map(u32::to_string).collect();
    known.push(format!("{} hangs", hangs.id()));
    eventually("it is known to hang", || processes(lives).0 == known);
    // From now on it is not asked, however often the page is made.
    let until = Instant::now() + 3 * limits::PAGE_KEPT;
    while Instant::now() < until {
        let (listed, took) = processes(lives);
        assert_eq!(listed, known);
        assert!(took < limits::SIBLING_PATIENCE, "{took:?}");
    }
    // A client of the other one can be ended, whoever is asked first.
    let page = http::get(lives.api_address(), "/").body;
    let page = String::from_utf8(page).unwrap();
    let (_, button) = page.split_once("data-kick=\"").unwrap();
    let (path, _) = button.split_once('"').unwrap();
    let mut client = Http::open(lives.api_address());
    client.send(&format!(
        "DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ));
    assert_eq!(client.response(true).status, 200);
    other.wait_log("the operator ended it");
    hangs.signal(Signal::SIGCONT);
    eventually("it is back", || processes(lives).0 == all);
}

/// Each library of the page, under the name that its version gives it, and where npm has it.
const LIBRARIES: [(&str, &str); 2] = [
    ("/srs-lite/hls-VERSION.js", "hls.js/dist/hls.light.min.js"),
    ("/srs-lite/mpegts-VERSION.js", "mpegts.js/dist/mpegts.js"),
];

#[test]
fn the_libraries_are_those_of_npm() {
    let server = Server::origin(PAGE);
    let packages = browser().join("node_modules");
    let lock = fs::read_to_string(browser().join("package-lock.json")).unwrap();
    for (path, file) in LIBRARIES {
        let (package, _) = file.split_once('/').unwrap();
        let (_, entry) = lock
            .split_once(&format!("\"node_modules/{package}\""))
            .unwrap();
        let (_, version) = entry.split_once("\"version\": \"").unwrap();
        let (version, _) = version.split_once('"').unwrap();
        let path = path.replace("VERSION", version);
        let response = http::get(server.http_address(), &path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.field("Content-Encoding"), Some("gzip"));
        let cache = response.field("Cache-Control").unwrap();
        assert!(cache.contains("immutable"), "{cache}");
        if !packages.is_dir() {
            show("SKIPPED, needs: npm ci --prefix tests/browser");
            continue;
        }
        let directory = TempDir::new();
        let compressed = directory.path().join("library.gz");
        fs::write(&compressed, response.body).unwrap();
        let unpacked = Command::new("gzip").arg("-dc").arg(compressed).output();
        let original = fs::read(packages.join(file)).unwrap();
        assert!(unpacked.unwrap().stdout == original, "{file} is another");
    }
}

#[test]
fn what_belongs_to_the_page_has_its_type_and_can_be_asked_for_again() {
    let server = Server::origin(PAGE);
    let mut client = Http::open(server.http_address());
    for (path, content_type) in [
        ("/srs-lite/page.js", "text/javascript; charset=utf-8"),
        ("/srs-lite/page.css", "text/css; charset=utf-8"),
        ("/srs-lite/licences.txt", "text/plain; charset=utf-8"),
    ] {
        client.send(&format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let head = client.response(false);
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let response = client.response(true);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.field("Content-Type"), Some(content_type));
        assert_eq!(
            response.field("Content-Length"),
            head.field("Content-Length")
        );
        assert!(!response.body.is_empty());
    }
}

fn browser() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// Two processes of one port, each with a stream of its own.
struct Site {
    servers: [Server; 2],
    _publishers: [Client; 2],
    _html: TempDir,
    _meeting: Meeting,
}

const STREAMS: [&str; 2] = ["one", "two"];

impl Site {
    fn start() -> Self {
        let (meeting, html) = (Meeting::new(), TempDir::new());
        let directory = html.path().display();
        let servers = meeting.servers::<2>(&format!(
            "[http_server]\nenabled = true\nindex = true\nlisten = 8080\ndir = \"{directory}\"\n\
             [http_remux]\nenabled = true\n\
             [hls]\nenabled = true\nhls_path = \"{directory}\"\nhls_fragment = 2\nhls_window = 20\n\
             [http_api]\nenabled = true\nlisten = \"127.0.0.1:1985\"\n"
        ));
        let publish = "ffmpeg -v error -re -stream_loop -1 -i SAMPLE -c copy -f flv URL";
        let publishers = [0, 1].map(|at| {
            let (server, name) = (&servers[at], STREAMS[at]);
            let url = format!("rtmp://{}/live/{name}", server.address());
            let publisher = Client::run(publish, &url);
            server.wait_log(&format!("publishes live/{name}"));
            publisher
        });
        let site = Self {
            servers,
            _publishers: publishers,
            _html: html,
            _meeting: meeting,
        };
        for name in STREAMS {
            let ready = |path: String| {
                let page = http::get(site.servers[0].http_address(), &path);
                page.status == 200 && page.body.windows(3).filter(|at| at == b".ts").count() >= 3
            };
            eventually("three segments", || ready(format!("/live/{name}.m3u8")));
        }
        site
    }

    /// Checks the line of each stream on the page, and that of each process if there should be one.
    fn assert_listed(&self, seen: &Seen, manages: bool) {
        for (server, name) in self.servers.iter().zip(STREAMS) {
            let process = server.id().to_string();
            let source = if manages { &process } else { "this server" };
            let start = format!("live/{name}|{source}|0:");
            let row = seen
                .all("row")
                .into_iter()
                .find(|row| row.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("no {start}: {seen:?}"));
            assert!(row.contains("|H264 "), "{row}");
            assert!(row.contains("×"), "{row}");
            assert!(row.ends_with("|HLS FLV"), "{row}");
            let is_it = |row: &&str| row.split([' ', '|']).next() == Some(&process);
            let listed = seen.all("row").into_iter().filter(is_it).count();
            assert_eq!(listed, usize::from(manages));
        }
    }
}

/// What the browser said, line by line.
#[derive(Debug)]
struct Seen(Vec<String>);

impl Seen {
    /// Does a task; see page.js.
    fn look(port: u16, task: &str) -> Self {
        let profile = TempDir::new();
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new("node")
            .arg(browser().join("page.js"))
            .arg(format!("{{\"url\":\"http://127.0.0.1:{port}/\",{task}}}"))
            .current_dir(profile.path())
            .output()
            .unwrap();
        let (stdout, stderr) = [stdout, stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .into();
        assert!(status.success(), "{task}: {stderr}\n{stdout}");
        Self(stdout.lines().map(str::to_owned).collect())
    }

    /// Every value that was said for `key`.
    fn all(&self, key: &str) -> Vec<&str> {
        let fields = self.0.iter().flat_map(|line| line.split('\t'));
        let fields = fields.filter_map(|field| field.split_once('='));
        fields
            .filter_map(|(found, value)| (found == key).then_some(value))
            .collect()
    }

    fn one(&self, key: &str) -> &str {
        let all = self.all(key);
        assert_eq!(all.len(), 1, "{key}: {self:?}");
        all[0]
    }
}

/// Runs `body` in a network of its own, unless there is no browser.
fn with_browser(test: &str, body: impl FnOnce()) {
    let found =
        ["chromium", "node"].map(|program| clients::installed(program, "chromium nodejs npm"));
    if found == [true; 2] {
        in_netns(test, body);
    }
}

/// One after the other: browsers that decode beside each other stall on a small machine.
#[test]
fn a_browser_shows_and_plays_the_streams_of_both_processes() {
    let firefox = clients::installed("firefox-esr", "firefox-esr");
    with_browser(
        "a_browser_shows_and_plays_the_streams_of_both_processes",
        || {
            let site = Site::start();
            for (width, port) in [(390, 8080), (390, 1985), (1280, 8080)] {
                for scripts in [true, false] {
                    let task = format!("\"width\":{width},\"scripts\":{scripts}");
                    let seen = Seen::look(port, &task);
                    site.assert_listed(&seen, port == 1985);
                    assert_eq!(seen.one("overflow"), "0", "{width} px: {seen:?}");
                    assert!(!seen.one("loaded").contains("/srs-lite/hls"), "{seen:?}");
                }
            }
            // With Chromium's own HLS, without, and what it always needs a library for.
            plays(8080, CHROMIUM, "/live/one.m3u8", "");
            plays(8080, WITHOUT_HLS, "/live/two.m3u8", "/srs-lite/hls");
            plays(8080, CHROMIUM, "/live/one.flv", "/srs-lite/mpegts");
            // The API's port has all of it, and can end clients.
            plays(1985, CHROMIUM, "/live/two.flv", "/srs-lite/mpegts");
            if firefox {
                let seen = plays(8080, FIREFOX, "/live/one.m3u8", "/srs-lite/hls");
                site.assert_listed(&seen, false);
                assert_eq!(seen.one("overflow"), "0", "{seen:?}");
                let seen = plays(1985, FIREFOX, "/live/two.flv", "/srs-lite/mpegts");
                site.assert_listed(&seen, true);
            }
            let mut player = FlvPlayer::play(site.servers[0].http_address(), "two.flv");
            let peer = player.client.socket.local_addr().unwrap();
            let task = format!("\"open\":true,\"kick\":\"End {peer}\"");
            let seen = Seen::look(1985, &task);
            assert_eq!(seen.all("kicked").len(), 1);
            // Perhaps in the middle of a tag: nothing was read meanwhile.
            while player.client.more() {}
            let public = http::get(site.servers[0].http_address(), "/").body;
            let public = String::from_utf8(public).unwrap();
            assert!(!public.contains("127.0.0.1"), "{public}");
            assert!(!public.contains("data-kick"), "{public}");
        },
    );
}

// Which browser, for a task.
const CHROMIUM: &str = "\"browser\":\"chromium\"";
const WITHOUT_HLS: &str = "\"native\":false";
const FIREFOX: &str = "\"browser\":\"firefox\"";

/// Plays what `link` leads to; `library` is loaded for it, and only then.
fn plays(port: u16, browser: &str, link: &str, library: &str) -> Seen {
    let task = format!("{browser},\"play\":{{\"link\":\"{link}\",\"seconds\":{PLAYED}}}");
    let mut seen = Seen::look(port, &task);
    // On a busy machine, Chromium's own HLS may give up, and hls.js takes over: not always, though.
    for _ in 0..2 {
        if library.is_empty() && seen.one("loaded").contains("/srs-lite/hls") {
            seen = Seen::look(port, &task);
        }
    }
    let number = |key| seen.one(key).parse::<f64>().unwrap();
    let (time, frames) = (number("time"), number("frames"));
    assert!(time > 0.9 * PLAYED && frames > 15.0 * PLAYED, "{seen:?}");
    assert_eq!(seen.one("said"), "", "{seen:?}");
    assert_eq!(seen.one("focus"), link);
    let libraries: Vec<_> = seen.one("loaded").split(' ').collect();
    let libraries = libraries.iter().filter(|path| path.contains("-1."));
    let libraries: Vec<_> = libraries.collect();
    let wanted = usize::from(!library.is_empty());
    assert_eq!(libraries.len(), wanted, "{seen:?}");
    assert!(libraries.iter().all(|path| path.starts_with(library)));
    seen
}
