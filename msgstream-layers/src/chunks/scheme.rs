//! The scheme `chunks+SCHEME`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, LayerScheme, Url, parse_options};
use msgstream_core::transport::Transport;

use super::Chunks;

/// Answers to `chunks+SCHEME://…`: a [`Chunks`] over what `SCHEME://…` connects to, with the options
/// `message_bytes` and `part_bytes`. All other options are those of the other scheme.
///
/// ```
/// use msgstream_core::registry::Registry;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::registry::ConnectError> {
/// let mut registry = Registry::new();
/// msgstream_mem::register(&mut registry);
/// msgstream_layers::register(&mut registry);
/// let broker = registry.connect("chunks+mem://shop?message_bytes=1000&max_payload=100").await?;
/// assert_eq!(broker.capabilities().max_payload, Some(1000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChunksScheme;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    message_bytes: Option<usize>,
    part_bytes: Option<usize>,
}

#[async_trait]
impl LayerScheme for ChunksScheme {
    fn name(&self) -> &'static str {
        "chunks"
    }

    fn help(&self) -> &'static str {
        "chunks+SCHEME://…[?message_bytes=N&part_bytes=N]"
    }

    fn options(&self) -> &'static [&'static str] {
        &["message_bytes", "part_bytes"]
    }

    async fn connect(
        &self,
        options: &Url,
        below: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Transport>, ConnectError> {
        let Options { message_bytes, part_bytes } = parse_options(options)?;
        let mut chunks = Chunks::over(below);
        if let Some(bytes) = message_bytes {
            chunks = chunks.with_message_bytes(bytes);
        }
        if let Some(bytes) = part_bytes {
            chunks = chunks.with_part_bytes(bytes);
        }
        Ok(Arc::new(chunks))
    }
}
