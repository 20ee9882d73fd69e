//! The table of capabilities in the documentation is the one that the code gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod minimum;

use std::fs;

use msgstream_conformance::{Scenario, matrix};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");

/// What a log in files takes without being told more.
const FILE_PAYLOAD: usize = 64 << 20;

// What stands between two markers, replaced by something new.
fn with_section(text: &str, name: &str, new: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{new}{end}{after}")
}

fn scenarios() -> String {
    let mut table = String::from("| scenario | needs |\n| --- | --- |\n");
    for scenario in Scenario::all() {
        let needs: Vec<_> = scenario.needs().iter().map(ToString::to_string).collect();
        table += &format!("| `{}` | {} |\n", scenario.name(), needs.join(", "));
    }
    table
}

#[test]
fn the_tables_are_up_to_date() {
    let old = fs::read_to_string(FILE).unwrap();
    let new = with_section(
        &old,
        "capabilities",
        &matrix(&[
            ("mem", minimum::mem()),
            ("file", minimum::file().with_max_payload(FILE_PAYLOAD)),
            ("nats", minimum::nats()),
            ("pulsar", minimum::pulsar()),
            ("kafka", minimum::kafka()),
        ]),
    );
    let new = with_section(&new, "scenarios", &scenarios());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(FILE, &new).unwrap();
    } else {
        assert!(new == old, "docs/conformance.md is out of date: run this test with UPDATE_DOCS=1");
    }
}
