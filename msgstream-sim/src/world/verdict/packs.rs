//! What is in a pack.

use std::collections::BTreeMap;

use super::super::World;
use super::super::ledger::{Given, Ledger};
use super::super::model::{Model, ModelPack};
use super::Verdict;

impl World {
    /// Packs are a function of the channels' contents: each that any consumer was ever given is the
    /// model's, and the place behind it is always the same.
    pub(super) fn packs_are_the_models(&self, ledger: &Ledger, model: &Model) -> Verdict {
        let packs: BTreeMap<_, _> = model.packs.iter().map(|pack| (pack.begin, pack)).collect();
        let mut ends = BTreeMap::new();
        for Given { pack, end, .. } in self.comparable(ledger) {
            if packs.get(&pack.begin) != Some(&pack) {
                let must = packs.get(&pack.begin);
                return Err(format!("a consumer was given {pack:?}, which must be {must:?}"));
            }
            let other = ends.entry(pack.begin).or_insert(end);
            if *other != end {
                return Err(format!("the pack to {} ends at {end:?}, and at {other:?}", pack.end));
            }
        }
        Ok(())
    }

    /// Where idle channels decide where packs end, each message still is where its time says, or
    /// late for a reason.
    pub(super) fn packs_keep_their_times(&self, ledger: &Ledger, model: &Model) -> Verdict {
        self.comparable(ledger).try_for_each(|given| keeps_its_times(&given.pack, model))
    }

    /// What consumers were given of the logs that are known.
    fn comparable<'a>(&self, ledger: &'a Ledger) -> impl Iterator<Item = &'a Given> {
        let until = ledger.destroyed.as_ref().map_or(usize::MAX, |destroyed| destroyed.given);
        ledger.given.iter().take(until).filter(|given| !given.stray)
    }
}

/// A message counts at its time. If that was promised to be over, by a tick of its channel or,
/// while its channel was idle, by the packs before, it is late. Messages are in order.
pub(super) fn keeps_its_times(pack: &ModelPack, model: &Model) -> Verdict {
    let mut before = None;
    for placed in &pack.msgs {
        let (channel, position, late) = placed;
        let Some(taken) = model.taken.get(&(channel.clone(), *position)) else {
            return Err(format!("{placed:?} is given and doesn't count, in {pack:?}"));
        };
        let (ts, end) = (taken.ts, pack.end);
        let is_over =
            taken.watermark.is_some_and(|watermark| ts <= watermark) || Some(ts) <= pack.begin;
        if ts > end || *late != is_over {
            return Err(format!(
                "{placed:?} at {ts}, after tick {:?}, is in {pack:?}",
                taken.watermark
            ));
        }
        let place = (!late).then_some((ts, channel, position));
        if place.is_some() && place < before {
            return Err(format!("{placed:?} at {ts} is out of order in {pack:?}"));
        }
        before = place.or(before);
    }
    Ok(())
}
