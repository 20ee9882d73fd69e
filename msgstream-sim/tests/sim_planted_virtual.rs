//! The worlds with virtual channels find what they are there to find: each of these bugs, planted in
//! the layer, shows within 400 seeds. `sim_planted` shows that nothing does without one. A record twice
//! at the join isn't among them, since with a small queue a reader then joins again and again, without end:
//! `schedules` of `msgstream-virtual` finds that one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_sim::world;
use msgstream_virtual::planted::{Bug, plant};

const SEEDS: u64 = 400;

/// A bug is planted for the thread that runs this.
fn finds(bug: Bug) {
    plant(Some(bug));
    let found = (0..SEEDS).find_map(|seed| Some((seed, world::run(seed, false).violation?)));
    plant(None);
    let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?} shows in seed {seed}: {violation:.300}");
}

#[test]
fn a_gap_between_catch_up_and_hub() {
    finds(Bug::GapAtJoin);
}

#[test]
fn a_tick_of_another_virtual_channel() {
    finds(Bug::ForeignTick);
}

#[test]
fn a_slow_reader_that_holds_the_hub() {
    finds(Bug::SlowReaderHolds);
}
