//! The guide shows what commands print, and has each chapter that it links to.
//! `UPDATE_DOCS=1` writes what the commands print.
//!
//! The `console` blocks of a page run one after the other in a folder of the page's own, which the page
//! calls `/tmp/guide`. A line that begins with `$ ` is a command, up to the first line without a `\` at its
//! end; what follows is what it prints. A block such as `csv orders.csv` is a file in that folder.
//! The blocks of Rust run as documentation tests of the package `msgstream`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide");
const RUST_TESTS: &str = include_str!("../../../src/guide.rs");
const FOLDER: &str = "/tmp/guide";
const FENCE: &str = "```";

/// Returns the pages, with their names and texts.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = fs::read_dir(Path::new(GUIDE).join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    assert!(!pages.is_empty());
    pages
}

/// A part of a page.
enum Part<'a> {
    Text(&'a str),
    /// What is after the opening fence, and the lines up to the closing one.
    Block(&'a str, Vec<&'a str>),
}

fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        parts.push(match line.strip_prefix(FENCE) {
            Some(info) => Part::Block(info, lines.by_ref().take_while(|l| *l != FENCE).collect()),
            None => Part::Text(line),
        });
    }
    parts
}

/// Runs the commands of a block, and returns the block as it should be.
fn run(folder: &Path, block: &[&str]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut lines = block.iter().peekable();
    while let Some(first) = lines.next() {
        let mut command = vec![*first];
        while command.last().unwrap().ends_with('\\') {
            command.push(lines.next().expect("a command goes on after a backslash"));
        }
        let old: Vec<_> = std::iter::from_fn(|| lines.next_if(|line| !line.starts_with("$ ")))
            .map(|line| (*line).to_owned())
            .collect();
        let text = command.join("\n");
        let text = text.strip_prefix("$ ").expect("a block begins with a command");
        let new = output(folder, text);
        shown.extend(command.into_iter().map(str::to_owned));
        // Ages are others each time, so those of the page stay.
        let same = old.iter().map(|l| without_ages(l)).eq(new.iter().map(|l| without_ages(l)));
        shown.extend(if same { old } else { new });
    }
    shown
}

/// Returns the lines that a shell writes for a command, to stdout and stderr.
fn output(folder: &Path, command: &str) -> Vec<String> {
    let path = folder.to_str().unwrap();
    let tool = Path::new(env!("CARGO_BIN_EXE_msgstream")).parent().unwrap();
    let search = format!("{}:{}", tool.display(), env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{}", command.replace(FOLDER, path))])
        .current_dir(folder)
        .env("PATH", search)
        .env("XDG_CONFIG_HOME", folder)
        .env_remove("MSGSTREAM_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap().replace(path, FOLDER);
    text.lines().map(str::to_owned).collect()
}

/// Leaves out how long ago something was: `(15m ago)`, `3days 2h old,`.
fn without_ages(line: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let is_span = |word: &&str| humantime::parse_duration(word.trim_start_matches('(')).is_ok();
    for word in line.split(' ') {
        if word.starts_with("ago") || word.starts_with("old") {
            while kept.pop_if(|word| is_span(&&**word)).is_some() {}
        }
        kept.push(word);
    }
    kept.join(" ")
}

#[test]
fn the_pages_show_what_commands_print() {
    let mut commands = 0;
    for (name, page) in pages() {
        let folder = tempfile::tempdir().unwrap();
        let mut new = String::new();
        for part in parts(&page) {
            let (info, lines) = match part {
                Part::Text(line) => {
                    new += &format!("{line}\n");
                    continue;
                }
                Part::Block(info, lines) => (info, lines),
            };
            let lines: Vec<_> = match info.split_once(' ') {
                None if info == "console" => {
                    commands += 1;
                    run(folder.path(), &lines)
                }
                Some((_, file)) => {
                    fs::write(folder.path().join(file), lines.join("\n") + "\n").unwrap();
                    lines.into_iter().map(str::to_owned).collect()
                }
                None => lines.into_iter().map(str::to_owned).collect(),
            };
            new += &format!("{FENCE}{info}\n{}\n{FENCE}\n", lines.join("\n"));
        }
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(Path::new(GUIDE).join("src").join(&name), &new).unwrap();
            continue;
        }
        let differ = page.lines().zip(new.lines()).find(|(old, new)| old != new);
        let what = "run this test with UPDATE_DOCS=1, and look at the page";
        assert!(page == new, "{name} isn't what its commands print, {what}: {differ:#?}");
    }
    assert!(commands > 0);
}

#[test]
fn every_example_runs() {
    for (name, page) in pages() {
        for part in parts(&page) {
            if let Part::Block(info, _) = part {
                let language = info.split(' ').next().unwrap();
                let known = ["rust", "console", "csv", "toml", "text"].contains(&language);
                assert!(known, "{name} has a block that no test runs: `{info}`");
                let tested = info != "rust" || RUST_TESTS.contains(&format!("src/{name}\""));
                assert!(tested, "the examples of {name} aren't in src/guide.rs");
            }
        }
    }
}

#[test]
fn the_summary_has_every_page_once() {
    let book: toml::Table =
        fs::read_to_string(Path::new(GUIDE).join("book.toml")).unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("src"));
    let pages = pages();
    let (_, summary) = pages.iter().find(|(name, _)| name == "SUMMARY.md").unwrap();
    let listed = links(summary);
    let others = pages.iter().map(|(name, _)| &**name).filter(|name| *name != "SUMMARY.md");
    assert_eq!(BTreeSet::from_iter(&listed), BTreeSet::from_iter(&others.collect::<Vec<_>>()));
    assert_eq!(BTreeSet::from_iter(&listed).len(), listed.len(), "a page is listed twice");
}

#[test]
fn the_links_lead_somewhere() {
    for (name, page) in pages() {
        for link in links(&page).into_iter().chain(included(&page)) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let here = Path::new(GUIDE).join("src").join(&name);
            let target = match file {
                "" => here,
                file => here.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{name} links to {link}, which isn't there");
            assert!(heading.is_empty() || has_heading(&target, heading), "{name}: {link}");
        }
    }
}

/// Returns what the links of a page lead to.
fn links(page: &str) -> Vec<&str> {
    let texts = parts(page).into_iter().filter_map(|part| match part {
        Part::Text(line) => Some(line),
        Part::Block(..) => None,
    });
    texts
        .flat_map(|line| line.split("](").skip(1))
        .map(|rest| rest.split_once(')').unwrap().0)
        .collect()
}

/// Returns the files that mdBook copies into a page.
fn included(page: &str) -> impl Iterator<Item = &str> {
    let includes = page.split("{{#include ").skip(1);
    includes.map(|rest| rest.split([':', '}']).next().unwrap())
}

/// Whether a page has a heading with this anchor.
fn has_heading(page: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut anchors = headings.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let letters = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        letters.collect::<String>().replace(' ', "-")
    });
    anchors.any(|found| found == anchor)
}
