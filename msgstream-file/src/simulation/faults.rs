//! What goes wrong with a disk, and how often.

use super::rng::Rng;

/// How often each fault happens, for each call that it can happen to.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) sync: f64,
    pub(super) sync_folder: f64,
    pub(super) short: f64,
    pub(super) interrupted: f64,
    /// Begins and ends a time without room.
    pub(super) full: f64,
    pub(super) too_many_files: f64,
    pub(super) other: f64,
    pub(super) clock_set: f64,
    pub(super) write_back: f64,
}

impl Faults {
    /// Most worlds have few kinds of faults, which then meet no others.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut rate = |worlds: f64, low: f64, high: f64| {
            let rate = if rng.chance(0.5) { low } else { high };
            if rng.chance(worlds) { rate } else { 0.0 }
        };
        Self {
            sync: rate(0.4, 0.01, 0.1),
            sync_folder: rate(0.3, 0.02, 0.15),
            short: rate(0.5, 0.02, 0.3),
            interrupted: rate(0.3, 0.01, 0.1),
            full: rate(0.3, 0.003, 0.02),
            too_many_files: rate(0.2, 0.003, 0.02),
            other: rate(0.2, 0.001, 0.005),
            clock_set: rate(0.3, 0.001, 0.01),
            write_back: rate(0.6, 0.01, 0.1),
        }
    }
}
