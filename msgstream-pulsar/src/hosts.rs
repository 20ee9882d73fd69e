//! Several hosts of which any one will do.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;
use tokio::time::Instant;
use tracing::debug;

use crate::error::unreachable;

/// Hosts that are tried in turn, first the one that answered last: otherwise a silent host
/// would cost its share of the time at each request.
#[derive(Debug)]
pub(crate) struct Hosts<T> {
    all: Vec<T>,
    first: AtomicUsize,
}

impl<T: Clone + Display> Hosts<T> {
    pub(crate) fn new(all: Vec<T>) -> Self {
        Self { all, first: AtomicUsize::new(0) }
    }

    /// Asks one host after the other until one breaks off, with an answer or because no other host may
    /// be asked after what happened. Each has an equal share of the time that is left.
    pub(crate) async fn ask<A, Asking>(
        &self,
        limit: Duration,
        ask: impl Fn(T, Duration) -> Asking,
    ) -> Result<A, Failure>
    where
        Asking: Future<Output = ControlFlow<Result<A, Failure>, Failure>>,
    {
        let (begin, mut left) = (Instant::now(), limit);
        let first = self.first.load(Ordering::Relaxed);
        let count = self.all.len();
        let mut failures = Vec::new();
        for (at, host) in self.all.iter().enumerate().cycle().skip(first).take(count) {
            let share = left / u32::try_from(count - failures.len()).unwrap_or(u32::MAX);
            match ask(host.clone(), share).await {
                ControlFlow::Break(Err(failure)) if failure.is_temporary() => {
                    self.first.store((at + 1) % count, Ordering::Relaxed);
                    failures.push((host, failure));
                    break;
                }
                ControlFlow::Break(done) => {
                    self.first.store(at, Ordering::Relaxed);
                    return done;
                }
                ControlFlow::Continue(failure) => {
                    debug!(%host, error = %failure, "a host failed to answer, trying the next one");
                    failures.push((host, failure));
                }
            }
            left = limit.saturating_sub(begin.elapsed());
        }
        Err(together(failures))
    }
}

/// One error that names each host, and why it failed.
///
/// Its cause is that of the last host.
fn together<T: Display>(mut failures: Vec<(&T, Failure)>) -> Failure {
    let reasons: Vec<_> = failures.iter().map(|(host, failure)| named(host, failure)).collect();
    match failures.pop() {
        Some((_, only)) if failures.is_empty() => only,
        Some((_, last)) => {
            let reason = format!("no host answers: {}", reasons.join("; "));
            last.with_kind(Kind::Unavailable { reason })
        }
        None => unreachable("the URL names no host"),
    }
}

/// Returns why a host failed, causes included, in a text that names the host.
fn named(host: &impl Display, failure: &Failure) -> String {
    let (host, mut text) = (host.to_string(), failure.to_string());
    // What to do is said once, after all of them.
    let without_advice = match &failure.kind {
        Kind::Unavailable { reason } => Some(reason.clone()),
        Kind::TimedOut { after } => Some(format!("no answer within {} ms", after.as_millis())),
        _ => None,
    };
    if let Some(short) = without_advice {
        text = text.replacen(&failure.kind.to_string(), &short, 1);
    }
    if text.contains(&host) { text } else { format!("{host}: {text}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::ready;
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(12);

    /// Asks the hosts, some of which fail, and returns in which order they were asked.
    async fn asked(hosts: &Hosts<&'static str>, down: &[&str]) -> (Result<(), Failure>, String) {
        let order = Mutex::new(String::new());
        let answer = hosts.ask(LIMIT, |host, _| {
            order.lock().unwrap().push_str(host);
            ready(match down.contains(&host) {
                true => ControlFlow::Continue(unreachable("refused")),
                false => ControlFlow::Break(Ok(())),
            })
        });
        (answer.await, order.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_one_that_answered_is_the_first_at_the_next_time() {
        let hosts = Hosts::new(vec!["a", "b", "c"]);
        assert_eq!(asked(&hosts, &["a"]).await, (Ok(()), "ab".to_owned()));
        assert_eq!(asked(&hosts, &[]).await, (Ok(()), "b".to_owned()));
        assert_eq!(asked(&hosts, &["b", "c"]).await, (Ok(()), "bca".to_owned()));
        assert_eq!(asked(&hosts, &[]).await, (Ok(()), "a".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_fail_each_is_named() {
        let failed = |host, after| {
            ready(ControlFlow::<Result<(), Failure>, Failure>::Continue(match host {
                "a:1" => unreachable("connecting to a:1 failed: refused"),
                _ => Kind::TimedOut { after }.into(),
            }))
        };
        let both = Hosts::new(vec!["a:1", "b:2"]);
        let reasons = "connecting to a:1 failed: refused; b:2: no answer within 12000 ms";
        let reason = format!("no host answers: {reasons}");
        assert_eq!(both.ask(LIMIT, failed).await, Err(Kind::Unavailable { reason }.into()));
        // One alone says it itself.
        let one = Hosts::new(vec!["b:2"]);
        assert_eq!(one.ask(LIMIT, failed).await, Err(Kind::TimedOut { after: LIMIT }.into()));
    }

    #[tokio::test]
    async fn what_ends_it_is_told_and_what_may_pass_makes_another_the_first() {
        let hosts = Hosts::new(vec!["a", "b"]);
        for (failure, first) in
            [(Failure::from(Kind::NotFound), "a"), (unreachable("the answer is lost"), "b")]
        {
            let broken = hosts.ask(LIMIT, |_, _| {
                ready(ControlFlow::<Result<(), Failure>, Failure>::Break(Err(failure.clone())))
            });
            assert_eq!(broken.await, Err(failure.clone()));
            assert_eq!(asked(&hosts, &[]).await.1, first);
        }
        // Those that were asked before are named with it.
        let hosts = Hosts::new(vec!["a", "b", "c"]);
        let broken = hosts.ask(LIMIT, |host, _| {
            let failure = unreachable(if host == "a" { "refused" } else { "the answer is lost" });
            ready(match host {
                "a" => ControlFlow::<Result<(), Failure>, Failure>::Continue(failure),
                _ => ControlFlow::Break(Err(failure)),
            })
        });
        let told = unreachable("no host answers: a: refused; b: the answer is lost");
        assert_eq!(broken.await, Err(told));
        assert_eq!(asked(&hosts, &[]).await.1, "c");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_leaves_time_for_the_others() {
        let hosts = Hosts::new(vec!["a", "b", "c"]);
        let shares = Mutex::new(Vec::new());
        let failed = hosts.ask(LIMIT, |host, share| {
            shares.lock().unwrap().push(share.as_secs());
            async move {
                // The second one is refused at once.
                if host != "b" {
                    sleep(share).await;
                }
                let late = Kind::TimedOut { after: share };
                ControlFlow::<Result<(), Failure>, Failure>::Continue(late.into())
            }
        });
        assert!(failed.await.is_err());
        assert_eq!(shares.into_inner().unwrap(), [4, 4, 8]);
    }
}
