//! The buffered records of one channel, in the order in which they were read.

use std::collections::VecDeque;
use std::mem;

use crate::record::{Meta, Position, Record};

/// The number of a record among all that were read of its channel, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seq(u64);

impl Seq {
    pub(super) const FIRST: Self = Self(0);
    const INDEX_BITS: u32 = 20;

    const fn new(chunk: u64, index: usize) -> Self {
        Self(chunk << Self::INDEX_BITS | index as u64)
    }

    const fn chunk(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }

    const fn index(self) -> usize {
        (self.0 & ((1 << Self::INDEX_BITS) - 1)) as usize
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) const fn before(self) -> Self {
        Self(self.0 - 1)
    }
}

/// Batches stay as they were read, so that a record is moved once: from here into its pack. A
/// record that was taken leaves a tombstone, and a batch is dropped when nothing up to its end is
/// live.
#[derive(Debug)]
pub(super) struct Chunks {
    chunks: VecDeque<Chunk>,
    /// The number of the first chunk.
    first: u64,
    /// Nothing in the first chunk before this slot is live.
    scanned: usize,
    live: usize,
    slots: usize,
}

#[derive(Debug)]
struct Chunk {
    records: Vec<Record>,
    /// The index of each record, if tombstones were removed.
    places: Option<Box<[u32]>>,
    /// How many records of the channel were read before it.
    read: u64,
    live: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        // Not from 0: a number before the first record is needed, too.
        Self { chunks: VecDeque::new(), first: 1, scanned: 0, live: 0, slots: 0 }
    }
}

impl Chunks {
    /// The most records in one batch.
    pub(super) const MAX_BATCH: usize = 1 << Seq::INDEX_BITS;

    /// Returns how many records are buffered.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Returns the bytes of the slots of records, taken or not.
    pub(super) const fn slot_bytes(&self) -> usize {
        self.slots * size_of::<Record>()
    }

    /// Returns the number that the first record of the next batch gets.
    pub(super) fn next_seq(&self) -> Seq {
        Seq::new(self.first + self.chunks.len() as u64, 0)
    }

