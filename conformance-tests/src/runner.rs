//! Runs scenarios with a deadline, one line of output each.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Conclusion, Trial};
use msgstream_core::transport::Capabilities;
use tokio::runtime::Builder;

use crate::harness::Harness;
use crate::matrix::matrix;
use crate::scenario::{Need, Scenario};
use crate::{Failure, Verdict};

/// Runs the suite as a test program, with the arguments and the output of one: a line for each
/// scenario, and a failing exit code where one failed.
///
/// Scenarios are chosen by what the transport can do. One that needs something more is listed as
/// ignored, with what it needs; one that checks a refusal is there exactly where the capability
/// is false.
///
/// The first line printed is the transport's column of the capability matrix.
pub fn run(harness: impl Harness) -> ExitCode {
    match run_with(Arc::new(harness), Arguments::from_args()) {
        Ok(conclusion) => conclusion.exit_code(),
        Err(failure) => {
            eprintln!("the transport can't be opened: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the suite as [`run`] does, with arguments of the caller's, and returns how many scenarios passed
/// and failed. It blocks its thread, which must be none of an async runtime's.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_conformance::{Arguments, Harness, run_with};
/// fn all_pass(mine: Arc<dyn Harness>) -> bool {
///     run_with(mine, Arguments::default()).is_ok_and(|conclusion| !conclusion.has_failed())
/// }
/// ```
///
/// # Errors
/// Fails if the transport can't be opened: then no scenario has run.
pub fn run_with(
    harness: Arc<dyn Harness>,
    mut arguments: Arguments,
) -> Result<Conclusion, Failure> {
    // Scenarios wait for a broker most of their time.
    let threads = || thread::available_parallelism().map_or(1, NonZero::get) * 4;
    arguments.test_threads.get_or_insert_with(threads);
    let can = capabilities(&harness)?;
    if !arguments.list {
        println!("\n{}", matrix(&[("this transport", can)]));
    }
    Ok(libtest_mimic::run(&arguments, trials(&harness, can)))
}

/// Runs one scenario on a handle and a runtime of its own, with the harness's deadline.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_conformance::{Harness, Scenario, check};
/// fn check_what_needs_nothing(mine: Arc<dyn Harness>) {
///     for scenario in Scenario::all().filter(|s| s.needs().is_empty()) {
///         println!("{} {:?}", scenario.name(), check(scenario, &mine));
///     }
/// }
/// ```
///
/// # Errors
/// What the transport broke, a panic in it and a hang included.
pub fn check(scenario: &'static Scenario, harness: &Arc<dyn Harness>) -> Verdict {
    let own = Arc::clone(harness);
    with_deadline(harness.deadline(), async move {
        let transport = own.open().await?;
        scenario.run(&*transport, &*own).await?;
        Ok(transport.close().await?)
    })
}

fn capabilities(harness: &Arc<dyn Harness>) -> Result<Capabilities, Failure> {
    let own = Arc::clone(harness);
    with_deadline(harness.deadline(), async move {
        let transport = own.open().await?;
        let can = transport.capabilities();
        transport.close().await?;
        Ok(can)
    })
}

fn trials(harness: &Arc<dyn Harness>, can: Capabilities) -> Vec<Trial> {
    let broker = Arc::new(RwLock::new(()));
    // Restarts come first: a broker that was killed looks through all channels that it has.
    let mut scenarios: Vec<&'static Scenario> = Scenario::all().collect();
    scenarios.sort_by_key(|scenario| !scenario.needs().contains(&Need::Broker));
    scenarios
        .into_iter()
        .filter_map(|scenario| {
            let unmet: Vec<_> = scenario.unmet(can, &**harness).collect();
            if unmet.is_empty() {
                let (harness, broker) = (Arc::clone(harness), Arc::clone(&broker));
                let test = move || alone_or_not(scenario, &broker, || check(scenario, &harness));
                return Some(Trial::test(scenario.name(), move || Ok(test()?)));
            }
            // What the transport can do isn't refused: nothing is left out.
            if scenario.is_refusal() {
                return None;
            }
            let needs: Vec<_> = unmet.iter().map(Need::to_string).collect();
            let reason = format!("needs {}", needs.join(", "));
            let ignored = Completion::ignored_with(&reason);
            let trial = Trial::ignorable_test(scenario.name(), move || Ok(ignored));
            Some(trial.with_kind(reason).with_ignored_flag(true))
        })
        .collect()
}

// A restart is felt by every scenario, so those that make one hold the lock alone.
fn alone_or_not(
    scenario: &Scenario,
    broker: &RwLock<()>,
    check: impl FnOnce() -> Verdict,
) -> Verdict {
    if scenario.needs().contains(&Need::Broker) {
        let _alone = broker.write().unwrap_or_else(PoisonError::into_inner);
        check()
    } else {
        let _shared = broker.read().unwrap_or_else(PoisonError::into_inner);
        check()
    }
}

// The deadline is kept by this thread, so that it holds for a transport that blocks its runtime.
fn with_deadline<T: Send + 'static>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no runtime: {error}")))?;
    let (sender, receiver) = mpsc::channel();
    // Whoever counts the runtime's tasks in the work must find both from the beginning.
    runtime.spawn(async move { sender.send(tokio::spawn(work).await) });
    let result = match receiver.recv_timeout(deadline) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Failure::new(panic.to_string())),
        Err(_) => Err(Failure::new(format!("not done after {} ms", deadline.as_millis()))),
    };
    runtime.shutdown_background();
    result
}
