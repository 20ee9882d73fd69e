//! Layers in URLs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::{ConnectError, Registry};
use crate::transport::Transport;

/// A layer that goes around what another scheme connects to, written before it: `LAYER+SCHEME://…`.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::registry::{ConnectError, LayerScheme, Registry, Url, parse_options};
/// use msgstream_core::transport::Transport;
///
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Options { delay_ms: u64 }
///
/// #[derive(Debug)]
/// struct Slow;
///
/// #[async_trait::async_trait]
/// impl LayerScheme for Slow {
///     fn name(&self) -> &'static str { "slow" }
///     fn help(&self) -> &'static str { "slow+SCHEME://…[?delay_ms=N]" }
///     fn options(&self) -> &'static [&'static str] { &["delay_ms"] }
///     async fn connect(
///         &self,
///         options: &Url,
///         below: Arc<dyn Transport>,
///     ) -> Result<Arc<dyn Transport>, ConnectError> {
///         let options: Options = parse_options(options)?;
///         println!("each call takes {} ms longer", options.delay_ms);
///         Ok(below)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ConnectError> {
/// let mut registry = Registry::new();
/// msgstream_mem::register(&mut registry);
/// registry.register_layer(Slow);
/// registry.connect("slow+mem://shop?delay_ms=3").await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait LayerScheme: fmt::Debug + Send + Sync + 'static {
    /// Returns its name, in lower case.
    fn name(&self) -> &'static str;

    /// Returns the form of its URLs, with its options, as one line of a program's help text.
    fn help(&self) -> &'static str;

    /// Returns the names of its options. All others are those of the scheme that it goes around.
    fn options(&self) -> &'static [&'static str];

    /// Returns the layer around a transport.
    ///
    /// # Errors
    /// Fails with a [`ConnectError`] whose text has no value of an option.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn connect(
        &self,
        options: &Url,
        below: Arc<dyn Transport>,
    ) -> Result<Arc<dyn Transport>, ConnectError>;
}

/// Connects to the URL without the layer and its options, and puts the layer around that.
pub(super) async fn connect(
    layer: &dyn LayerScheme,
    registry: &Registry,
    url: &Url,
) -> Result<Arc<dyn Transport>, ConnectError> {
    let [own, others] = [true, false].map(|own| {
        let mut part = url.clone();
        let pairs = url.query_pairs().filter(|(name, _)| layer.options().contains(&&**name) == own);
        part.query_pairs_mut().clear().extend_pairs(pairs);
        part
    });
    let below = others.as_str().trim_start_matches(layer.name()).trim_start_matches('+');
    let below = below.trim_end_matches('?');
    let below = Url::parse(below).map_err(|error| ConnectError::InvalidUrl {
        reason: "what the layer goes around has a wrong syntax".to_owned(),
        known: registry.known(),
        source: Some(error.into()),
    })?;
    // Boxed: a layer may go around another one.
    let connected = Box::pin(registry.connect_parsed(&below)).await;
    let below = connected.map_err(|error| in_layer(layer, url, error))?;
    layer.connect(&own, below).await
}

/// Returns an error of what a layer goes around, as one of the whole URL.
fn in_layer(layer: &dyn LayerScheme, url: &Url, error: ConnectError) -> ConnectError {
    match error {
        ConnectError::UnknownOption { option, mut known, .. } => {
            known.extend(layer.options().iter().map(|&name| name.to_owned()));
            ConnectError::UnknownOption { scheme: url.scheme().to_owned(), option, known }
        }
        error => error,
    }
}
