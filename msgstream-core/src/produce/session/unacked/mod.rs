//! The queue of one channel's unacknowledged batches, in order, with their sequence numbers. It
//! doesn't wait, and has no clock of its own.

mod batch;
mod outcomes;
mod resend;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::batch::{Batch, is_tick, stamp};
use self::outcomes::poisoned;
use self::resend::ResendBuffer;
use super::counts::Counts;
use crate::dedup::{Control, Kind};
use crate::planted::{Bug, planted};
use crate::record::{Meta, Origin, Record};
use crate::record::{MsgType, Timestamp};
use crate::transport::{Fate, Outcome, Receipt, ReceiptSender};

/// After this many messages, or this long, without an exact tick a base announces the last sequence
/// number, so that it is found if the beginning of the log is gone.
const BASE_EVERY: u64 = 100_000;
const BASE_AFTER: Duration = Duration::from_secs(60);
/// The most ticks that may be unacknowledged: after a failure they are sent one by one.
const TICKS_IN_FLIGHT: usize = 1024;

pub(super) struct UnackedQueue {
    channel: Arc<str>,
    /// Who writes, in a session. Without one, records have no numbers and are sent once.
    origin: Option<Arc<Origin>>,
    counts: Counts,
    /// The time of control records. No reader's watermark moves with it.
    watermark: Timestamp,
    /// The sequence number of the last message in the queue.
    last: u64,
    /// The last sequence number that an exact tick or a base announced, and when.
    announced: (u64, Instant),
    /// The sequence number of the last message that is acknowledged, and of the last one that was
    /// ever sent.
    acked: u64,
    sent: u64,
    batches: VecDeque<Batch>,
    /// How many batches were in the queue before the first that is there.
    gone: u64,
    /// The first batch that isn't sent in whole; ticks that wait are passed over.
    next: usize,
    /// How many ticks that were submitted by themselves are unacknowledged, and the greatest of all.
    ticks: usize,
    ticked: Option<Timestamp>,
    /// The ticks that wait until the messages before them are acknowledged.
    waiting: VecDeque<Waiting>,
    /// How many bytes of messages were sent ahead of ticks that waited.
    overtaken: usize,
    /// How many bytes of messages may be sent ahead of a tick that waits.
    overtake: usize,
    /// What is in flight: batches, by how many were in the queue before, and how many records.
    pieces: VecDeque<(u64, usize)>,
    receipts: VecDeque<Receipt>,
    /// The batch of the piece that failed.
    failed: Option<u64>,
    /// Without a session, the writer failed: ticks are refused.
    poisoned: bool,
    bytes: usize,
    /// A tick waits until everything before it is acknowledged.
    held: bool,
}

/// A tick that waits.
struct Waiting {
    /// Its batch, by how many were in the queue before.
    batch: u64,
    /// `overtaken` when it began to wait.
    overtaken: usize,
}

impl UnackedQueue {
    pub(super) fn new(
        channel: Arc<str>,
        origin: Option<Arc<Origin>>,
        last: u64,
        watermark: Timestamp,
        overtake: usize,
        now: Instant,
        counts: Counts,
    ) -> Self {
        Self {
            channel,
            origin,
            counts,
            watermark,
            last,
            announced: (last, now),
            acked: last,
            sent: last,
            batches: VecDeque::new(),
            gone: 0,
            next: 0,
            ticks: 0,
            ticked: None,
            waiting: VecDeque::new(),
            overtaken: 0,
            overtake,
            pieces: VecDeque::new(),
            receipts: VecDeque::new(),
            failed: None,
            poisoned: false,
            bytes: 0,
            held: false,
        }
    }

    pub(super) const fn channel(&self) -> &Arc<str> {
        &self.channel
    }

    /// Returns whether the queue is a session's.
    pub(super) const fn is_session(&self) -> bool {
        self.origin.is_some()
    }

