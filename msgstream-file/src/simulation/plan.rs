//! What there is in a world, and how often what goes wrong.

use super::faults::Faults;
use super::rng::Rng;
use crate::log::SyncMode;

/// Which writers sync each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syncing {
    All,
    None,
    Some,
}

/// How the storm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everybody ends by himself.
    Calm,
    /// Everybody is killed.
    Killed,
    PowerCut,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The size of a page of the disk, in bytes.
    pub(super) page: usize,
    /// Names survive a power cut in the order in which they changed.
    pub(super) journal: bool,
    pub(super) syncing: Syncing,
    pub(super) channels: u64,
    pub(super) writers: usize,
    pub(super) readers: usize,
    pub(super) keepers: usize,
    pub(super) segment_bytes: [u64; 2],
    pub(super) frame: usize,
    pub(super) largest: usize,
    pub(super) max_bytes: Option<u64>,
    pub(super) max_age: Option<u64>,
    pub(super) trims: bool,
    pub(super) deletes: bool,
    pub(super) repairs: bool,
    /// How many files a process keeps open.
    pub(super) files: usize,
    /// How many calls the storm takes.
    pub(super) storm: u64,
    pub(super) ending: Ending,
    pub(super) kills: f64,
    /// How often a process is killed right after a rename.
    pub(super) traps: f64,
    pub(super) power_cuts: f64,
    pub(super) faults: Faults,
}

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let least = rng.pick([150, 300, 600, 1500]);
        let other = if rng.chance(0.4) { least * 4 } else { least };
        Self {
            page: rng.pick([64, 64, 128, 512, 4096]),
            journal: rng.chance(0.5),
            syncing: rng.pick([Syncing::All, Syncing::All, Syncing::None, Syncing::Some]),
            channels: rng.pick([1, 1, 1, 2]),
            writers: rng.pick([1, 2, 2, 3]),
            readers: rng.pick([1, 1, 2]),
            keepers: rng.pick([0, 1, 1, 2]),
            segment_bytes: [least, other],
            frame: rng.pick([120, 300, 1000]),
            largest: rng.pick([20, 60, 200, 400]),
            max_bytes: rng.chance(0.25).then(|| rng.between(300, 4000)),
            max_age: rng.chance(0.15).then(|| rng.between(300, 3000)),
            trims: rng.chance(0.5),
            deletes: rng.chance(0.3),
            repairs: rng.chance(0.2),
            files: rng.pick([1, 2, 4, 100]),
            storm: rng.between(500, 5000),
            ending: rng.pick([Ending::Calm, Ending::Killed, Ending::PowerCut]),
            kills: rng.pick([0.0, 0.001, 0.004, 0.004, 0.015]),
            traps: rng.pick([0.0, 0.05, 0.2]),
            power_cuts: rng.pick([0.0, 0.0005, 0.0015, 0.0015, 0.005]),
            faults: Faults::draw(rng),
        }
    }

    pub(super) const fn retention(&self) -> bool {
        self.max_bytes.is_some() || self.max_age.is_some()
    }

    pub(super) fn mode(&self, rng: &mut Rng) -> SyncMode {
        match self.syncing {
            Syncing::All => SyncMode::Commit,
            Syncing::None => SyncMode::Later,
            Syncing::Some => rng.pick([SyncMode::Commit, SyncMode::Later]),
        }
    }
}
