//! The charts are those of the tables in `docs/performance.md`. `UPDATE_DOCS=1` draws them again.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod channels;
mod ratios;
mod svg;
mod table;

use std::env;
use std::fs;
use std::path::Path;

#[test]
fn the_charts_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("performance.md")).unwrap();
    let charts =
        [("beside-clients.svg", ratios::chart(&page)), ("channels.svg", channels::chart(&page))];
    for (name, chart) in charts {
        let file = docs.join("images").join(name);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(file, chart).unwrap();
            continue;
        }
        let kept = fs::read_to_string(file).unwrap_or_default();
        let what =
            "isn't what docs/performance.md says: run this test with UPDATE_DOCS=1, and look at it";
        assert!(kept == chart, "docs/images/{name} {what}");
        assert!(
            page.contains(&format!("(images/{name})")),
            "docs/performance.md doesn't show {name}"
        );
    }
}
