//! What was promised and what was seen, of one channel's incarnation, and the laws about it.
//!
//! It lives outside of the disk and knows nothing of what the log believes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use msgstream_core::record::Record;

use super::records::Id;

/// Broken laws say which one, and where.
pub(super) type Law = Result<(), String>;

/// What is known of a record at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It is durable.
    Sure,
    /// It is there for as long as the machine runs.
    ThisBoot,
    /// Power was cut since: it may be gone.
    Perhaps,
    /// It was found to be gone, and must stay so.
    Gone,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// Its writer has no outcome, or the outcome is unknown.
    Unknown,
    Stored,
    NotStored,
}

#[derive(Debug)]
struct Batch {
    ids: Range<Id>,
    became: Became,
    /// The offset of its first record, once it is known.
    first: Option<u64>,
}

/// Whether a channel is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The call that makes it hasn't returned.
    Making,
    Made,
    /// The call that deletes it hasn't returned.
    Deleting,
    Deleted,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) stage: Stage,
    /// All writers sync each commit, so what is seen is durable.
    commit: bool,
    records: BTreeMap<u64, (Id, Hold)>,
    /// Where a record was seen.
    places: BTreeMap<Id, u64>,
    /// By their first record.
    batches: BTreeMap<Id, Batch>,
    /// No record behind this was acknowledged.
    acknowledged: u64,
    /// The greatest end that anybody saw before the last power cut, and ever.
    ends: (u64, u64),
    /// Trims were asked for up to here; `None` if retention may remove anything.
    pub(super) trimmed: Option<u64>,
    pub(super) cursors: BTreeMap<String, u64>,
    /// The boot in which somebody saw the end of the log last.
    pub(super) boot: u128,
    /// Offsets that a repair gave up.
    given_up: BTreeSet<u64>,
}

impl Ledger {
    pub(super) fn new(commit: bool, retention: bool) -> Self {
        Self {
            stage: Stage::Making,
            commit,
            records: BTreeMap::new(),
            places: BTreeMap::new(),
            batches: BTreeMap::new(),
            acknowledged: 0,
            ends: (0, 0),
            trimmed: (!retention).then_some(0),
            cursors: BTreeMap::new(),
            boot: 0,
            given_up: BTreeSet::new(),
        }
    }

    pub(super) fn begin(&mut self, ids: Range<Id>) {
        self.batches.insert(ids.start, Batch { ids, became: Became::Unknown, first: None });
    }

    pub(super) fn acknowledge(
        &mut self,
        ids: &[Range<Id>],
        offsets: Range<u64>,
        sync: bool,
    ) -> Law {
        if self.stage == Stage::Deleted {
            return Err("a record was acknowledged in a channel that was deleted".to_owned());
        }
        if offsets.start < self.acknowledged {
            return Err(format!(
                "{offsets:?} were acknowledged though {} was before",
                self.acknowledged
            ));
        }
        let mut next = offsets.start;
        for ids in ids {
            if let Some(batch) = self.batches.get_mut(&ids.start) {
                batch.became = Became::Stored;
            }
            for id in ids.clone() {
                self.see(next, id)?;
                next += 1;
            }
        }
        if next != offsets.end {
            return Err(format!("{offsets:?} were acknowledged for records up to {next}"));
        }
        self.acknowledged = offsets.end;
        self.end(offsets.end)?;
        if sync {
            self.synced();
        }
        Ok(())
    }

    pub(super) fn not_stored(&mut self, ids: &[Range<Id>]) -> Law {
        for ids in ids {
            let Some(batch) = self.batches.get_mut(&ids.start) else { continue };
            if batch.became == Became::Stored || batch.first.is_some() {
                return Err(format!("records {ids:?} were seen, and then called not stored"));
            }
            batch.became = Became::NotStored;
        }
        Ok(())
    }

    /// Everything that is published is durable.
    pub(super) fn synced(&mut self) {
        for (_, hold) in self.records.values_mut() {
            if *hold == Hold::ThisBoot {
                *hold = Hold::Sure;
            }
        }
    }

    /// Somebody saw the end of the log.
    pub(super) fn end(&mut self, end: u64) -> Law {
        if end < self.ends.0 {
            return Err(format!(
                "the log ends at {end}, but an end at {} was seen before the power was cut",
                self.ends.0
            ));
        }
        self.ends.1 = self.ends.1.max(end);
        Ok(())
    }

    pub(super) const fn greatest_end(&self) -> u64 {
        self.ends.1
    }

