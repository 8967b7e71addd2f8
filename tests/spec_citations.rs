//! Every `[RTMP §…]` in `src/` names a section that the specification has.
#![cfg(test)]

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use source::rust_files;

#[test]
fn citations_name_real_sections() {
    let sections: Vec<&str> = include_str!("spec/rtmp-1.0.txt")
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut count = 0;
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for citation in text.split("[RTMP").skip(1) {
            let citation = citation.split(']').next().unwrap_or_default();
            // A citation may go on in the next line of its comment.
            let citation = citation.replace(['\n', ' ', '/', '!'], "");
            for section in citation.split(',') {
                count += 1;
                let known = section
                    .strip_prefix('§')
                    .is_some_and(|s| sections.contains(&s));
                if !known {
                    wrong.push(format!("{}: [RTMP {section}]", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 0, "no citation found");
}
