//! `msgstream produce`, from the outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::kit::{Running, json_lines, of_rows, run, url};

/// Rows `at,key,n` of a second each, of which every fifth is two seconds behind.
fn csv(rows: u64) -> String {
    let mut csv = "at,key,n\n".to_owned();
    for n in 0..rows {
        let at = 1000 + n - if n % 5 == 4 { 2 } else { 0 };
        writeln!(csv, "{at},k{},{n}", n % 7).unwrap();
    }
    csv
}

fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// The options for [`csv`].
const TIMES: [&str; 6] = ["--time-column", "at", "--time-format", "unix", "--key-column", "key"];

/// All messages of the channels, in order.
fn tail(url: &str, channels: &[&str]) -> Vec<Value> {
    json_lines(&run(&[&["tail", url][..], channels].concat(), 0).0)
}

/// All records of the channels that aren't ticks.
fn stored(url: &str, channels: &[&str]) -> Vec<Value> {
    let raw = run(&[&["tail", url, "--raw", "--filter", "type=Row"][..], channels].concat(), 0).0;
    json_lines(&raw)
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_by_key(|text| text.parse::<u64>().unwrap());
    texts
}

fn numbers(rows: u64) -> Vec<String> {
    (0..rows).map(|n| n.to_string()).collect()
}

#[test]
fn rows_of_a_packed_file_come_back_in_the_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(csv(100).as_bytes()).unwrap();
    let input = file(folder.path(), "rows.csv.gz", packed.finish().unwrap());
    let args =
        ["produce", url, "a", "b", "c", "--input", &input, "--tick", "5s", "--max-delay", "2s"];
    let (out, told) = run(&[&args[..], &TIMES].concat(), 0);
    assert_eq!((&*out, &*told), ("", "wrote 100 rows to 3 channels\n"));

    let lines = tail(url, &["a", "b", "c"]);
    assert_eq!(sorted(of_rows(&lines, "n")), numbers(100));
    assert!(of_rows(&lines, "at").is_sorted());
    let mut channels = BTreeMap::new();
    for line in &lines {
        let channel = channels.entry(line["row"]["key"].as_str()).or_insert(&line["channel"]);
        assert_eq!(*channel, &line["channel"], "a key has one channel");
        assert_eq!(line["key"], line["row"]["key"], "it is the record's");
    }
    assert_eq!(lines[0]["ts"], "1970-01-01T00:16:40Z");
    assert_eq!(lines[0]["id"], 2, "the line");
}

#[test]
fn inputs_are_read_in_order_each_in_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let ndjson = "{\"line\": 1, \"at\": 3}\r\n\n[1, 2]\n";
    let first = file(folder.path(), "first.jsonl", ndjson);
    let second = file(folder.path(), "second.log", "plain \"text\"\n\nno end");
    let mut producing = Running::start(&[
        "produce", url, "a", "--input", &first, "--input", &second, "--input", "-",
    ]);
    producing.write("typed\n");
    assert_eq!(producing.end(), (Some(0), String::new(), "wrote 6 rows to 1 channel\n".to_owned()));
    let rows: Vec<_> = tail(url, &["a"]).iter().map(|line| line["row"].to_string()).collect();
    let wanted = [
        r#"{"at":3,"line":1}"#,
        "[1,2]",
        r#"{"line":"plain \"text\""}"#,
        r#"{"line":""}"#,
        r#"{"line":"no end"}"#,
        r#"{"line":"typed"}"#,
    ];
    assert_eq!(rows, wanted);
}

#[test]
fn members_of_json_objects_are_columns() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let rows = "{\"at\":7,\"key\":\"x\",\"n\":1}\n{\"n\":0,\"key\":\"x\",\"at\":5}\n";
    let input = file(folder.path(), "rows", rows);
    let args = ["produce", url, "a", "b", "--input", &input, "--format", "ndjson"];
    run(&[&args[..], &TIMES].concat(), 0);
    let lines = tail(url, &["a", "b"]);
    assert_eq!(of_rows(&lines, "n"), ["0", "1"]);
    assert_eq!(lines[0]["channel"], lines[1]["channel"]);
    assert_eq!(lines[0]["ts"], "1970-01-01T00:00:05Z");
}

