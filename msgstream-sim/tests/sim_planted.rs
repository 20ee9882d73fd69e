//! The simulation finds what it is there to find: each of these bugs, planted in the library, shows
//! within 200 seeds, and without one nothing does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_core::planted::{Bug, plant};
use msgstream_sim::world;

const SEEDS: u64 = 200;
/// Bugs that the tests of the core find, in `merge_model` and `session_planted`.
const ELSEWHERE: [Bug; 9] = [
    Bug::InexactTick,
    Bug::EvictedForgotten,
    Bug::KeptTwice,
    Bug::VoidReadAgain,
    Bug::EvictedNotAwaited,
    Bug::TicksNotReadAgain,
    Bug::PromisesForgotten,
    Bug::UntoldSent,
    Bug::WrittenLate,
];

/// The first seed that shows a bug, and how. A bug is planted for the thread that runs this.
fn found(bug: Option<Bug>) -> Option<(u64, String)> {
    plant(bug);
    let found = (0..SEEDS).find_map(|seed| Some((seed, world::run(seed, false).violation?)));
    plant(None);
    found
}

fn finds(bug: Bug) {
    let (seed, violation) = found(Some(bug)).unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?} shows in seed {seed}: {violation:.300}");
}

macro_rules! finds {
    ($($test:ident: $bug:ident,)+) => {
        $(#[test]
        fn $test() {
            finds(Bug::$bug);
        })+

        #[test]
        fn every_bug_has_a_test() {
            let here = [$(Bug::$bug),+];
            for bug in Bug::ALL {
                assert!(here.contains(&bug) != ELSEWHERE.contains(&bug), "{bug:?}");
            }
        }
    };
}

finds! {
    a_pack_cut_at_the_least_watermark: CutAtLeastWatermark,
    lateness_by_the_frontier: LateByFrontier,
    dedup_by_a_high_water_mark: HighWaterDedup,
    dedup_state_at_the_read_head: StateAtReadHead,
    dedup_state_at_resume: StateAtResume,
    a_cursor_past_resume: AckPastResume,
    a_tick_before_its_messages: EarlyTick,
    a_retry_without_what_follows: RetryAlone,
    a_lost_end_of_the_channel: LostCaughtUp,
    an_ignored_fence: IgnoredFence,
}

#[test]
fn without_a_bug_nothing_is_found() {
    assert_eq!(found(None), None);
}