    /// Returns how many bytes are unacknowledged.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether everything is acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Returns whether everything is sent, except ticks that wait, and there is room for another
    /// tick.
    pub(super) fn is_sent(&self) -> bool {
        self.next == self.batches.len() && self.ticks < TICKS_IN_FLIGHT
    }

    /// Returns since when the first batch has been failing.
    pub(super) fn fails_since(&self) -> Option<Instant> {
        self.batches.front()?.failed
    }

    /// Returns the first receipt that is pending.
    pub(super) fn receipt(&mut self) -> Option<&mut Receipt> {
        self.receipts.front_mut()
    }

    /// Queues a batch, and a base before it if one is due. Payloads may be in the buffers.
    pub(super) fn take(
        &mut self,
        records: Vec<Record>,
        buffers: Vec<Bytes>,
        reply: ReceiptSender,
        now: Instant,
    ) {
        self.take_due_base(now);
        self.put(records, buffers, false, reply, now);
    }

    /// Queues a tick that messages which follow it needn't wait for, and a base before it if one is
    /// due.
    pub(super) fn take_tick(&mut self, tick: Vec<Record>, reply: ReceiptSender, now: Instant) {
        self.take_due_base(now);
        self.put(tick, Vec::new(), true, reply, now);
    }

    fn take_due_base(&mut self, now: Instant) {
        let (announced, at) = self.announced;
        let due = self.last - announced >= BASE_EVERY || now - at >= BASE_AFTER;
        if self.is_session() && self.last > announced && due {
            // Nobody waits for it: if it fails, so does the batch that follows it.
            self.take_base(Receipt::pending().0, now);
        }
    }

    /// Queues a base, which announces the sequence number of the last message before it.
    pub(super) fn take_base(&mut self, reply: ReceiptSender, now: Instant) {
        self.counts.lock().bases_sent += 1;
        self.announced = (self.last, now);
        let base = self.control(Kind::Base { last: self.last });
        self.put(vec![base], Vec::new(), false, reply, now);
    }

    fn put(
        &mut self,
        mut records: Vec<Record>,
        buffers: Vec<Bytes>,
        tick: bool,
        reply: ReceiptSender,
        now: Instant,
    ) {
        if records.is_empty() {
            // No acknowledgement would ever complete an empty batch.
            return reply.send(Outcome::stored(Vec::new()));
        }
        let (before, mut bytes) = (self.last, 0);
        let len = records.len();
        let mut resend = ResendBuffer::new(self.origin.as_ref().map_or(0, |_| len), buffers);
        let mut whole = self.next == self.batches.len() && !tick;
        let mut in_order = false;
        for record in &mut records {
            let message = !is_tick(record);
            // A late message is written after the tick that it is late for.
            in_order |= !message || Some(record.meta.timestamp) <= self.ticked;
            // A piece ends before a tick that follows messages.
            whole &= message || self.last == before;
            self.last += u64::from(message);
            bytes += record.footprint();
            if let Some(origin) = &self.origin {
                resend.push(record);
                stamp(record, origin, self.last, 0);
            }
        }
        whole |= !self.is_session();
        if tick {
            self.ticks += 1;
            self.ticked = self.ticked.max(records.iter().map(|r| r.meta.timestamp).max());
        }
        self.bytes += bytes;
        self.batches.push_back(Batch {
            fresh: if whole { records } else { Vec::new() },
            resend,
            len,
            tick,
            in_order,
            exact: false,
            before,
            last: self.last,
            bytes,
            taken: now,
            sent: 0,
            stored: Vec::new(),
            unknown: false,
            failed: None,
            reply: Some(reply),
        });
    }

    /// Returns the session's last records on this channel: a goodbye, and before it a base unless
    /// the last number was announced.
    pub(super) fn goodbye(&self) -> Vec<Record> {
        let bye = self.control(Kind::Goodbye);
        if self.announced.0 == self.last {
            return vec![bye];
        }
        self.counts.lock().bases_sent += 1;
        vec![self.control(Kind::Base { last: self.last }), bye]
    }

