//! Names of channels and topics.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;

/// The topic in which the properties of all channels are kept.
pub(crate) const PROPERTIES: &str = "__msgstream";

/// Kafka's own limit.
const MAX_TOPIC: usize = 249;

/// Topics that belong to the brokers, or to us.
const INTERNAL: &[&str] = &[
    PROPERTIES,
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
];

/// Returns whether a text has only characters that a topic's name may have.
pub(crate) fn is_topic_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Returns the topic of a channel, or why there can't be one.
pub(crate) fn topic_of(prefix: &str, channel: &str) -> Result<String, String> {
    let topic = format!("{prefix}{channel}");
    if channel.is_empty() || topic.len() > MAX_TOPIC {
        return Err(format!(
            "it has {} bytes, prefix included; up to {MAX_TOPIC} are allowed, and it can't be empty",
            topic.len()
        ));
    }
    if !is_topic_text(&topic) {
        return Err("it may have only letters A-Z and a-z, digits, `.`, `_` and `-`".to_owned());
    }
    if matches!(&*topic, "." | "..") || INTERNAL.contains(&&*topic) {
        return Err("it is reserved; use another name".to_owned());
    }
    Ok(topic)
}

/// Returns the channel of a topic, `None` if the topic doesn't belong to this prefix.
pub(crate) fn channel_of<'a>(prefix: &str, topic: &'a str) -> Option<&'a str> {
    let channel = topic.strip_prefix(prefix)?;
    (!channel.is_empty() && !INTERNAL.contains(&topic)).then_some(channel)
}

/// Returns the consumer group of a subscription.
pub(crate) fn group_of(prefix: &str, name: &str) -> Result<String, Failure> {
    if (1..=255).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(format!("{prefix}{name}"));
    }
    let reason = "the subscription's name can't be used: it must have 1 to 255 bytes and no control characters";
    Err(TransportErrorKind::Config { reason: reason.to_owned() }.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_topic_leads_back_to_its_channel(
            prefix in "[a-zA-Z0-9._-]{0,20}",
            channel in "[a-zA-Z0-9._-]{3,200}",
        ) {
            let topic = topic_of(&prefix, &channel).unwrap();
            prop_assert_eq!(channel_of(&prefix, &topic), Some(&*channel));
        }
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a b", "a/b", "a\0b", "ü", "__msgstream", &long] {
            assert!(topic_of("", name).is_err(), "{name}");
        }
        assert!(topic_of("__", "msgstream").is_err());
        assert!(topic_of("shop.", "").is_err());
    }

    #[test]
    fn topics_of_others_are_no_channels() {
        assert_eq!(channel_of("shop.", "shop.orders"), Some("orders"));
        for topic in ["shop.", "store.orders"] {
            assert_eq!(channel_of("shop.", topic), None, "{topic}");
        }
        assert_eq!(channel_of("", "__consumer_offsets"), None);
    }

    #[test]
    fn a_group_is_prefix_and_name() {
        assert_eq!(group_of("shop.", "billing").unwrap(), "shop.billing");
        for name in ["", "a\nb", &"x".repeat(256)] {
            assert!(group_of("", name).is_err(), "{name}");
        }
    }
}
