//! Every command on logs in files, and those that make sense in the memory of one process.

use crate::kit::commands::every_command;
use crate::kit::run;

#[test]
fn every_command_works_on_files() {
    let folder = tempfile::tempdir().unwrap();
    every_command(&crate::kit::url(&folder.path().join("log")), "orders");
}

#[test]
fn what_is_in_memory_ends_with_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("rows");
    std::fs::write(&input, "one\ntwo\n").unwrap();
    let (_, told) = run(&["produce", "mem://", "a", "--input", &input.display().to_string()], 0);
    assert!(told.contains("wrote 2 rows to 1 channel"), "{told}");
    run(&["channels", "create", "mem://", "a"], 0);
    assert_eq!(run(&["channels", "list", "mem://"], 0).0, "");
    for missing in ["tail", "repair-ticks"] {
        let (_, told) = run(&[missing, "mem://", "a"], 1);
        assert!(told.contains("there is no such channel"), "{told}");
    }
    let (found, _) = run(&["doctor", "mem://", "a", "--json"], 1);
    assert!(found.contains("channel-missing"), "{found}");
    let (suite, _) = run(&["conformance", "mem://suite", "start::seek_goes_anywhere"], 0);
    assert!(suite.contains("start::seek_goes_anywhere ... ok"), "{suite}");
}
