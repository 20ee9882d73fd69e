//! Calls of the client that block, on threads of their own.
//!
//! They aren't the runtime's threads for what blocks, for which it would wait where it ends. A call
//! has a short time, and whoever asks again does it without a thread in between; so many calls at once
//! go to one node, so a node that hangs takes no thread from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::events::lock;
use crate::fetcher::no_thread;

/// How many calls there are at once for each place.
const AT_ONCE: usize = 4;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// The client alone, or a node for a second at most.
    Client,
    /// The node that the client chooses.
    AnyNode,
    /// The node of this number.
    Node(i32),
}

/// The calls that are under way.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<HashMap<At, Arc<Semaphore>>>);

impl Calls {
    /// Calls a function with the time that is left for it, once it is its turn. A call that is cancelled goes on
    /// until then, and what it gives is dropped.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        at: At,
        time: Duration,
        call: impl FnOnce(Duration) -> Result<T, TransportErrorKind> + Send + 'static,
    ) -> Result<T, TransportErrorKind> {
        let until = Instant::now() + time;
        let places = Arc::clone(
            lock(&self.0).entry(at).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))),
        );
        let permit = timeout_at(until, places.acquire_owned()).await;
        let late = |_| TransportErrorKind::TimedOut { after: time };
        let permit = permit.map_err(late)?.map_err(|_| TransportErrorKind::Closed)?;
        let (sender, answer) = oneshot::channel();
        let run = move || {
            let _permit = permit;
            // Nobody may be waiting any more.
            let _ = sender.send(call(until.saturating_duration_since(Instant::now())));
        };
        let spawned = thread::Builder::new().name("kafka-call".to_owned()).spawn(run);
        spawned.map_err(|error| no_thread(&error))?;
        // The thread answers, unless it panics.
        answer.await.map_err(|_| TransportErrorKind::Closed)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Takes all places at a node. They are free again once the sender is dropped.
    async fn hang(calls: &Arc<Calls>, at: At) -> mpsc::Sender<()> {
        let (end, hangs) = mpsc::channel::<()>();
        let hangs = Arc::new(Mutex::new(hangs));
        let (sender, mut began) = tokio::sync::mpsc::channel(AT_ONCE);
        for _ in 0..AT_ONCE {
            let (calls, hangs, sender) = (Arc::clone(calls), Arc::clone(&hangs), sender.clone());
            tokio::spawn(async move {
                let hang = move |_| {
                    sender.blocking_send(()).unwrap();
                    let _ = lock(&hangs).recv();
                    Ok(())
                };
                calls.call(at, LONG, hang).await
            });
        }
        for _ in 0..AT_ONCE {
            began.recv().await.unwrap();
        }
        end
    }

    #[tokio::test]
    async fn a_node_that_hangs_takes_no_thread_from_another() {
        let calls = Arc::new(Calls::default());
        let hanging = hang(&calls, At::Node(1)).await;
        for at in [At::Node(2), At::AnyNode, At::Client] {
            assert_eq!(calls.call(at, LONG, |_| Ok(7)).await, Ok(7));
        }
        let time = Duration::from_millis(1);
        let late = calls.call(At::Node(1), time, |_| Ok(())).await;
        assert_eq!(late, Err(TransportErrorKind::TimedOut { after: time }));
        drop(hanging);
        assert_eq!(calls.call(At::Node(1), LONG, |_| Ok(7)).await, Ok(7));
    }

    #[test]
    fn a_runtime_ends_without_waiting_for_a_call() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let calls = Arc::new(Calls::default());
        let hanging = runtime.block_on(hang(&calls, At::AnyNode));
        // It would never come back.
        drop(runtime);
        drop(hanging);
    }
}
