//! Messages in parts: nothing is lost, doubled or altered, wherever writers fail and readers begin.
#![allow(clippy::unwrap_used, clippy::panic)]

mod large;
mod loom;
#[cfg(feature = "planted-bugs")]
mod planted;
mod rules;
mod scans;
mod world;

/// Runs a world on a thread of its own runtime, where bugs are planted.
fn run(seed: u64) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(world::run(seed))
}

#[test]
fn random_worlds_lose_and_double_nothing() {
    for seed in 0..100 {
        let violation = run(seed);
        assert!(violation.is_none(), "seed {seed}: {}", violation.unwrap_or_default());
    }
}