    /// A record is known to be at an offset.
    fn see(&mut self, offset: u64, id: Id) -> Law {
        let hold = if self.commit { Hold::Sure } else { Hold::ThisBoot };
        match self.records.get_mut(&offset) {
            Some((before, _)) if *before != id => {
                return Err(format!("offset {offset} is record {id}, and was record {before}"));
            }
            Some((_, Hold::Gone)) => {
                return Err(format!("offset {offset} was gone, and is record {id} again"));
            }
            // Whoever looks after a power cut has found it durable.
            Some((_, hold)) if *hold == Hold::Perhaps => *hold = Hold::Sure,
            Some(_) => {}
            None => {
                self.records.insert(offset, (id, hold));
            }
        }
        if *self.places.entry(id).or_insert(offset) != offset {
            return Err(format!("record {id} is at {offset} and at {}", self.places[&id]));
        }
        let batch = self.batches.range_mut(..=id).next_back().map(|(_, batch)| batch);
        let Some(batch) = batch.filter(|batch| batch.ids.contains(&id)) else {
            return Err(format!("record {id} at {offset} is of another channel"));
        };
        if batch.became == Became::NotStored {
            return Err(format!("record {id} at {offset} was called not stored"));
        }
        let first = offset.checked_sub(id - batch.ids.start);
        let first = first.ok_or_else(|| format!("record {id} is at {offset} without its batch"))?;
        match *batch.first.get_or_insert(first) == first {
            true => Ok(()),
            false => Err(format!("the batch of record {id} at {offset} is not in one piece")),
        }
    }

    /// Somebody read records from one offset on, and stands at another one now.
    pub(super) fn read(&mut self, from: u64, records: &[Record], to: u64) -> Law {
        let mut next = from;
        for record in records {
            let offset = record.position.offset();
            let id = super::records::id(record)
                .ok_or_else(|| format!("the record at {offset} has another content"))?;
            if offset < next {
                return Err(format!("offset {offset} was read again, from {next} on"));
            }
            self.skip(next..offset)?;
            self.see(offset, id)?;
            next = offset + 1;
        }
        if to < next {
            return Err(format!("a reader at {next} went back to {to}"));
        }
        self.skip(next..to)
    }

    /// Somebody read on, and there was nothing at these offsets.
    fn skip(&mut self, offsets: Range<u64>) -> Law {
        if offsets.is_empty() {
            return Ok(());
        }
        if self.commit
            && let Some(offset) = offsets.clone().find(|offset| !self.given_up.contains(offset))
        {
            return Err(format!("offset {offset} of {offsets:?} was skipped"));
        }
        for (offset, (id, hold)) in self.records.range_mut(offsets.clone()) {
            match hold {
                Hold::Sure | Hold::ThisBoot => {
                    return Err(format!("record {id} at {offset} is lost ({hold:?})"));
                }
                Hold::Perhaps | Hold::Gone => *hold = Hold::Gone,
            }
        }
        Ok(())
    }

    pub(super) fn trimmed(&self, position: u64, first: u64) -> Law {
        self.first(first)?;
        match position < first {
            true => Ok(()),
            false => Err(format!("offset {position} was called trimmed, and the first is {first}")),
        }
    }

    /// Somebody saw the first offset that is left.
    pub(super) fn first(&self, first: u64) -> Law {
        match self.trimmed {
            Some(most) if first > most => {
                Err(format!("the log begins at {first}, and was trimmed up to {most}"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn repaired(&mut self, lost: &[Range<u64>]) -> Law {
        for offset in lost.iter().cloned().flatten() {
            if let Some((id, hold @ (Hold::Sure | Hold::ThisBoot))) = self.records.get(&offset) {
                return Err(format!("a repair gave up record {id} at {offset} ({hold:?})"));
            }
            self.given_up.insert(offset);
        }
        Ok(())
    }

    pub(super) fn lose_power(&mut self) {
        self.ends.0 = self.ends.1;
        for (_, hold) in self.records.values_mut() {
            if *hold == Hold::ThisBoot {
                *hold = Hold::Perhaps;
            }
        }
    }

    /// Everything from an offset to the end was read: each batch is there whole or not at all.
    pub(super) fn whole(&self, from: u64) -> Law {
        for batch in self.batches.values() {
            let Some(first) = batch.first.filter(|first| *first >= from) else { continue };
            let there = |(at, id): (u64, Id)| matches!(self.records.get(&at), Some((found, hold)) if *found == id && *hold != Hold::Gone);
            let found =
                (first..).zip(batch.ids.clone()).filter(|place| there(*place)).count() as u64;
            if found > 0 && found < batch.ids.end - batch.ids.start {
                return Err(format!("of batch {:?} at {first} there are {found}", batch.ids));
            }
        }
        Ok(())
    }

    pub(super) fn count(&self) -> u64 {
        let stored = self.batches.values().filter(|batch| batch.became == Became::Stored);
        stored.map(|batch| batch.ids.end - batch.ids.start).sum()
    }
}
