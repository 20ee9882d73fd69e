//! What the tests share.

pub(crate) mod channels;
pub(crate) mod commands;
#[cfg(unix)]
pub(crate) mod terminal;
pub(crate) mod world;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

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

/// A run of the tool that goes on beside the test, at most to the test's end.
pub(crate) struct Running {
    child: Child,
    /// Its stdout, until nobody reads it any more.
    lines: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = msgstream(args.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    /// Writes to its stdin, which stays open.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for the next line of its stdout.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Waits for a line of its stderr that has this text.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str) {
        // Byte by byte: what follows the line is for others.
        let (stderr, mut line) = (self.child.stderr.as_mut().unwrap(), Vec::new());
        loop {
            let mut byte = [0];
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it never said `{text}`");
            line.push(byte[0]);
            if byte[0] == b'\n' {
                if String::from_utf8_lossy(&line).contains(text) {
                    return;
                }
                line.clear();
            }
        }
    }

    /// Sends a signal, such as `INT` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &*id]).status().unwrap().success());
    }

    /// Stops reading its stdout.
    pub(crate) fn go_away(&mut self) {
        self.lines = None;
    }

    /// Waits for its end without reading its stdout. Returns the exit code, and what it wrote to
    /// stderr.
    pub(crate) fn wait_unread(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), err)
    }

    /// Closes its stdin, and waits for its end. Returns the exit code, and what it wrote since to
    /// stdout and stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(lines) = &mut self.lines {
            lines.read_to_string(&mut out).unwrap();
        }
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the JSON of each line.
#[track_caller]
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns what the lines have under this key of their rows.
pub(crate) fn of_rows(lines: &[Value], key: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    lines.iter().map(|line| text(&line["row"][key])).collect()
}
