//! Every `[RTMP §…]` in `src/` names a section that the specification has.
#![cfg(test)]

use std::fs;
use std::path::Path;

#[test]
fn citations_name_real_sections() {
    let sections: Vec<&str> = include_str!("spec/rtmp-1.0.txt")
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut count = 0;
    let mut wrong = Vec::new();
    each_file(Path::new("src"), &mut |file, text| {
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
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 0, "no citation found");
}

fn each_file(dir: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, visit);
        } else {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
