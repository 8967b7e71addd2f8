//! Who may use whom inside `src/`, from its text. Modules of one crate have no other border.
//!
//! Text can be got round; this is against accidents.
#![cfg(test)]

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use source::rust_files;

/// Each layer, the modules of ours that it may name, and what it may not name.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("wire", &["wire", "limits"], PURE),
    ("session", &["session", "wire", "limits"], PURE),
    ("hls", &["hls", "wire", "limits"], PURE),
    (
        "hub",
        &["hub", "limits"],
        &["std::net", "std::fs", "std::thread", "socket2", "nix::"],
    ),
    (
        "config",
        &["config", "limits"],
        &["TcpListener", "TcpStream", "std::thread", "socket2"],
    ),
    (
        "from_srs",
        &["from_srs", "config", "limits"],
        &["std::net", "std::thread", "socket2", "nix::", "log::"],
    ),
    (
        "server",
        &[
            "server", "hub", "hls", "session", "wire", "config", "limits",
        ],
        &[],
    ),
];

/// A sans-IO layer owns no socket, file, thread, lock, clock or log.
const PURE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::io",
    "std::thread",
    "std::sync",
    "Instant::now",
    "SystemTime",
    "crossbeam_channel",
    "socket2",
    "nix::",
    "log::",
];

#[test]
fn layers_point_one_way() {
    let mut wrong = Vec::new();
    for &(layer, may_use, must_not_name) in LAYERS {
        for file in rust_files(&Path::new("src").join(layer)) {
            let text = fs::read_to_string(&file).unwrap();
            // Unit tests, at the end of a file, may start threads and read files.
            let shipped = text.lines().take_while(|line| *line != "mod tests {");
            for (number, line) in (1..).zip(shipped) {
                let place = format!("{}:{number}: {layer}", file.display());
                let code = line.split("//").next().unwrap_or_default();
                for used in code.split("crate::").skip(1) {
                    let used: String = used.chars().take_while(|c| c.is_alphanumeric()).collect();
                    if !may_use.contains(&used.as_str()) {
                        wrong.push(format!("{place} uses crate::{used}"));
                    }
                }
                for name in must_not_name.iter().filter(|&&name| code.contains(name)) {
                    wrong.push(format!("{place} names {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
