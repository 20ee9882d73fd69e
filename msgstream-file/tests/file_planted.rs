//! The simulation finds what it is there to find: each of these bugs, planted in the log, shows
//! within 500 seeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_file::planted::{Bug, plant};
use msgstream_file::simulation;

const SEEDS: u64 = 500;

/// Finds the first seed that shows a bug. A bug is planted for the thread that runs this.
fn finds(bug: Bug) {
    plant(Some(bug));
    let found = (0..SEEDS).find_map(|seed| Some((seed, simulation::run(seed, false).violation?)));
    plant(None);
    let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
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
            assert_eq!(Bug::ALL.len(), [$(Bug::$bug),+].len());
        }
    };
}

finds! {
    an_append_that_is_not_synced: NoSync,
    receipts_before_the_end_is_published: ReceiptsBeforePublish,
    an_end_that_is_published_before_it_is_synced: PublishBeforeSync,
    names_that_are_not_synced: NoFolderSync,
    a_sync_that_is_tried_again: RetriedSync,
    a_tail_that_is_adopted: AdoptedTail,
    a_torn_tail_that_counts_as_whole: TornTailWhole,
    segments_removed_before_the_new_beginning: FirstAfterUnlink,
    a_lock_on_a_dead_file: LockOnDeadFile,
    a_segment_that_was_begun: BegunSegment,
    a_reservation_in_the_cache: ShownReservation,
    pages_in_the_cache: ShownPages,
    remains_of_a_rename_that_is_not_durable: RemainsUnsynced,
}