    fn control(&self, kind: Kind) -> Record {
        let mut record = Record::new(Meta::new(MsgType::TIME_TICK, self.watermark), Vec::new());
        if let Some(origin) = &self.origin {
            let Origin { producer, epoch } = &**origin;
            Control { producer: producer.clone(), epoch: Some(*epoch), kind }.write(&mut record);
        }
        record
    }

    /// Returns the records to send next, stamped. The caller sends them and passes the receipt to
    /// [`Self::sent`]. `None` if there is nothing to send, or if it has to wait.
    ///
    /// A tick promises that the messages before it are stored, so it is sent once they are
    /// acknowledged. Messages that follow a tick of [`Self::take_tick`], and are after it, don't wait
    /// for it, up to a number of bytes, unless it failed before. Any other tick waits for everything
    /// before it, and everything after it waits until it is sent.
    pub(super) fn piece(&mut self) -> Option<Vec<Record>> {
        loop {
            if let Some(tick) = self.due_tick() {
                return Some(tick);
            }
            let batch = self.batches.get(self.next)?;
            if batch.sent == batch.len {
                self.next += 1;
            } else if batch.tick && self.poisoned {
                self.refuse(self.next, Fate::NotStored, poisoned(&self.channel));
                self.forget_finished();
            } else if batch.tick && batch.failed.is_none() {
                let batch = self.gone + self.next as u64;
                self.waiting.push_back(Waiting { batch, overtaken: self.overtaken });
                self.next += 1;
                let due = self.batches[self.next - 1].before <= self.acked;
                self.counts.lock().held_back += u64::from(!due);
            } else {
                break;
            }
        }
        let batch = &self.batches[self.next];
        let held = if batch.starts_with_tick() {
            let waits = !self.pieces.is_empty() || !self.waiting.is_empty();
            waits && !planted(Bug::EarlyTick)
        } else if batch.in_order {
            !self.waiting.is_empty()
        } else {
            let ahead = |tick: &Waiting| self.overtaken - tick.overtaken + batch.bytes;
            self.waiting.front().is_some_and(|tick| ahead(tick) > self.overtake)
        };
        if held {
            if !std::mem::replace(&mut self.held, true) {
                self.counts.lock().held_back += 1;
            }
            return None;
        }
        self.held = false;
        let piece = self.send(self.next);
        let batch = &self.batches[self.next];
        self.next += usize::from(batch.sent == batch.len);
        Some(piece)
    }

    /// Returns the first tick that waits, if the messages before it are acknowledged.
    fn due_tick(&mut self) -> Option<Vec<Record>> {
        let index = (self.waiting.front()?.batch - self.gone) as usize;
        let due = self.batches[index].before <= self.acked || planted(Bug::EarlyTick);
        due.then(|| {
            self.waiting.pop_front();
            self.send(index)
        })
    }

    /// Returns the next records of a batch, which are sent now.
    fn send(&mut self, index: usize) -> Vec<Record> {
        let batch = &mut self.batches[index];
        let mut piece = std::mem::take(&mut batch.fresh);
        if let Some(origin) = self.origin.as_ref().filter(|_| piece.is_empty()) {
            piece = batch.again(origin, self.sent);
        }
        if batch.failed.is_some() {
            let mut counts = self.counts.lock();
            counts.resent_batches += 1;
            counts.resent_records += piece.len() as u64;
        }
        batch.sent += piece.len();
        let whole = batch.sent == batch.len;
        let last = if whole { batch.last } else { batch.number_at(batch.sent) };
        self.sent = self.sent.max(last);
        batch.exact = whole && batch.ends_with_tick() && self.sent == last;
        if batch.tick {
            self.counts.lock().overtaken_ticks += u64::from(!batch.exact);
        } else if !self.waiting.is_empty() {
            self.overtaken += batch.bytes;
        }
        self.pieces.push_back((self.gone + index as u64, piece.len()));
        piece
    }

    /// Stores the receipt of the last piece.
    pub(super) fn sent(&mut self, receipt: Receipt) {
        self.receipts.push_back(receipt);
    }
}

#[cfg(test)]
mod tests;
