//! What the tests share.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used)]

pub(crate) mod world;

use std::path::Path;
use std::process::{Command, Output};

/// Returns a command that runs the tool.
pub(crate) fn msgstream<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgstream"));
    command.args(args);
    command
}

/// Returns the URL of logs in a folder.
pub(crate) fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// Runs the tool, which must end with this exit code, and returns what it wrote to stdout and stderr.
#[track_caller]
pub(crate) fn run(args: &[&str], exit: i32) -> (String, String) {
    let output = msgstream(args.iter().copied()).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(exit), "{args:?}\n{out}\n{err}");
    (out, err)
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}
