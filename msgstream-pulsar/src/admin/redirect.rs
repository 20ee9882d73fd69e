//! Where a token may be sent.

use msgstream_core::registry::Url;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::Rest;
use crate::brokers::Use;
use crate::name::Topic;

impl Rest {
    /// Refuses a redirect by which the token would get to somebody else: in plain text, where it was
    /// encrypted before; or to a host that is none of the URL's, and not where the brokers say that
    /// the topic is.
    pub(super) async fn check_redirect(
        &self,
        from: &Url,
        to: &Url,
        topic: Option<&Topic>,
    ) -> Result<(), Kind> {
        let refused = |why: &str| Kind::Config {
            reason: format!(
                "the admin interface at {} sends us to {}, where the token isn't sent: {why}",
                from.origin().ascii_serialization(),
                to.origin().ascii_serialization(),
            ),
        };
        if !is_as_safe(from, to) {
            return Err(refused("that isn't encrypted"));
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
            "it is no host of the URL, and not the topic's broker; if it belongs to the cluster, name it in the option `admin`",
        ))
    }
}

/// Whether what is sent there is encrypted if it was so far.
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
