//! The schemes `nats` and `tls`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url};
use msgstream_core::transport::Transport;

use crate::{NatsConfig, NatsTransport};

/// Answers to `nats://` and `tls://`.
#[derive(Clone, Copy, Debug)]
pub struct NatsScheme;

/// Adds [`NatsScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(NatsScheme);
}

#[async_trait]
impl Scheme for NatsScheme {
    fn schemes(&self) -> &'static [&'static str] {
        &["nats", "tls"]
    }

    fn help(&self) -> &'static str {
        "nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]…][/PREFIX][?creds=FILE&nkey=FILE&ca=FILE&cert=FILE&key=FILE&tls_first=true&domain=NAME&timeout_ms=N&window_bytes=N&prefetch_bytes=N&storage=file|memory&replicas=N&max_bytes=N&max_age_ms=N&discard=old|new&compression=none|s2&duplicate_window_ms=N&cluster=NAME&tags=NAME,…], or tls://…"
    }

    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        Ok(Arc::new(NatsTransport::connect(NatsConfig::from_url(url)?).await?))
    }
}
