//! The scheme `mem`.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::registry::{ConnectError, Registry, Scheme, Url};
use msgstream_core::transport::Transport;

use crate::{MemConfig, MemTransport};

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
        let config = MemConfig::from_url(url)?;
        let name = instance_name(url)?;
        Ok(match name {
            "" => Arc::new(MemTransport::new(config)),
            name => Arc::new(MemTransport::named_with(name, config)?),
        })
    }
}

/// Returns the name in a URL. It has only letters that a URL never rewrites, so that it has one
/// spelling.
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
            "it can have only a name and options: leave out user, port, path and fragment",
        ));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(ConnectError::address(
            url,
            "the name can have only the letters A-Z and a-z, digits, `-`, `_` and `.`",
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
