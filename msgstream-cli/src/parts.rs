//! The parts of a run: threads and tasks that end together.

use tokio::task::JoinError;

use crate::error::{Error, Result};

/// Waits for the end of a thread or a task, by its handle.
///
/// # Errors
/// Fails as it did, and with [`Error::Runtime`] if it panicked.
pub(crate) async fn joined<T>(
    part: impl Future<Output = Result<Result<T>, JoinError>>,
) -> Result<T> {
    part.await.unwrap_or_else(|e| Err(Error::Runtime { source: e.into() }))
}

/// Returns the first error that says why the run stopped.
pub(crate) fn first_cause(results: [Result<()>; 3]) -> Result<()> {
    let mut stopped = Ok(());
    for result in results {
        match result {
            Ok(()) => {}
            Err(Error::Stopped) => stopped = Err(Error::Stopped),
            Err(cause) => return Err(cause),
        }
    }
    stopped
}
