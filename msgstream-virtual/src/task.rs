//! Waiting that doesn't depend on who polls.

use std::panic::resume_unwind;

use futures::FutureExt as _;
use msgstream_core::transport::{Result, TransportError, TransportErrorKind};
use tokio::task::JoinSet;

/// Does something that waits for a lock, or while it has one. It ends if this is dropped.
///
/// A caller may keep a future without polling it: a consumer does so with its reads between two calls.
/// If such a future had a lock, or were the next to get one, all others would wait until it is polled
/// again. So what isn't done at once goes on in a task of its own.
pub(crate) async fn in_task<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut work = work.boxed();
    if let Some(done) = (&mut work).now_or_never() {
        return done;
    }
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(failed)) if failed.is_panic() => resume_unwind(failed.into_panic()),
        _ => {
            let reason = "the runtime ended".to_owned();
            Err(TransportError::new(operation, TransportErrorKind::Unavailable { reason }))
        }
    }
}
