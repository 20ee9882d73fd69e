//! The tool in a terminal.

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::kit::{msgstream, run, url};

/// Runs the tool in a terminal. A text that is expected and doesn't come within a minute fails the test.
fn terminal(args: &[&str]) -> PtySession {
    let mut command = msgstream(args.iter().copied());
    // Whatever the one is that the tests run in, if there is any.
    command.env("TERM", "xterm");
    spawn_command(command, Some(60_000)).unwrap()
}

#[track_caller]
fn ends_with(terminal: &PtySession, code: i32) {
    let status = terminal.process().wait().unwrap();
    assert!(matches!(status, WaitStatus::Exited(_, exit) if exit == code), "{status:?}");
}

#[test]
fn tail_follows_until_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let mut tail = terminal(&["tail", url, "a"]);
    tail.exp_string("waiting for channel `a`, which isn't there yet").unwrap();
    for row in ["one", "two"] {
        let input = folder.path().join(row);
        std::fs::write(&input, row).unwrap();
        run(&["produce", url, "a", "--input", &input.display().to_string()], 0);
        tail.exp_string(&format!(r#""row":{{"line":"{row}"}}}}"#)).unwrap();
    }
    tail.send_control('c').unwrap();
    tail.exp_eof().unwrap();
    ends_with(&tail, 0);
}

#[test]
fn produce_takes_lines_that_are_typed_in() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(&folder.path().join("log"));
    let mut produce = terminal(&["produce", url, "a"]);
    produce.send_line("one").unwrap();
    produce.send_line("two").unwrap();
    produce.send_control('d').unwrap();
    produce.exp_string("wrote 2 rows to 1 channel").unwrap();
    produce.exp_eof().unwrap();
    ends_with(&produce, 0);

    let mut produce = terminal(&["produce", url, "a"]);
    produce.send_line("three").unwrap();
    run(&["tail", url, "a", "--raw", "--follow", "--filter", "type=Row", "--count", "3"], 0);
    produce.send_control('c').unwrap();
    produce.exp_string("stopped before the end of the input: wrote 1 row to 1 channel").unwrap();
    produce.exp_eof().unwrap();
    ends_with(&produce, 1);
    assert_eq!(run(&["tail", url, "a"], 0).0.lines().count(), 2);
}

#[test]
fn a_bar_shows_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (url, input) = (&url(&folder.path().join("log")), folder.path().join("rows"));
    std::fs::write(&input, "1\n2\n3\n4\n5\n6\n7\n8\n").unwrap();
    let input = &input.display().to_string();
    let mut produce = terminal(&["produce", url, "a", "--input", input, "--rate", "20"]);
    produce.exp_string("/16 B").unwrap();
    produce.exp_string("wrote 8 rows to 1 channel").unwrap();
    produce.exp_eof().unwrap();
    ends_with(&produce, 0);

    let copy = format!("{url}-copy");
    let mut copied = terminal(&["copy", url, &copy, "a"]);
    copied.exp_string("/9 records").unwrap();
    copied.exp_eof().unwrap();
    ends_with(&copied, 0);

    for quiet in [
        &["produce", url, "b", "--input", input, "--rate", "20", "--quiet"][..],
        &["copy", url, &copy, "b", "--quiet"],
    ] {
        let mut quiet = terminal(quiet);
        assert_eq!(quiet.exp_eof().unwrap(), "");
        ends_with(&quiet, 0);
    }
}
