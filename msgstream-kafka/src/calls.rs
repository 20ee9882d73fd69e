//! Calls of the client that block, on threads of their own.
//!
//! They aren't the runtime's threads for blocking calls, for which the runtime would wait when it ends.
//! A call has a short time limit, and only so many calls run at once for each node, so that a node that
//! hangs takes no thread from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Semaphore, oneshot};

use crate::events::lock;
use crate::prefetch::no_thread;

/// How many calls run at once for each place.
const AT_ONCE: usize = 8;

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

/// The calls in progress.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<HashMap<At, Arc<Semaphore>>>);

impl Calls {
    /// Calls a function once it is its turn. A cancelled call continues, and its result is dropped.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        at: At,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let places = Arc::clone(
            lock(&self.0).entry(at).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))),
        );
        let permit = places.acquire_owned().await.map_err(|_| TransportErrorKind::Closed)?;
        let (sender, answer) = oneshot::channel();
        let run = move || {
            let _permit = permit;
            // Nobody may be waiting any more.
            let _ = sender.send(call());
        };
        let spawned = thread::Builder::new().name("kafka-call".to_owned()).spawn(run);
        spawned.map_err(no_thread)?;
        // The thread answers, unless it panics.
        answer.await.map_err(|_| TransportErrorKind::Closed)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    /// Takes all places at a node. They are free again once the sender is dropped.
    async fn hang(calls: &Arc<Calls>, at: At) -> mpsc::Sender<()> {
        let (end, hangs) = mpsc::channel::<()>();
        let hangs = Arc::new(Mutex::new(hangs));
        let (sender, mut began) = tokio::sync::mpsc::channel(AT_ONCE);
        for _ in 0..AT_ONCE {
            let (calls, hangs, sender) = (Arc::clone(calls), Arc::clone(&hangs), sender.clone());
            tokio::spawn(async move {
                let hang = move || {
                    sender.blocking_send(()).unwrap();
                    let _ = lock(&hangs).recv();
                    Ok(())
                };
                calls.call(at, hang).await
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
            assert_eq!(calls.call(at, || Ok(7)).await, Ok(7));
        }
        let mut waiting = std::pin::pin!(calls.call(At::Node(1), || Ok(7)));
        let waits = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        drop(hanging);
        assert_eq!(waiting.await, Ok(7));
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
