//! Terminals.

use std::process::{Command, Stdio};

use rexpect::process::PtyProcess;

/// Resizes the terminal of a program.
pub(crate) fn resize(program: &PtyProcess, columns: u16, rows: u16) {
    let size = [columns.to_string(), rows.to_string()];
    let mut stty = Command::new("stty");
    stty.args(["cols", &size[0], "rows", &size[1]]);
    let terminal = Stdio::from(program.get_file_handle().unwrap());
    assert!(stty.stdin(terminal).status().unwrap().success());
}