#[test]
fn a_row_that_cant_be_used_stops_the_run_after_those_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let cases: [(&str, &[u8], &str); 5] = [
        ("a.csv", b"at,key,n\n1,x,0\nsoon,x,1\n", "a.csv` line 3: `soon` is not a time"),
        ("b.csv", b"at,key,n\n1,x,0\n\n1,x\n", "b.csv` line 4: it has 2 fields, and the header 3"),
        ("c.ndjson", b"{\"at\":1,\"key\":\"x\",\"n\":0}\n{\n", "c.ndjson` line 2: it is not JSON"),
        (
            "d.ndjson",
            b"{\"at\":1,\"key\":\"x\",\"n\":0}\n{\"at\":1}\n",
            "line 2: it has no member `key`",
        ),
        ("e.csv", b"at,key,n\n1,x,0\n1,\xff,1\n", "e.csv` line 3: it isn't UTF-8"),
    ];
    for (n, (name, rows, wanted)) in cases.iter().enumerate() {
        let (input, channel) = (file(folder.path(), name, rows), format!("channel-{n}"));
        let (_, told) =
            run(&[&["produce", url, &channel, "--input", &input, "--end"][..], &TIMES].concat(), 1);
        assert!(told.contains(wanted), "{told}");
        assert!(
            told.contains("stopped before the end of the input: wrote 1 row to 1 channel"),
            "{told}"
        );
        assert_eq!(of_rows(&stored(url, &[&channel]), "n"), ["0"]);
        let (shown, told) = run(&["tail", url, &channel], 0);
        assert_eq!(shown, "", "there is neither a tick nor an end");
        assert!(told.contains("not shown: 1 (channel `channel-"), "{told}");
    }
}

#[test]
fn late_rows_stop_the_run_or_are_written_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(50));
    let produce = |channel: &str, late: &str, delay: &str, exit| {
        let args = ["produce", url, channel, "--input", &input, "--tick", "1s"];
        let late = ["--late", late, "--max-delay", delay];
        run(&[&args[..], &late, &TIMES].concat(), exit).1
    };
    // Every fifth row is 1 s behind the tick before it.
    let stopped = produce("error", "error", "0s", 1);
    assert!(
        stopped.contains("rows.csv` line 6 is late: its time 1970-01-01T00:16:42Z is not after the tick 1970-01-01T00:16:42Z"),
        "{stopped}"
    );
    assert_eq!(of_rows(&stored(url, &["error"]), "n"), numbers(4));
    assert_eq!(produce("none", "error", "1s", 0), "wrote 50 rows to 1 channel\n");

    assert_eq!(produce("deliver", "deliver", "0s", 0), "wrote 50 rows to 1 channel, 10 late\n");
    let (_, told) = run(&["tail", url, "deliver"], 1);
    assert!(
        told.contains("is late: its time 1970-01-01T00:16:42Z") && told.contains("--late drop"),
        "{told}"
    );
    let shown = json_lines(&run(&["tail", url, "deliver", "--late", "deliver"], 0).0);
    assert_eq!(shown.iter().filter(|line| line["late"] == true).count(), 10);
    assert_eq!(tail_late(url, "drop"), 40);

    assert_eq!(
        produce("drop", "drop", "0s", 0),
        "wrote 40 rows to 1 channel, 10 late, 10 dropped\n"
    );
    assert_eq!(tail(url, &["drop"]).len(), 40);
}

fn tail_late(url: &str, late: &str) -> usize {
    run(&["tail", url, "deliver", "--late", late], 0).0.lines().count()
}

/// Kills a run with this session in the middle, so often, and lets it come to its end.
fn killed(url: &str, input: &str, session: &str, more: &[&str]) -> String {
    let args = ["produce", url, "a", "b", "--input", input, "--session", session];
    let args = [&args[..], &TIMES, more].concat();
    for round in 1..=3 {
        let slow = [&args[..], &["--rate", "50"]].concat();
        let producing = Running::start(&slow);
        // Some rows of this round are there.
        let some = (round * 20).to_string();
        let raw = ["tail", url, "a", "b", "--raw", "--follow", "--filter", "type=Row"];
        run(&[&raw[..], &["--count", &some]].concat(), 0);
        producing.signal("KILL");
        assert_eq!(producing.end().0, None);
    }
    run(&args, 0).1
}

