//! The schemes `pulsar` and `pulsar+ssl`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url};
use msgstream_core::transport::Transport;

use crate::{PulsarConfig, PulsarTransport};

/// Answers to `pulsar://` and `pulsar+ssl://`.
#[derive(Clone, Copy, Debug)]
pub struct PulsarScheme;

/// Adds [`PulsarScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(PulsarScheme);
}

#[async_trait]
impl Scheme for PulsarScheme {
    fn schemes(&self) -> &'static [&'static str] {
        &["pulsar", "pulsar+ssl"]
    }

    fn help(&self) -> &'static str {
        "pulsar[+ssl]://HOST[:PORT][,HOST[:PORT]…][/TENANT/NAMESPACE][?admin=http://HOST:PORT[,HOST:PORT…]&token=TEXT&token_file=PATH&ca=PATH&listener=NAME&timeout_ms=N&window_bytes=N&prefetch_bytes=N]"
    }

    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        let config = PulsarConfig::from_url(url)?;
        Ok(Arc::new(PulsarTransport::connect(config).await?))
    }
}
