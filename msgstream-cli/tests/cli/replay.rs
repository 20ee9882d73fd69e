//! The `msgstream` binary, from the outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/flights-2013-01.csv.gz")
}

fn replay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgstream"));
    command.arg("replay");
    command
}

/// Over files with the columns `at` (Unix seconds) and `key`.
fn replay_small(files: &[&Path]) -> Command {
    let mut command = replay();
    command.args(files).args(["--time-column", "at", "--time-format", "unix"]);
    command.args(["--key-column", "key", "--channels", "3", "--tick", "10s"]);
    command
}

/// Over the sample: its rows are up to a day behind.
fn replay_flights() -> Command {
    let mut command = replay();
    command.arg(sample()).args(["--time-column", "time_hour", "--key-column", "tailnum"]);
    command.args(["--channels", "4", "--tick", "1h"]);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn run(command: &mut Command, exit: i32) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    text
}

/// The summary's numbers by their names.
fn summary(stderr: &str) -> BTreeMap<String, u64> {
    let names = ["rows read", "delivered", "late", "dropped", "bad", "duplicates", "packs"];
    let number = |name: &str| {
        let line = stderr.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line[name.len()..].trim().parse().ok());
        number.unwrap_or_else(|| panic!("no `{name}` in the summary:\n{stderr}"))
    };
    names.map(|name| (name.to_owned(), number(name))).into()
}

/// Rows `at,key,value`, of which every seventh is 40 s behind.
fn small_csv(rows: u64) -> String {
    let mut csv = "at,key,value\n".to_owned();
    for n in 0..rows {
        let at = 1000 + n - if n % 7 == 6 { 40 } else { 0 };
        writeln!(csv, "{at},k{},\"v, {n}\"", n % 11).unwrap();
    }
    csv
}

/// The `row` objects of an output, sorted: what doesn't depend on the run.
fn rows_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| line.split_once(r#""row":"#).unwrap().1.to_owned();
    let mut rows: Vec<_> = text.lines().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn the_sample_comes_out_verified_with_no_late_row() {
    let output = folder("sample").join("out.ndjson");
    let text = run(replay_flights().arg("--output").arg(&output).arg("--verify"), 0);
    assert!(text.contains("verified"), "{text}");
    let summary = summary(&text);
    assert_eq!((summary["rows read"], summary["delivered"], summary["late"]), (8832, 8832, 0));
    assert_eq!((summary["duplicates"], summary["bad"]), (0, 0));
    assert!(summary["packs"] > 24, "{text}");

    let lines = fs::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().count(), 8832);
    let line = lines.lines().next().unwrap();
    let mut from = 0;
    for key in
        ["begin", "end", "channel", "ts", "late", "row", "year", "month", "tailnum", "time_hour"]
    {
        let at = line[from..].find(&format!("\"{key}\":"));
        from += at.unwrap_or_else(|| panic!("no `{key}` where it belongs in {line}"));
    }
}