#[test]
fn a_session_that_is_killed_again_and_again_writes_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(300));
    let ticks = ["--tick", "3s", "--max-delay", "2s"];
    let told = killed(url, &input, "s", &ticks);
    assert!(told.contains(" written before") && !told.contains("wrote 0"), "{told}");
    let lines = tail(url, &["a", "b"]);
    assert_eq!(sorted(of_rows(&lines, "n")), numbers(300));
    assert!(of_rows(&lines, "at").is_sorted());
    assert!(run(&["channels", "list", url], 0).0.contains("s.home\n"));

    let again = ["produce", url, "a", "b", "--input", &input, "--session", "s"];
    let (_, told) = run(&[&again[..], &TIMES, &ticks].concat(), 0);
    assert_eq!(told, "wrote 0 rows to 2 channels, 300 written before\n");
    assert_eq!(tail(url, &["a", "b"]).len(), 300);
    let shorter = file(folder.path(), "shorter.csv", csv(200));
    let again = ["produce", url, "a", "b", "--input", &shorter, "--session", "s"];
    let (_, told) = run(&[&again[..], &TIMES, &ticks].concat(), 1);
    assert!(told.contains("the session `s` has written") && told.contains("more rows"), "{told}");
}

#[test]
fn a_session_leaves_the_same_late_rows_out_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(300));
    killed(url, &input, "s", &["--tick", "1s", "--late", "drop", "--home", "home"]);
    let in_time: Vec<_> = (0..300).filter(|n| n % 5 != 4).map(|n| n.to_string()).collect();
    assert_eq!(sorted(of_rows(&tail(url, &["a", "b"]), "n")), in_time);
    assert_eq!(run(&["channels", "list", url], 0).0, "a\nb\nhome\n");
}

#[test]
fn rows_that_were_appended_follow_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let mut rows = csv(10);
    let input = file(folder.path(), "rows.csv", &rows);
    let args = ["produce", url, "a", "b", "--input", &input, "--session", "s", "--late"];
    let produce = |late, exit| run(&[&args[..], &[late], &TIMES].concat(), exit).1;
    produce("error", 0);
    rows.push_str("1008,k,10\n2000,k,11\n");
    file(folder.path(), "rows.csv", &rows);
    // The last tick of the run before covers the first of them.
    // Whether it is there must not depend on that, so it isn't dropped.
    for late in ["error", "drop"] {
        let told = produce(late, 1);
        assert!(told.contains("line 12 is late") && told.contains("before this run"), "{told}");
    }
    assert_eq!(produce("deliver", 0), "wrote 2 rows to 2 channels, 10 written before, 1 late\n");
    let shown = json_lines(&run(&["tail", url, "a", "b", "--late", "deliver"], 0).0);
    assert_eq!(sorted(of_rows(&shown, "n")), numbers(12));
}

#[test]
fn channels_are_ended_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(10));
    let args = ["produce", url, "a", "b", "--input", &input, "--end", "--session", "s"];
    let args = [&args[..], &TIMES].concat();
    run(&args, 0);
    // It ends by itself: there is nothing to follow.
    assert_eq!(run(&["tail", url, "a", "b", "--follow"], 0).0.lines().count(), 10);
    assert_eq!(run(&args, 0).1, "wrote 0 rows to 2 channels, 10 written before\n");
    file(folder.path(), "rows.csv", csv(11));
    let (_, told) = run(&args, 1);
    assert!(told.contains("`s` has ended the channels, and the input has more rows"), "{told}");
    let (_, told) = run(&["produce", url, "a", "--input", &input], 1);
    assert!(told.contains("channel `a` has ended"), "{told}");
}

