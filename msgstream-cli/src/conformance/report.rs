//! The suite with its outcomes as JSON.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use msgstream::transport::Capabilities;
use msgstream_conformance::{Harness, Need, Scenario, check};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::output::print_json;

/// What became of a scenario.
#[derive(Debug, Serialize)]
struct Outcome {
    scenario: &'static str,
    result: Verdict,
    /// Why it failed, or what it needs that isn't there.
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Passed,
    Failed,
    Ignored,
}

/// Runs scenarios, so many at a time, and writes a line for each once it has ended. Returns how many failed.
/// It blocks its thread.
///
/// # Errors
/// Fails with [`Error::OutputClosed`] if whoever reads the lines went away: no further scenario begins then.
pub(super) fn run(
    harness: &Arc<dyn Harness>,
    can: Capabilities,
    scenarios: Vec<&'static Scenario>,
    threads: usize,
) -> Result<u64> {
    let scenarios = Mutex::new(scenarios.into_iter());
    let next = || scenarios.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut failed = 0;
        while let Some(scenario) = next() {
            let Some(outcome) = outcome(scenario, harness, can) else { continue };
            failed += u64::from(outcome.result == Verdict::Failed);
            print_json(&outcome)?;
        }
        Ok(failed)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let stopped = || Error::Suite { reason: "a thread of it panicked".to_owned() };
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(stopped()))).sum()
    })
}

/// Runs a scenario. What checks that something is refused has no outcome if the transport can do that.
fn outcome(
    scenario: &'static Scenario,
    harness: &Arc<dyn Harness>,
    can: Capabilities,
) -> Option<Outcome> {
    let unmet: Vec<_> = scenario.unmet(can, &**harness).collect();
    let (result, reason) = if unmet.is_empty() {
        match check(scenario, harness) {
            Ok(()) => (Verdict::Passed, None),
            Err(failure) => (Verdict::Failed, Some(failure.to_string())),
        }
    } else if unmet.iter().any(|need| matches!(need, Need::Cannot(_))) {
        return None;
    } else {
        let needs: Vec<_> = unmet.iter().map(Need::to_string).collect();
        (Verdict::Ignored, Some(format!("needs {}", needs.join(", "))))
    };
    Some(Outcome { scenario: scenario.name(), result, reason })
}
