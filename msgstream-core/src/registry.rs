//! Connecting by URL.
//!
//! A transport registers a [`Scheme`]. A program connects by URL and names no transport in its code.
//! The registry of the facade crate holds the transports that are compiled in; a program adds its own
//! with [`Registry::register`].

mod address;
mod error;
mod layer;
mod options;
mod servers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
pub use url::Url;

pub use self::address::{Host, hosts, user};
pub use self::error::{ConnectError, nearest};
pub use self::layer::LayerScheme;
pub use self::options::parse_options;
use crate::transport::Transport;

/// Connects to the URLs of one kind of broker.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::registry::{ConnectError, Registry, Scheme, Url, parse_options};
/// use msgstream_core::transport::Transport;
///
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Options { window: Option<usize> }
///
/// #[derive(Debug)]
/// struct Tape;
///
/// #[async_trait::async_trait]
/// impl Scheme for Tape {
///     fn schemes(&self) -> &'static [&'static str] { &["tape"] }
///     fn help(&self) -> &'static str { "tape://DEVICE[?window=RECORDS]" }
///     async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
///         let options: Options = parse_options(url)?;
///         Err(ConnectError::address(url, format!("no tape in the drive, window {options:?}")))
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register(Tape);
/// assert!(registry.schemes().eq(["tape"]));
/// ```
#[async_trait]
pub trait Scheme: fmt::Debug + Send + Sync + 'static {
    /// Returns the URL schemes that it connects to, in lower case.
    fn schemes(&self) -> &'static [&'static str];

    /// Returns the form of its URLs, with the options, as one line of a program's help text.
    fn help(&self) -> &'static str;

    /// Connects to the broker that the URL names. If it names several hosts, with commas between
    /// them, those after the first are in the option `servers`, which [`hosts`] reads.
    ///
    /// # Errors
    /// Fails with a [`ConnectError`] whose text has neither the URL's user, nor its password, nor the
    /// values of its options.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError>;
}

/// The schemes that a program can connect to.
///
/// ```
/// use msgstream_core::registry::Registry;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::registry::ConnectError> {
/// let mut registry = Registry::new();
/// msgstream_mem::register(&mut registry);
/// let broker = registry.connect("mem://shop").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    schemes: BTreeMap<&'static str, Arc<dyn Scheme>>,
    layers: BTreeMap<&'static str, Arc<dyn LayerScheme>>,
}

impl Registry {
    /// Returns a registry without schemes.
    ///
    /// ```
    /// use msgstream_core::registry::Registry;
    /// assert_eq!(Registry::new().schemes().count(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scheme. It replaces an earlier one of the same name.
    ///
    /// ```
    /// use msgstream_core::registry::Registry;
    /// let mut registry = Registry::new();
    /// registry.register(msgstream_mem::MemScheme);
    /// assert!(registry.schemes().eq(["mem"]));
    /// ```
    pub fn register(&mut self, scheme: impl Scheme) -> &mut Self {
        let scheme: Arc<dyn Scheme> = Arc::new(scheme);
        for name in scheme.schemes() {
            self.schemes.insert(name, Arc::clone(&scheme));
        }
        self
    }

    /// Adds a layer, which is written before the scheme that it goes around: `LAYER+SCHEME://…`. It
    /// replaces an earlier one of the same name.
    pub fn register_layer(&mut self, layer: impl LayerScheme) -> &mut Self {
        self.layers.insert(layer.name(), Arc::new(layer));
        self
    }

    /// Returns the names of the schemes, sorted.
    ///
    /// ```
    /// use msgstream_core::registry::Registry;
    /// let mut registry = Registry::new();
    /// msgstream_mem::register(&mut registry);
    /// assert!(registry.schemes().eq(["mem"]));
    /// ```
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.schemes.keys().copied()
    }

    /// Returns the forms of the URLs that are supported, one line each.
    ///
    /// ```
    /// use msgstream_core::registry::Registry;
    /// let mut registry = Registry::new();
    /// msgstream_mem::register(&mut registry);
    /// assert!(registry.help().all(|line| line.starts_with("mem://")));
    /// ```
    pub fn help(&self) -> impl Iterator<Item = &'static str> {
        // A scheme with several names has one line, at its first name.
        let first = |(name, scheme): &(&&str, &Arc<dyn Scheme>)| {
            scheme.schemes().iter().min() == Some(*name)
        };
        let layers = self.layers.values().map(|layer| layer.help());
        self.schemes.iter().filter(first).map(|(_, scheme)| scheme.help()).chain(layers)
    }

    /// Connects to the broker that the URL names. The URL may have several hosts:
    /// `kafka://a:9092,b:9092/PREFIX` means `kafka://a:9092/PREFIX?servers=b:9092`, for every scheme
    /// that has this option.
    ///
    /// ```
    /// use msgstream_core::registry::Registry;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msgstream_core::registry::ConnectError> {
    /// let mut registry = Registry::new();
    /// msgstream_mem::register(&mut registry);
    /// registry.connect("mem://shop").await?;
    /// assert!(registry.connect("tape://shop").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`ConnectError::InvalidUrl`], with [`ConnectError::UnknownScheme`], or with the
    /// error of the scheme.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn connect(&self, url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
        let invalid = |reason: &str| ConnectError::InvalidUrl {
            reason: reason.to_owned(),
            known: self.known(),
            source: None,
        };
        let url = match servers::parse(url) {
            // `host:9092` and `user:password@host` parse as a scheme and a path.
            Ok(url) if !url.has_authority() => return Err(invalid("it has no `//`")),
            // A part of the password would be taken for a path or an option, and be shown.
            Ok(url) if servers::cuts_user(url.as_str()) => {
                return Err(invalid(
                    "it has an `@` behind the host: in a user or a password, write `/`, `?` and `#` as %2F, %3F and %23",
                ));
            }
            other => other.map_err(|error| invalid("its syntax is wrong").because(error))?,
        };
        self.connect_parsed(&url).await
    }

    async fn connect_parsed(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        if let Some(scheme) = self.schemes.get(url.scheme()) {
            return scheme.connect(url).await;
        }
        let layered = url.scheme().split_once('+').and_then(|(name, _)| self.layers.get(name));
        match layered {
            Some(layer) => layer::connect(&**layer, self, url).await,
            None => {
                let scheme = url.scheme().to_owned();
                Err(ConnectError::UnknownScheme { scheme, known: self.known() })
            }
        }
    }

    /// Returns what may be written as a scheme.
    fn known(&self) -> Vec<String> {
        let layers = self.layers.keys().map(|layer| format!("{layer}+SCHEME"));
        self.schemes().map(str::to_owned).chain(layers).collect()
    }
}

#[cfg(test)]
mod tests;
