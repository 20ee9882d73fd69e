//! Names.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::PulsarConfig;

/// A channel's topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) tenant: String,
    pub(crate) namespace: String,
    pub(crate) channel: String,
}

impl Topic {
    pub(crate) fn new(config: &PulsarConfig, channel: &str) -> Self {
        Self {
            tenant: config.tenant.clone(),
            namespace: config.namespace.clone(),
            channel: channel.to_owned(),
        }
    }
}

/// As the protocol names it.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "persistent://{}/{}/{}", self.tenant, self.namespace, self.channel)
    }
}

/// The longest name of a channel or a subscription, in bytes. The broker has no limit of its own;
/// what it stores metadata in may have one.
const MAX_NAME: usize = 255;

/// Returns what is wrong with the name of a channel or a subscription.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("it has {} bytes; use 1 to {MAX_NAME}", name.len()));
    }
    if name.contains('/') || name.chars().any(char::is_control) {
        return Err("it has a slash or control characters; use any others".to_owned());
    }
    if matches!(name, "." | "..") || name.trim() != name {
        return Err(
            "it is `.` or `..`, or begins or ends with a space; use another name".to_owned()
        );
    }
    Ok(())
}

/// Returns what is wrong with the name of a subscription.
pub(crate) fn check_subscription(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name.contains(['%', '+']) {
        // It decodes these names twice.
        return Err(
            "it has `%` or `+`, which the admin interface takes for other characters; use any others"
                .to_owned(),
        );
    }
    Ok(())
}

/// Returns what is wrong with the name of a channel to be created.
pub(crate) fn check_new_channel(name: &str) -> Result<(), String> {
    check_name(name)?;
    match name.rsplit_once("-partition-") {
        Some((_, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            Err("names that end with `-partition-NUMBER` belong to partitions; use another name"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Returns a random number that is unique for all practical purposes, and never 0.
pub(crate) fn nonce() -> u128 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let word = || u128::from(RandomState::new().hash_one((count, std::process::id())));
    (word() << 64 | word()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_become_others_are_refused() {
        for name in ["", "a/b", ".", "..", " a", "a ", "a\nb", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "頻道", "a b", "a%2Fb", "...", "-partition-", "a?b#c"] {
            assert_eq!(check_new_channel(name), Ok(()), "{name:?}");
        }
        for name in ["a%20b", "a+b", "a/b", ""] {
            assert!(check_subscription(name).is_err(), "{name:?}");
        }
        assert_eq!(check_subscription("a b"), Ok(()));
        assert!(check_name("a-partition-3").is_ok() && check_new_channel("a-partition-3").is_err());
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce(), nonce());
    }
}
