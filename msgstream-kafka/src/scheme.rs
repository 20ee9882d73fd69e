//! The scheme `kafka`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url};
use msgstream_core::transport::Transport;

use crate::{KafkaConfig, KafkaTransport};

/// Answers to `kafka://`.
#[derive(Clone, Copy, Debug)]
pub struct KafkaScheme;

/// Adds [`KafkaScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(KafkaScheme);
}

#[async_trait]
impl Scheme for KafkaScheme {
    fn schemes(&self) -> &'static [&'static str] {
        &["kafka"]
    }

    fn help(&self) -> &'static str {
        "kafka://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/PREFIX][?timeout_ms=N&window_bytes=N&prefetch_bytes=N&partitions=N&replicas=N&create.SETTING=VALUE&any property of librdkafka]"
    }

    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        Ok(Arc::new(KafkaTransport::connect(KafkaConfig::from_url(url)?).await?))
    }
}
