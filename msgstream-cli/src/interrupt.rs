//! Ctrl-C.

use std::pin::Pin;

use crate::error::{Error, Result};

/// Waits for Ctrl-C. A second one ends the process at once: a write may be stuck.
pub(crate) async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // There is no such signal here.
        std::future::pending::<()>().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(1);
        }
    });
}

/// Does some work, unless [`interrupt`] comes first.
///
/// # Errors
/// Fails with [`Error::Interrupted`] then, and else as the work.
pub(crate) async fn unless<T>(
    interrupted: &mut Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted => Err(Error::Interrupted),
        done = work => done,
    }
}
