//! The scheme `file`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url};
use msgstream_core::transport::Transport;

use crate::{FileConfig, FileTransport};

/// Answers to `file:///FOLDER`.
#[derive(Clone, Copy, Debug)]
pub struct FileScheme;

/// Adds [`FileScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(FileScheme);
}

#[async_trait]
impl Scheme for FileScheme {
    fn schemes(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn help(&self) -> &'static str {
        "file:///FOLDER[?create=true|false&prefix=P&sync=commit|os|TIME&segment_bytes=N&max_bytes=N&max_age_ms=N&max_payload=N&window_bytes=N&max_open_files=N&timeout_ms=N]"
    }

    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        Ok(Arc::new(FileTransport::open(FileConfig::from_url(url)?).await?))
    }
}
