//! Every command on logs in files.
#![allow(clippy::unwrap_used)]

mod kit;

use crate::kit::commands::every_command;

#[test]
fn every_command_works_on_files() {
    let folder = tempfile::tempdir().unwrap();
    every_command(&kit::url(&folder.path().join("log")), "orders");
}
