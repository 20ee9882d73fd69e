//! Terminals.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rexpect::process::PtyProcess;

/// Resizes the terminal of a program.
pub(crate) fn resize(program: &PtyProcess, columns: u16, rows: u16) {
    let size = [columns.to_string(), rows.to_string()];
    let mut stty = Command::new("stty");
    stty.args(["cols", &size[0], "rows", &size[1]]);
    let terminal = Stdio::from(program.get_file_handle().unwrap());
    assert!(stty.stdin(terminal).status().unwrap().success());
}

/// How long a screen may take until it shows what it should.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program in a terminal of 80 columns until its screen shows something, and then types `q`.
pub(crate) fn screen_of(command: Command, rows: u16, shows: impl Fn(&str) -> bool) -> String {
    let program = PtyProcess::new(command).unwrap();
    let [columns, rows] = [80, rows].map(|n| NonZero::new(n).unwrap());
    resize(&program, columns.get(), rows.get());
    let mut terminal = program.get_file_handle().unwrap();
    let mut screen = vt100::Parser::new(rows, columns, 0);
    let began = Instant::now();
    let text = loop {
        let mut bytes = [0; 1024];
        let count = terminal.read(&mut bytes).unwrap();
        screen.process(&bytes[..count]);
        let text = screen.screen().contents();
        if shows(&text) {
            break text;
        }
        assert!(began.elapsed() < PATIENCE, "it only shows this:\n{text}");
    };
    terminal.write_all(b"q").unwrap();
    while terminal.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    text
}
