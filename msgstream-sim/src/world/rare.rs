//! Paths of the library that are rarely taken, counted by the library itself.

use std::collections::BTreeMap;

use super::ledger::{Counts, Life};

/// The name of a rare path. Each must be taken in some of many seeds, or the runs prove little.
pub const RARE_PATHS: [&str; 27] = [
    "paused",
    "evicted",
    "evicted before a tick",
    "tick overtaken",
    "window too large",
    "late",
    "idle",
    "rejoined",
    "redelivered",
    "tick repeated",
    "fenced",
    "unknown resolved",
    "checkpoint refused",
    "ended",
    "written after the end",
    "opened after the end",
    "joined",
    "scan began anew",
    "bounded scan of what is left",
    "idle with sessions",
    "idle with a small budget",
    "idle beside an end",
    "resumed idle twice, of what is left",
    "virtual",
    "let go by the hub",
    "joined the hub",
    "all together",
];

/// How often each rare path was taken.
pub(super) fn rare_paths(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let lives = || counts.consumers.values();
    let sum = |count: fn(&Life) -> u64| lives().map(count).sum::<u64>();
    let both = |one: fn(&Life) -> u64, other: fn(&Life) -> u64| {
        lives().filter(|life| one(life) > 0 && other(life) > 0).count() as u64
    };
    let sessions = counts.sessions.values();
    let fenced = sessions.clone().map(|c| c.fenced).sum::<u64>();
    let overtaken = sessions.clone().map(|c| c.overtaken_ticks).sum();
    let resolved = sessions.clone().map(|c| c.unknown_resolved).sum();
    let restarted = sessions.map(|c| c.scans_restarted).sum();

    let judged = |life: &Life| life.merge.duplicates + life.merge.gaps + life.merge.fenced;
    let tight = |life: &Life| life.merge.evictions + life.merge.refused_windows;
    let idle_with_sessions = both(|life| life.merge.idled, judged);
    let idle_with_budget = both(|life| life.merge.idled, tight);
    let idle_beside_end = both(|life| life.merge.idled, |life| life.ended);
    let resumed = both(|life| life.resumed_idle / 2, |life| u64::from(life.resumed_trimmed));
    let repeated = sum(|life| life.merge.repeated_ticks);
    let bounded = counts.bounded_on_trimmed;
    let (let_go, joined) = counts.hubs.unwrap_or_default();
    let together = [
        idle_with_sessions,
        idle_with_budget,
        resumed,
        sum(|life| life.ended),
        bounded,
        sum(|life| life.merge.duplicates),
        repeated,
    ];
    let times = [
        sum(|life| life.merge.paused),
        sum(|life| life.merge.evictions),
        sum(|life| life.merge.evicted_before_ticks),
        overtaken,
        sum(|life| life.merge.refused_windows),
        sum(|life| life.merge.late),
        sum(|life| life.merge.idled),
        sum(|life| life.merge.rejoined),
        sum(|life| life.merge.duplicates),
        repeated,
        sum(|life| life.merge.fenced) + fenced,
        resolved,
        sum(|life| life.commits.refused),
        sum(|life| life.ended),
        sum(|life| life.merge.after_end),
        counts.found_ended,
        sum(|life| life.merge.before_join),
        restarted,
        bounded,
        idle_with_sessions,
        idle_with_budget,
        idle_beside_end,
        resumed,
        u64::from(counts.hubs.is_some()),
        let_go,
        joined,
        together.into_iter().min().unwrap_or_default(),
    ];
    RARE_PATHS.into_iter().zip(times).collect()
}
