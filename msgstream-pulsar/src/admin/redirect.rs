//! Where a token may be sent.

use msgstream_core::adapter::Failure;
use msgstream_core::registry::Url;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::Rest;
use crate::brokers::Use;
use crate::name::Topic;

impl Rest {
    /// Fails if a redirect would show the token to somebody else: in plain text after it was encrypted,
    /// or to a host that is neither in the URL nor the topic's broker.
    pub(super) async fn check_redirect(
        &self,
        from: &Url,
        to: &Url,
        topic: Option<&Topic>,
    ) -> Result<(), Failure> {
        let refused = |why: &str| {
            let reason = format!(
                "the admin interface at {} redirects to {}, where the token isn't sent: {why}",
                from.origin().ascii_serialization(),
                to.origin().ascii_serialization(),
            );
            Failure::from(Kind::Config { reason })
        };
        if !is_as_safe(from, to) {
            return Err(refused("the connection isn't encrypted"));
        }
        let host = to.host_str().unwrap_or_default();
        if self.known.iter().any(|known| known == host) {
            return Ok(());
        }
        if let Some(topic) = topic {
            let (owner, _) = self.brokers.owner(topic, Use::Read).await?;
            if owner.host.name == host {
                return Ok(());
            }
        }
        Err(refused(
            "the host is neither in the URL nor the topic's broker; if it belongs to the cluster, name it in the option `admin`",
        ))
    }
}

/// Returns whether what is sent there is encrypted if it was before.
fn is_as_safe(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (from.scheme(), to.scheme()) == ("http", "http")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_encrypted_stays_so() {
        let safe =
            |from: &str, to: &str| is_as_safe(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(safe("https://a", "https://b") && safe("http://a", "https://a"));
        assert!(safe("http://a", "http://b"));
        assert!(!safe("https://a", "http://a") && !safe("http://a", "ftp://a"));
    }
}