#[test]
fn verify_needs_no_output_file() {
    let text = run(replay_flights().arg("--verify"), 0);
    assert!(text.contains("verified"), "{text}");
    let output = replay_flights().args(["--verify", "--output", "-"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 8832);
}

#[test]
fn the_summary_may_be_json() {
    let csv = folder("json").join("rows.csv");
    fs::write(&csv, small_csv(70)).unwrap();
    let mut command = replay_small(&[&csv]);
    let output = command.args(["--max-delay", "1h", "--verify", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["read"], &summary["delivered"]), (&70.into(), &70.into()));
    assert_eq!((&summary["verified"], &summary["duplicates"]), (&true.into(), &0.into()));
    let told = run(replay_small(&[&csv]).args(["--json", "--output", "-"]), 2);
    assert!(told.contains("write the rows to a file"), "{told}");
}

#[test]
fn each_late_policy_accounts_for_every_row() {
    each_late_policy_accounts("late", false);
}

/// What is written isn't acknowledged at once there, so ticks wait.
#[test]
fn each_late_policy_accounts_for_every_row_in_files() {
    each_late_policy_accounts("late-files", true);
}

fn each_late_policy_accounts(name: &str, files: bool) {
    let folder = folder(name);
    let csv = folder.join("late.csv");
    fs::write(&csv, small_csv(700)).unwrap();
    let run_with = |late: &str, delay: &str, exit| {
        let mut command = replay_small(&[&csv]);
        if files {
            let log = folder.join(format!("{late}-{delay}"));
            command.arg("--url").arg(format!("file://{}", log.display()));
        }
        run(command.args(["--late", late, "--max-delay", delay, "--verify"]), exit)
    };
    // Every seventh row is 39 s behind the greatest time before it.
    for late in ["error", "deliver", "drop"] {
        let in_time = summary(&run_with(late, "39s", 0));
        assert_eq!((in_time["delivered"], in_time["late"], in_time["dropped"]), (700, 0, 0));
    }
    let delivered = summary(&run_with("deliver", "0s", 0));
    assert_eq!((delivered["delivered"], delivered["late"], delivered["dropped"]), (700, 100, 0));
    let dropped = summary(&run_with("drop", "0s", 0));
    assert_eq!((dropped["delivered"], dropped["late"], dropped["dropped"]), (600, 100, 100));

    let stopped = run_with("error", "0s", 1);
    assert!(
        stopped.contains("late.csv` line 8 is late: its time 1970-01-01T00:16:06Z"),
        "{stopped}"
    );
    assert!(summary(&stopped)["delivered"] < 700);
    assert!(!stopped.contains("verified"), "{stopped}");
}

#[test]
fn a_bad_row_stops_the_run_or_is_set_aside() {
    let folder = folder("bad");
    let (csv, aside) = (folder.join("bad.csv"), folder.join("aside.csv"));
    let mut bytes = b"at,key,value\n1001,a,x\n\nsoon,b,\"x,\ny\"\n1002,c\n1003,d,x,y\n".to_vec();
    bytes.extend_from_slice(b"1004,e,\xff\n-5,f,x\n1005,g,x");
    fs::write(&csv, bytes).unwrap();

    let stopped = run(&mut replay_small(&[&csv]), 1);
    assert!(stopped.contains("bad.csv` line 4: `soon` is not a time"), "{stopped}");
    assert!(stopped.contains("--bad-rows"), "{stopped}");

    let mut command = replay_small(&[&csv]);
    let text = run(command.arg("--bad-rows").arg(&aside).arg("--verify"), 0);
    let summary = summary(&text);
    assert_eq!((summary["rows read"], summary["delivered"], summary["bad"]), (7, 2, 5));

    let mut aside = csv::ReaderBuilder::new().from_path(&aside).unwrap();
    assert_eq!(aside.headers().unwrap(), &["file", "line", "reason", "raw"][..]);
    let rows: Vec<_> = aside.byte_records().map(Result::unwrap).collect();
    let raw: Vec<_> = rows.iter().map(|row| (&row[1], &row[3])).collect();
    let wanted: [(&[u8], &[u8]); 5] = [
        (b"4", b"soon,b,\"x,\ny\""),
        (b"6", b"1002,c"),
        (b"7", b"1003,d,x,y"),
        (b"8", b"1004,e,\xff"),
        (b"9", b"-5,f,x"),
    ];
    assert_eq!(raw, wanted);
    assert!(rows.iter().all(|row| row[0].ends_with(b"bad.csv") && !row[2].is_empty()));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn several_files_and_gzip_give_what_one_plain_file_gives() {
    let folder = folder("files");
    let path = |name: &str| folder.join(name);
    let csv = small_csv(100);
    let middle = csv.match_indices('\n').nth(50).unwrap().0 + 1;
    let second = format!("at,key,value\n{}", &csv[middle..]);
    fs::write(path("all.csv"), &csv).unwrap();
    fs::write(path("one.csv"), &csv[..middle]).unwrap();
    // Two gzip members in one file.
    let (a, b) = second.split_at(second.len() / 2);
    fs::write(path("two.csv.gz"), [gzip(a.as_bytes()), gzip(b.as_bytes())].concat()).unwrap();

    for (files, output) in
        [(vec!["all.csv"], "a.ndjson"), (vec!["one.csv", "two.csv.gz"], "b.ndjson")]
    {
        let files: Vec<_> = files.into_iter().map(path).collect();
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        run(replay_small(&files).arg("--verify").arg("--output").arg(path(output)), 0);
    }
    let rows = rows_of(&path("a.ndjson"));
    assert_eq!(rows.len(), 100);
    assert_eq!(rows, rows_of(&path("b.ndjson")));
}

#[test]
fn a_truncated_file_and_a_missing_column_are_named() {
    let folder = folder("files-that-fail");
    let (cut, other, empty) =
        (folder.join("cut.csv.gz"), folder.join("other.csv"), folder.join("empty.csv"));
    let whole = gzip(small_csv(5000).as_bytes());
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    fs::write(&other, "at,name\n1,x\n").unwrap();
    fs::write(&empty, "").unwrap();

    let text = run(replay_small(&[&cut]).arg("--bad-rows").arg(folder.join("aside")), 1);
    assert!(text.contains("cut.csv.gz` can't be read to its end"), "{text}");
    let text = run(&mut replay_small(&[&other]), 1);
    assert!(text.contains("other.csv` has no column `key`; its columns are: at, name"), "{text}");
    assert!(!text.contains("rows read"), "found before anything is read: {text}");
    let text = run(&mut replay_small(&[&empty]), 1);
    assert!(text.contains("empty.csv` is empty"), "{text}");
    let text = run(&mut replay_small(&[&folder.join("none.csv")]), 1);
    assert!(text.contains("none.csv` can't be opened"), "{text}");
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = folder("usage");
    let csv = folder.join("small.csv");
    fs::write(&csv, small_csv(10)).unwrap();
    // The last of an option given twice would be an error of its own, so each is built whole.
    let base = |channels: &str, tick: &str| {
        let mut command = replay();
        command.arg(&csv).args(["--time-column", "at", "--time-format", "unix"]);
        command.args(["--key-column", "key", "--channels", channels, "--tick", tick]);
        command
    };
    run(&mut base("1", "1s"), 0);
    run(&mut base("0", "1s"), 2);
    run(&mut base("-1", "1s"), 2);
    run(&mut base("1", "0s"), 2);
    run(&mut base("1", "1us"), 2);
    run(&mut base("1", "soon"), 2);
    run(base("1", "1s").args(["--late", "maybe"]), 2);
    run(base("1", "1s").args(["--max-delay", "-1h"]), 2);
    run(base("1", "1s").arg("--unknown"), 2);
    run(&mut replay(), 2);
    let text = run(base("1", "1s").args(["--url", "nosuch://x"]), 2);
    assert!(text.contains("mem"), "the schemes that there are: {text}");
    run(base("1", "1s").args(["--url", "mem://?colour=red"]), 2);
    let mut format = replay();
    format.arg(&csv).args(["--time-column", "at", "--key-column", "key", "--channels", "1"]);
    run(format.args(["--tick", "1s", "--time-format", "%H:%M"]), 2);
}

#[test]
fn an_input_is_not_written_over() {
    let folder = folder("same");
    let csv = folder.join("small.csv");
    fs::write(&csv, small_csv(10)).unwrap();
    for option in ["--output", "--bad-rows"] {
        run(replay_small(&[&csv]).arg(option).arg(folder.join("../same/small.csv")), 2);
    }
    let new = folder.join("new");
    run(replay_small(&[&csv]).arg("--output").arg(&new).arg("--bad-rows").arg(&new), 2);
    assert_eq!(fs::read_to_string(&csv).unwrap(), small_csv(10));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let spawn = |command: &mut Command| {
        command
            .args(["--output", "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // The output is far larger than a pipe, so it is not all written by then.
    let gone = |mut child: Child| {
        let mut first = [0];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = gone(spawn(&mut replay_flights()));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(summary(&text)["delivered"] > 0 && !text.contains("error"), "{text}");

    let output = gone(spawn(replay_flights().arg("--verify")));
    assert_eq!(output.status.code(), Some(1), "what was asked for wasn't done");
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_cleanly_with_the_summary() {
    let pipe = folder("interrupt").join("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = replay_small(&[&pipe])
        .args(["--max-delay", "0s", "--output", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Open for reading too, so that opening doesn't wait for the child. It stays open, so that
    // the input has no end and only the interrupt can stop the run.
    let mut input = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    input.write_all(b"at,key\n1001,a\n1021,b\n1041,c\n").unwrap();

    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains(r#""row":{"at":"1001","key":"a"}"#), "{line}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());

    let output = child.wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error: interrupted"), "{text}");
    let summary = summary(&text);
    assert_eq!((summary["rows read"], summary["duplicates"]), (3, 0));
    assert!(summary["delivered"] >= 1, "{text}");
    drop(input);
}

#[cfg(unix)]
#[test]
fn a_pipe_cannot_be_verified() {
    let pipe = folder("pipe").join("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    run(replay_small(&[&pipe]).arg("--verify"), 2);
}
