//! Without a broker there is nothing to kill, and that is said.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn a_transport_in_the_process_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgstream-crash"));
    command.args(["rounds", "--kind", "consumer", "--rounds", "1"]);
    let output = command.env_remove("MSGSTREAM_CRASH_URL").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = if cfg!(feature = "mem") { "nothing to kill" } else { "mem" };
    assert!(said.contains(wanted), "{said}");
}
