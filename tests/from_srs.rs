//! Files in SRS's syntax become ours: `tests/from_srs/*.conf` and what is expected of them, `*.toml`.
#![cfg(test)]
#![cfg(feature = "from-srs")]

use std::fs;
use std::path::{Path, PathBuf};

use srs_lite::config::{Config, HttpServer};
use srs_lite::from_srs::convert_file;

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/from_srs").unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut samples: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    samples.sort();
    samples
}

/// `cargo test` says what differs; `srs-lite --from-srs` makes it anew.
#[test]
fn each_sample_becomes_what_is_expected_of_it_and_loads() {
    for path in samples() {
        let toml = convert_file(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("toml")).unwrap();
        assert_eq!(toml, expected, "{}", path.display());
        Config::parse(&toml, "result").unwrap();
    }
}

/// SRS's manual on `SO_REUSEPORT` has these files, and so have we.
#[test]
fn the_files_of_the_reuse_port_manual_become_those_that_come_with_srs_lite() {
    for name in [
        "edge",
        "edge2",
        "origin",
        "origin.hls.only1",
        "origin.hls.only2",
    ] {
        let toml = convert_file(&Path::new("tests/from_srs").join(format!("{name}.conf")));
        let ours = Config::load(&Path::new("conf").join(format!("{name}.conf"))).unwrap();
        let theirs = Config::parse(&toml.unwrap(), name).unwrap();
        // Paths have SRS's names; and where SRS has only HLS, ours has HTTP-FLV as well.
        let mut expected = ours.clone();
        expected.pid = Some(PathBuf::from(match name {
            "edge" | "edge2" => format!("objs/{name}.pid"),
            _ => format!("./objs/{name}.pid"),
        }));
        let dir = PathBuf::from("./objs/nginx/html");
        expected.http_server = ours.http_server.map(|http| HttpServer {
            dir: dir.clone(),
            remux: ours.hls.is_none(),
            ..http
        });
        if let Some(hls) = &mut expected.hls {
            hls.path.clone_from(&dir);
        }
        assert_eq!(theirs, expected, "{name}");
    }
}
