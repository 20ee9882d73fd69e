//! The scheme `virtual+SCHEME`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, LayerScheme, Registry, Url};
use msgstream_core::transport::Transport;

use crate::{Common, Placement, PlacementError, Virtual};

/// Answers to `virtual+SCHEME://…`, the virtual channels of what `SCHEME://…` connects to, with the options
/// `placement`, `common`, `hub_bytes` and `queue_bytes`. All other options are those of the other scheme.
///
/// ```
/// use msgstream_core::registry::Registry;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::registry::ConnectError> {
/// let mut registry = Registry::new();
/// msgstream_mem::register(&mut registry);
/// msgstream_virtual::register(&mut registry);
/// let channels = registry.connect("virtual+mem://shop?placement=hash:16:orders").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VirtualScheme;

/// Adds [`VirtualScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register_layer(VirtualScheme);
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    placement: Option<String>,
    common: Option<Which>,
    hub_bytes: Option<usize>,
    queue_bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    All,
    None,
    Collection,
}

#[async_trait]
impl LayerScheme for VirtualScheme {
    fn name(&self) -> &'static str {
        "virtual"
    }

    fn help(&self) -> &'static str {
        "virtual+SCHEME://…[?placement=milvus|hash:CHANNELS:NAME&common=all|none|collection&hub_bytes=N&queue_bytes=N]"
    }

    fn options(&self) -> &'static [&'static str] {
        &["placement", "common", "hub_bytes", "queue_bytes"]
    }

    async fn connect(
        &self,
        options: &Url,
        below: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Transport>, ConnectError> {
        let read: Options = msgstream_core::registry::parse_options(options)?;
        let mut placement = match read.placement.as_deref() {
            None => Placement::milvus(),
            Some(text) => text.parse().map_err(|error: PlacementError| {
                let reason = "it must be a placement";
                ConnectError::option(options, "placement", reason).because(error)
            })?,
        };
        if let Some(which) = read.common {
            placement = placement.with_common(match which {
                Which::All => Common::All,
                Which::None => Common::None,
                Which::Collection => Common::Collection,
            });
        }
        let channels = Virtual::over(below, placement)
            .with_hub_bytes(read.hub_bytes.unwrap_or(Virtual::HUB_BYTES))
            .with_queue_bytes(read.queue_bytes.unwrap_or(Virtual::QUEUE_BYTES));
        Ok(Arc::new(channels))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::adapter::cause;

    use super::*;

    async fn failed(url: &str) -> ConnectError {
        let mut registry = Registry::new();
        msgstream_mem::register(&mut registry);
        register(&mut registry);
        registry.connect(url).await.unwrap_err()
    }

    async fn error(url: &str) -> String {
        failed(url).await.to_string()
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_with_what_is_near() {
        assert_eq!(
            error("virtual+mem://?placment=milvus").await,
            "a `virtual+mem` URL has no option `placment` (did you mean `placement`?): the options are: retention_bytes, max_payload, placement, common, hub_bytes, queue_bytes"
        );
        let placement = failed("virtual+mem://?placement=hsh:3:a").await;
        assert_eq!(
            placement.to_string(),
            "the option `placement` of the `virtual+mem` URL can't be used: it must be a placement"
        );
        assert_eq!(
            cause::<PlacementError>(&placement).unwrap().to_string(),
            "there is no such placement (did you mean `hash`?): write `milvus` or `hash:CHANNELS:NAME`"
        );
        assert!(error("virtual+tape://a").await.contains("the scheme `tape` is unknown"));
        assert!(error("virtul+mem://a").await.contains("virtual+SCHEME"));
        assert!(error("virtual+mem://a?common=some").await.contains("`common`"));
    }
}
