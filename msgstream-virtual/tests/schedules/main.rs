//! Readers that join, lag and leave in any order get the packs of a log that holds their channel's
//! records and the common ticks alone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod schedule;

use self::schedule::Schedule;

const SCHEDULES: u64 = 20_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn packs_are_those_of_a_log_of_its_own() {
    let (runtime, mut lagged) = (runtime(), 0);
    for seed in 0..SCHEDULES {
        match Schedule::new(seed).run(&runtime) {
            Ok(seen) => lagged += u64::from(seen),
            Err(wrong) => panic!("seed {seed}: {wrong}"),
        }
    }
    assert!(lagged > SCHEDULES / 10, "readers lagged in {lagged} schedules only");
}

#[cfg(feature = "planted-bugs")]
#[test]
fn each_planted_bug_is_found() {
    use msgstream_virtual::planted::{Bug, plant};

    let runtime = runtime();
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..SCHEDULES).find(|seed| Schedule::new(*seed).run(&runtime).is_err());
        plant(None);
        println!("{bug:?} is found by seed {found:?}");
        assert!(found.is_some(), "{bug:?} isn't found");
    }
}
