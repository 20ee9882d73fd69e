//! Bugs of the merge, planted: the properties find them.

use msgstream_core::planted::{Bug, plant};
use proptest::test_runner::{Config, TestRunner};

use crate::contents::contents;
use crate::{Checked, as_the_reference, budget, choices, resumes};

/// Checks both properties with a bug planted, on contents that are the same in every run.
fn check(bug: Option<Bug>) -> Checked {
    plant(bug);
    let config = Config { max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRunner::deterministic().rng().clone());
    let checked = runner.run(
        &(contents(), budget(), choices(), choices()),
        |(contents, budget, first, second)| {
            as_the_reference(&contents, budget, &first)?;
            resumes(&contents, budget, &first, &second)
        },
    );
    plant(None);
    checked.map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))
}

#[test]
fn each_bug_is_found() {
    assert!(check(None).is_ok());
    for bug in [
        Bug::InexactTick,
        Bug::EvictedForgotten,
        Bug::KeptTwice,
        Bug::VoidReadAgain,
        Bug::EvictedNotAwaited,
        Bug::TicksNotReadAgain,
    ] {
        assert!(check(Some(bug)).is_err(), "{bug:?} was not found");
    }
}