#[tokio::test]
async fn a_session_that_was_killed_while_it_ended_channels_ends_the_rest() {
    use msgstream::produce::SessionConfig;
    use msgstream::{Producer, Timestamp};

    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(10));
    let args = ["produce", url, "a", "b", "--input", &input, "--session", "s"];
    run(&[&args[..], &TIMES].concat(), 0);
    let broker = msgstream::connect(url).await.unwrap();
    let producer = Producer::builder(broker.clone()).channels(["a"]);
    let producer = producer.session(SessionConfig::new("s")).open().await.unwrap();
    producer.end(Timestamp::from_unix_millis(1_009_000).unwrap()).await.unwrap();
    broker.close().await.unwrap();

    let (_, told) = run(&[&args[..], &["--end"], &TIMES].concat(), 0);
    assert_eq!(told, "wrote 0 rows to 2 channels, 10 written before\n");
    assert_eq!(run(&["tail", url, "a", "b", "--follow"], 0).0.lines().count(), 10);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_what_was_read_stored() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let mut producing = Running::start(&["produce", url, "a"]);
    producing.write("one\ntwo\n");
    run(&["tail", url, "a", "--raw", "--follow", "--count", "2"], 0);
    producing.signal("INT");
    producing.says("stopped before the end of the input: wrote 2 rows to 1 channel");
    let (code, _, told) = producing.end();
    assert_eq!((code, &*told), (Some(1), "error: interrupted\n"));
    assert_eq!(of_rows(&stored(url, &["a"]), "line"), ["one", "two"]);
}

#[test]
fn what_is_missing_exits_with_1_and_wrong_usage_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(10));
    let with = |more: &[&str], exit| {
        run(&[&["produce", url, "a", "--input", &input][..], more].concat(), exit).1
    };
    let told = with(&["--key-column", "nothing"], 1);
    assert!(told.contains("has no column `nothing`; its columns are: at, key, n"), "{told}");
    let missing = PathBuf::from(&input).with_extension("none").display().to_string();
    assert!(with(&["--input", &missing], 1).contains("rows.none` can't be opened"));
    assert!(with(&["--no-create"], 1).contains("there is no such channel"));
    assert_eq!(run(&["channels", "list", url], 0).0, "", "nothing was made");

    for usage in [
        &["--home", "h"][..],
        &["--max-delay", "1s"],
        &["--tick", "1s", "--tick-clock", "1s"],
        &["--tick", "0s"],
        &["--time-format", "unix"],
        &["--rate", "0"],
        &["--format", "xml"],
        &["--input", "-", "--input", "-"],
        &["--session", "s", "--late", "drop", "--tick-clock", "1s", "--time-column", "at"],
        &["a"],
    ] {
        with(usage, 2);
    }
    let id = with(&["--session", "not an id"], 2);
    assert!(id.contains("'not an id' for '--session <ID>': a session's name is 1 to 64"), "{id}");
    let zero = with(&["--rate", "0"], 2);
    assert!(zero.contains("it must be at least 1"), "{zero}");
    let year = with(&["--time-column", "at", "--time-format", "%Y"], 2);
    assert!(year.contains("write a format such as `%Y-%m-%d %H:%M:%S`"), "{year}");
    run(&["produce", url], 2);
    run(&["produce", "nowhere", "a", "--input", &input], 2);
}

#[test]
fn the_summary_may_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(10));
    let produce = ["produce", url, "a", "b", "--input", &input, "--session", "s", "--json"];
    for (rows, before) in [(10, 0), (0, 10)] {
        let (out, told) = run(&produce, 0);
        let wanted = serde_json::json!({
            "channels": 2, "rows": rows, "written_before": before, "late": 0, "dropped": 0
        });
        assert_eq!((json_lines(&out), &*told), (vec![wanted], ""));
    }
}

#[test]
fn rows_behind_the_ticks_of_another_run_are_told_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let input = file(folder.path(), "rows.csv", csv(10));
    let produce = ["produce", url, "a", "--input", &input];
    run(&[&produce[..], &TIMES].concat(), 0);
    let (_, told) = run(&[&produce[..], &TIMES, &["--session", "s"]].concat(), 1);
    assert!(told.contains("which was on the channels before this run; set --late"), "{told}");
}
