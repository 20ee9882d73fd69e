//! Every command on one broker.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{json_lines, of_rows, run, url};

/// Runs every command on channels of this URL, whose names begin with a prefix.
pub(crate) fn every_command(broker: &str, prefix: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (&*format!("{prefix}-0"), &*format!("{prefix}-1"));
    run(&["channels", "create", broker, one, other], 0);
    let listed = run(&["channels", "list", broker, &format!("{prefix}-")], 0).0;
    assert_eq!(listed, format!("{one}\n{other}\n"));

    produces(broker, [one, other], folder.path());
    shows(broker, [one, other], folder.path());
    let described = run(&["channels", "describe", broker, one, "--json"], 0).0;
    let described: Value = serde_json::from_str(&described).unwrap();
    assert!(described["first"].is_string(), "{described}");
    let (found, _) = run(&["doctor", broker, one, other], 0);
    assert!(found.contains("no findings"), "{found}");
    #[cfg(unix)]
    super::terminal::screen_of(super::msgstream(["top", broker, one, other]), 24, |text| {
        // Of a long name there is only room for the end.
        let ends = [one, other].map(|name| &name[name.len() - 4..]);
        ends.iter().chain(&["frontier", "packs"]).all(|word| text.contains(word))
    });
    let (healthy, _) = run(&["repair-ticks", broker, one, "--yes"], 0);
    assert_eq!(healthy, "");
    copies(broker, [one, other], folder.path());
    let (suite, _) = run(&["conformance", broker, "start::seek_goes_anywhere", "--exact"], 0);
    assert!(suite.contains("start::seek_goes_anywhere ... ok"), "{suite}");

    run(&["channels", "destroy", broker, one, other, &format!("{prefix}.home")], 0);
    assert_eq!(run(&["channels", "list", broker, prefix], 0).0, "");
}

/// Writes rows in a session, twice: each row is there once.
fn produces(broker: &str, [one, other]: [&str; 2], folder: &Path) {
    let input = folder.join("orders.csv");
    // Of now, so that nothing is behind.
    let now = jiff::Timestamp::now().as_millisecond();
    let rows = (0..20).map(|n| format!("{},k{n},{n}\n", now - 20 + n));
    fs::write(&input, format!("at,key,number\n{}", rows.collect::<String>())).unwrap();
    let prefix = one.trim_end_matches("-0");
    let input = input.display().to_string();
    let produce = [
        "produce",
        broker,
        one,
        other,
        "--input",
        &input,
        "--time-column",
        "at",
        "--time-format",
        "unix-ms",
        "--key-column",
        "key",
        "--tick",
        "5ms",
        "--session",
        prefix,
    ];
    run(&produce, 0);
    run(&produce, 0);
}

fn shows(broker: &str, [one, other]: [&str; 2], folder: &Path) {
    let lines = json_lines(&run(&["tail", broker, one, other], 0).0);
    let numbers: Vec<u64> =
        of_rows(&lines, "number").iter().map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers, Vec::from_iter(0..20), "rows of one time after the other");
    let packs = json_lines(&run(&["tail", broker, one, other, "--packs"], 0).0);
    let in_packs = packs.iter().map(|pack| pack["messages"].as_array().unwrap().len());
    assert_eq!(in_packs.sum::<usize>(), 20);
    let raw = json_lines(&run(&["tail", broker, one, "--raw"], 0).0);
    assert!(raw.iter().any(|line| line["type"] == "TimeTick"), "{raw:?}");

    let checkpoint = folder.join("checkpoint").display().to_string();
    let from_where = ["tail", broker, one, other, "--checkpoint", &checkpoint];
    assert_eq!(json_lines(&run(&from_where, 0).0).len(), 20);
    assert_eq!(run(&from_where, 0).0, "");
}

/// Copies to files and compares.
fn copies(broker: &str, [one, other]: [&str; 2], folder: &Path) {
    let copy = url(&folder.join("copy"));
    run(&["copy", broker, &copy, one, other, "--verify"], 0);
    let rows = |url: &str| {
        let lines = json_lines(&run(&["tail", url, one, other], 0).0);
        lines.into_iter().map(|line| line["row"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&copy), rows(broker));
}
