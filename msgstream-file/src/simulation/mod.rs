//! Worlds of processes on a simulated disk, which prove what the log promises.
//!
//! One seed decides what there is, in which order the processes run, and what goes wrong: a process
//! may end at any call, and the power may be cut at any call. Then of what wasn't synced anything
//! may survive: any pages, parts of them, any names. Syncs fail and leave pages that look written;
//! reads and writes are short; there is no room, or too many files are open; the clock goes back.
//!
//! The laws:
//!
//! - What was acknowledged is read after all that, in order, once, at its offset and with its
//!   content, unless somebody trimmed or deleted it. Writers that sync later may lose what wasn't
//!   synced to a power cut, and nothing else.
//! - If all writers sync each commit, whatever any reader saw is there for ever.
//! - No offset is ever that of two records. Offsets that were seen are never beyond the end.
//! - A batch is there whole or not at all, and never if its outcome was that it isn't.
//! - A trim removes nothing at or after its offset. A reader's error names what it missed.
//! - A channel that was made is there. Nothing is acknowledged in one that was deleted.
//! - Cursors don't go back. No call fails with damage, as there is none.
//! - Once nothing goes wrong any more, everything can be read and written.

mod content;
mod disk;
mod faults;
mod file;
mod folder;
mod keeper;
mod last;
mod ledger;
mod life;
mod plan;
mod process;
mod reader;
mod records;
mod rng;
mod state;
mod task;
mod trace;
mod world;
mod writer;

use std::collections::BTreeMap;

/// The name of a rare path. Each must be taken in some of many seeds, or the runs prove little.
pub const RARE_PATHS: [&str; 36] = [
    "power cut tore a file",
    "power cut lost a name",
    "a sync failed",
    "a folder's sync failed",
    "no room",
    "no room for a file",
    "too many files",
    "the clock was set",
    "killed when it had begun a segment",
    "killed when it had begun a segment durably",
    "killed when it had cut a tail",
    "killed when it had named a channel",
    "killed when it had published",
    "killed when it had removed a file",
    "killed when it had renamed a channel to delete it",
    "killed when it had replaced a cursor",
    "killed when it had replaced the bounds",
    "killed when it had synced a folder",
    "killed when it had synced records",
    "killed when it had written a small file",
    "killed when it had written records",
    "killed while it published",
    "killed while it wrote records",
    "a tail was cut",
    "recovered",
    "recovered in the same boot",
    "recovered beside a torn tail",
    "offsets were left out",
    "a lock was lost to a deletion",
    "a reader was passed by trimming",
    "somebody else made the channel",
    "deleted",
    "repaired",
    "not stored: no room",
    "unknown",
    "unknown: no room",
];

/// What became of a world.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The first thing that happened and mustn't have.
    pub violation: Option<String>,
    /// A hash of all calls of the disk and their results.
    pub hash: u64,
    /// How many calls there were.
    pub calls: u64,
    /// How often each rare path was taken.
    pub rare: BTreeMap<&'static str, u64>,
    /// How many records were acknowledged.
    pub acknowledged: u64,
}

/// Runs the world of a seed on this thread. `print` prints every call to the standard error.
#[must_use]
pub fn run(seed: u64, print: bool) -> Report {
    world::run(seed, print)
}
