//! Options, and the scheme `mem`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url, parse_options};
use msgstream_core::transport::Transport;
use serde::Deserialize;

use crate::MemTransport;

/// What an instance keeps and takes. `None` leaves it to the instance where there is one already,
/// else there is no limit.
///
/// ```
/// use msgstream_mem::MemConfig;
/// let config = MemConfig::default().with_retention_bytes(64 << 20).with_max_payload(1 << 20);
/// assert_eq!(config.retention_bytes, Some(64 << 20));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemConfig {
    /// How much each channel keeps, in bytes, counted as
    /// [`Record::footprint`](msgstream_core::record::Record::footprint). What is over it is
    /// dropped, the oldest first; the newest record always stays.
    pub retention_bytes: Option<u64>,
    /// The greatest payload that a record may have, in bytes.
    pub max_payload: Option<usize>,
}

impl MemConfig {
    /// The same with another retention, in bytes for each channel.
    #[must_use]
    pub const fn with_retention_bytes(mut self, bytes: u64) -> Self {
        self.retention_bytes = Some(bytes);
        self
    }

    /// The same with another limit to a payload, in bytes.
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }
}

/// Answers to `mem://[NAME][?retention_bytes=N&max_payload=N]`.
#[derive(Clone, Copy, Debug)]
pub struct MemScheme;

/// Adds [`MemScheme`] to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(MemScheme);
}

#[async_trait]
impl Scheme for MemScheme {
    fn schemes(&self) -> &'static [&'static str] {
        &["mem"]
    }

    fn help(&self) -> &'static str {
        "mem://[NAME][?retention_bytes=N&max_payload=N]"
    }

    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        let config = parse_options(url)?;
        let name = instance_name(url)?;
        Ok(match name {
            "" => Arc::new(MemTransport::new(config)),
            name => Arc::new(MemTransport::named_with(name, config)?),
        })
    }
}

/// The name in a URL. Kept to letters that a URL never rewrites, so that a name has one spelling.
fn instance_name(url: &Url) -> Result<&str, ConnectError> {
    let name = url.host_str().unwrap_or_default();
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    if !bare {
        return Err(ConnectError::address(
            url,
            "it is a name and options only: no user, port, path or fragment",
        ));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(ConnectError::address(
            url,
            "a name is made of the letters A-Z and a-z, digits, `-`, `_` and `.`",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(url: &str) -> Result<String, ConnectError> {
        instance_name(&Url::parse(url).unwrap()).map(str::to_owned)
    }

    #[test]
    fn names_are_taken_as_they_are_written() {
        for (url, wanted) in
            [("mem://", ""), ("mem://Orders-1.a_b", "Orders-1.a_b"), ("mem:///", "")]
        {
            assert_eq!(name(url).unwrap(), wanted, "{url}");
        }
    }

    #[test]
    fn anything_beside_the_name_is_refused() {
        for url in [
            "mem://u@a",
            "mem://u:secret@a",
            "mem://a:1",
            "mem://a/b",
            "mem://a#f",
            "mem://ä",
            "mem://[::1]",
        ] {
            let error = name(url).unwrap_err();
            assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
