//! The modules have an order, and each uses only those before it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The order, which `docs/decisions/0015-the-house.md` explains.
const ORDER: &str = "planted record transport dedup checkpoint layers registry message adapter \
                     repack service error merge produce consume stream";

#[test]
fn each_uses_only_modules_before_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in files(&src) {
        let path = file.strip_prefix(&src).unwrap();
        let name = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if name == "lib" {
            continue;
        }
        let place = |name: &str| ORDER.split(' ').position(|module| module == name);
        let text = fs::read_to_string(&file).unwrap();
        for used in used(&text) {
            // A name that isn't in the list, such as one that `lib.rs` exports again, hides its module.
            if place(used).is_none_or(|used| Some(used) > place(name)) {
                wrong.push(format!("{} uses `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "a module uses one that isn't before it: {wrong:#?}");
}

/// Returns the files below a folder, without those of unit tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let code = entries.filter(|path| path.file_stem().unwrap() != "tests");
    code.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the names after `crate::` in the code, other than macros. Unit tests are at a file's end.
fn used(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
    let names = paths.map(|path| {
        path.split_at(path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len()))
    });
    names.filter(|(_, rest)| !rest.starts_with('!')).map(|(name, _)| name).collect()
}
