//! The checks, each over what was gathered.

mod broker;
mod channels;
mod checkpoint;
mod frontier;
mod pinned;
mod records;
mod retention;
mod sessions;
mod subscriptions;
mod ticks_ahead;

use super::facts::Facts;
use super::finding::Finding;

/// All checks.
pub(super) const ALL: &[fn(&Facts) -> Vec<Finding>] = &[
    channels::check,
    frontier::check,
    ticks_ahead::check,
    checkpoint::check,
    subscriptions::check,
    retention::check,
    pinned::check,
    records::check,
    sessions::check,
    broker::check,
];
