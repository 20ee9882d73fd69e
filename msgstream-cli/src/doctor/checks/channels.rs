//! Channels that can't be read.

use msgstream::transport::TransportErrorKind;

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Code, Finding};
use crate::error::chain;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let failed = facts.failed.iter().map(|(channel, error)| match error.kind() {
        TransportErrorKind::NotFound => Finding::new(
            Code::ChannelMissing,
            &**channel,
            "there is no such channel, so no consumer of the stream can open",
            "create it, or take it out of the consumers' lists",
        ),
        _ => Finding::new(
            Code::ChannelFailed,
            &**channel,
            chain(error),
            "remove the cause, and run this again; the other channels were looked at",
        ),
    });
    failed.collect()
}
