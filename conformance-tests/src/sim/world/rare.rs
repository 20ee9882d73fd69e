//! Paths of the library that are rarely taken, counted by the library itself.

use std::collections::BTreeMap;

use super::ledger::Counts;

/// The name of a rare path. Each must be taken in some of many seeds, or the runs prove little.
pub const RARE_PATHS: [&str; 10] = [
    "paused",
    "evicted",
    "window too large",
    "late",
    "idle",
    "rejoined",
    "redelivered",
    "fenced",
    "unknown resolved",
    "checkpoint refused",
];

/// How often each rare path was taken.
pub(super) fn rare_paths(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let merges = counts.merges.values();
    let sum = |count: fn(&msgstream_core::timetick::merge::MergeCounts) -> u64| {
        merges.clone().map(count).sum::<u64>()
    };
    let fenced = counts.sessions.values().map(|c| c.fenced).sum::<u64>();
    let resolved = counts.sessions.values().map(|c| c.unknown_resolved).sum();
    let refused = counts.commits.values().map(|c| c.refused).sum();
    let times = [
        sum(|c| c.paused),
        sum(|c| c.evictions),
        sum(|c| c.refused_windows),
        sum(|c| c.late),
        sum(|c| c.idled),
        sum(|c| c.rejoined),
        sum(|c| c.duplicates),
        sum(|c| c.fenced) + fenced,
        resolved,
        refused,
    ];
    RARE_PATHS.into_iter().zip(times).collect()
}
