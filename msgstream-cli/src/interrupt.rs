//! Ctrl-C.

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