    /// Appends a batch of at most [`Self::MAX_BATCH`] records, including tombstones, of which
    /// `live` are live. `read` records of the channel were read before it.
    pub(super) fn push(&mut self, mut records: Vec<Record>, live: usize, read: u64) {
        // The budget doesn't count unused capacity. A little is cheaper to keep than to move all.
        if records.capacity() - records.len() > records.len() / 8 {
            records.shrink_to_fit();
        }
        self.live += live;
        self.slots += records.len();
        self.chunks.push_back(Chunk { records, places: None, read, live });
        self.drop_dead_front();
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Record> {
        let chunk = self.chunks.get(usize::try_from(seq.chunk().checked_sub(self.first)?).ok()?)?;
        chunk.records.get(chunk.slot(seq.index())?)
    }

    /// Takes a record that is live.
    #[inline]
    pub(super) fn take(&mut self, seq: Seq) -> Option<Record> {
        let chunk = usize::try_from(seq.chunk().checked_sub(self.first)?).ok()?;
        let chunk = self.chunks.get_mut(chunk)?;
        let slot = chunk.slot(seq.index())?;
        let record = bury(chunk.records.get_mut(slot)?);
        if seq.chunk() == self.first && slot == self.scanned {
            // Mostly records are taken in order; then there is no need to search for the next one.
            self.scanned += 1;
        }
        chunk.live -= 1;
        self.live -= 1;
        if chunk.live == 0 {
            self.slots -= chunk.records.len();
            chunk.records = Vec::new();
        }
        Some(record)
    }

    /// Returns the first live record. O(1) amortised over all records.
    pub(super) fn first_live(&mut self) -> Option<(Seq, Position)> {
        self.drop_dead_front();
        let chunk = self.chunks.front()?;
        while let Some(record) = chunk.records.get(self.scanned) {
            if record.position != Position::MAX {
                return Some((Seq::new(self.first, chunk.index(self.scanned)), record.position));
            }
            self.scanned += 1;
        }
        None
    }

    /// Returns how many records were read before a record.
    pub(super) fn read_before(&self, seq: Seq) -> u64 {
        let chunk = seq.chunk().checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let read = chunk.and_then(|at| self.chunks.get(at)).map_or(0, |chunk| chunk.read);
        read + seq.index() as u64
    }

    /// Returns the first live record in a range that satisfies a predicate.
    pub(super) fn find_live(
        &self,
        from: Seq,
        upto: Seq,
        holds: impl Fn(&Record) -> bool,
    ) -> Option<(Seq, Position)> {
        let first = usize::try_from(from.chunk().checked_sub(self.first)?).ok()?;
        let chunks = (from.chunk()..).zip(self.chunks.iter().skip(first));
        let records = chunks.flat_map(|(number, chunk)| {
            let records = chunk.records.iter().enumerate();
            records.map(move |(slot, record)| (Seq::new(number, chunk.index(slot)), record))
        });
        records
            .skip_while(|(seq, _)| *seq < from)
            .take_while(|(seq, _)| *seq < upto)
            .find(|(_, record)| record.position != Position::MAX && holds(record))
            .map(|(seq, record)| (seq, record.position))
    }

    /// Returns the bytes of live records after a record.
    pub(super) fn bytes_after(&self, seq: Seq) -> usize {
        let from = usize::try_from(seq.chunk().saturating_sub(self.first)).unwrap_or(usize::MAX);
        let upto = (seq.chunk() >= self.first).then(|| seq.index());
        let mut chunks = self.chunks.iter().skip(from);
        let first = chunks.next().map(|chunk| {
            let skip = upto.map_or(0, |index| chunk.slots_upto(index));
            chunk.records.get(skip..).unwrap_or_default()
        });
        let live = first.into_iter().chain(chunks.map(|chunk| &*chunk.records)).flatten();
        live.filter(|r| r.position != Position::MAX).map(Record::footprint).sum()
    }

    /// Drops everything after a record, and calls `dropped` for each live record.
    pub(super) fn truncate(&mut self, after: Seq, mut dropped: impl FnMut(&Record)) {
        while let Some(last) =
            self.first.checked_add(self.chunks.len() as u64).and_then(|n| n.checked_sub(1))
        {
            let Some(chunk) = self.chunks.back_mut() else { return };
            if last < after.chunk() {
                return;
            }
            let keep = if last == after.chunk() { chunk.slots_upto(after.index()) } else { 0 };
            for record in chunk.records.get(keep..).unwrap_or_default() {
                if record.position != Position::MAX {
                    dropped(record);
                    chunk.live -= 1;
                    self.live -= 1;
                }
            }
            self.slots -= chunk.records.len().saturating_sub(keep);
            chunk.records.truncate(keep);
            if last == after.chunk() {
                chunk.records.shrink_to_fit();
                return;
            }
            self.chunks.pop_back();
            if self.chunks.is_empty() {
                self.scanned = 0;
            }
        }
    }

    /// Removes tombstones from the batches that still have live records.
    pub(super) fn compact(&mut self) {
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.live < chunk.records.len()) {
            let live = |(slot, record): (usize, &Record)| {
                (record.position != Position::MAX).then(|| chunk.index(slot) as u32)
            };
            let places = chunk.records.iter().enumerate().filter_map(live).collect();
            self.slots -= chunk.records.len() - chunk.live;
            chunk.records.retain(|record| record.position != Position::MAX);
            chunk.records.shrink_to_fit();
            chunk.places = Some(places);
        }
        self.scanned = 0;
    }

    fn drop_dead_front(&mut self) {
        while self.chunks.front().is_some_and(|chunk| chunk.live == 0) {
            if let Some(chunk) = self.chunks.pop_front() {
                self.slots -= chunk.records.len();
            }
            self.first += 1;
            self.scanned = 0;
        }
    }
}

impl Chunk {
    /// Returns the slot of the record with an index.
    #[inline]
    fn slot(&self, index: usize) -> Option<usize> {
        match &self.places {
            None => Some(index),
            Some(places) => places.binary_search_by_key(&index, |place| *place as usize).ok(),
        }
    }

    /// Returns the index of the record in a slot.
    #[inline]
    fn index(&self, slot: usize) -> usize {
        self.places.as_ref().map_or(slot, |places| places[slot] as usize)
    }

    /// Returns how many slots there are up to an index.
    fn slots_upto(&self, index: usize) -> usize {
        match &self.places {
            None => index + 1,
            Some(places) => places.partition_point(|place| *place as usize <= index),
        }
    }
}

/// Takes a record out of a batch and leaves a tombstone, which owns no memory.
#[inline]
pub(super) fn bury(record: &mut Record) -> Record {
    Record {
        position: mem::replace(&mut record.position, Position::MAX),
        meta: Meta {
            vchannel: record.meta.vchannel.take(),
            stamp: record.meta.stamp.take(),
            ..record.meta
        },
        extra: mem::take(&mut record.extra),
        payload: mem::take(&mut record.payload),
    }
}

#[cfg(test)]
mod tests;
