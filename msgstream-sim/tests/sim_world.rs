//! Simulated worlds: their laws hold, and a seed gives the same world in every process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::env;
use std::process::Command;

use msgstream_sim::world;

const SEEDS: u64 = 60;
/// Set where this program is to print hashes: a process of its own for `hashes_are_the_same`.
const CHILD: &str = "SIM_WORLD_CHILD";

#[test]
fn the_laws_hold() {
    for seed in 0..SEEDS {
        let report = world::run(seed, false);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}

#[test]
fn prints_hashes_as_a_child() {
    if env::var_os(CHILD).is_some() {
        for seed in 0..SEEDS {
            let report = world::run(seed, false);
            println!("hash {seed} {:016x} of {} events", report.hash, report.events);
        }
    }
}

#[test]
fn a_seed_is_the_same_world_in_two_processes() {
    let hashes = || {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "prints_hashes_as_a_child", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let text = String::from_utf8(child.stdout).unwrap();
        text.lines().filter(|line| line.contains("hash ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (hashes(), hashes());
    assert_eq!(one.len() as u64, SEEDS);
    assert_eq!(one, other);
}
