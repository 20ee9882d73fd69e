//! The queue of one channel's unacknowledged batches, in order, with their sequence numbers. It
//! doesn't wait, and has no clock of its own.

mod resend;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::resend::ResendBuffer;
use super::counts::Counts;
use crate::dedup::{Control, Kind};
use crate::planted::{Bug, planted};
use crate::record::{Meta, Origin, Position, Record, Stamp};
use crate::record::{MsgType, Timestamp};
use crate::transport::{Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind};

/// After this many messages, or this long, without a tick a base announces the last sequence
/// number, so that it is found for a producer that doesn't tick if the beginning of the log is
/// gone.
const BASE_EVERY: u64 = 100_000;
const BASE_AFTER: Duration = Duration::from_secs(60);

pub(super) struct UnackedQueue {
    channel: Arc<str>,
    origin: Arc<Origin>,
    counts: Counts,
    /// The time of control records. No reader's watermark moves with it.
    watermark: Timestamp,
    /// The sequence number of the last message in the queue.
    last: u64,
    /// The last sequence number that a tick or a base announced, and when.
    announced: (u64, Instant),
    batches: VecDeque<Batch>,
    /// The first batch that isn't sent in whole.
    next: usize,
    /// How many records each piece in flight has. A piece belongs to one batch.
    pieces: VecDeque<usize>,
    receipts: VecDeque<Receipt>,
    bytes: usize,
    /// A tick waits until everything before it is acknowledged.
    held: bool,
}

struct Batch {
    /// All records, if they can be sent as they are: in one piece, and at once. Otherwise they are
    /// rebuilt from the resend buffer.
    fresh: Vec<Record>,
    resend: ResendBuffer,
    /// The sequence number of the last message before the batch.
    before: u64,
    bytes: usize,
    sent: usize,
    stored: Vec<Position>,
    /// The outcome of a try was unknown.
    unknown: bool,
    /// When it first failed.
    failed: Option<Instant>,
    reply: ReceiptSender,
}

impl UnackedQueue {
    pub(super) fn new(
        channel: Arc<str>,
        origin: Arc<Origin>,
        last: u64,
        watermark: Timestamp,
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
            batches: VecDeque::new(),
            next: 0,
            pieces: VecDeque::new(),
            receipts: VecDeque::new(),
            bytes: 0,
            held: false,
        }
    }

    pub(super) const fn channel(&self) -> &Arc<str> {
        &self.channel
    }

    /// Returns how many bytes are unacknowledged.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether everything is acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Returns whether everything is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.next == self.batches.len()
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
        let (announced, at) = self.announced;
        if self.last > announced && (self.last - announced >= BASE_EVERY || now - at >= BASE_AFTER)
        {
            // Nobody waits for it: if it fails, so does the batch that follows it.
            self.take_base(Receipt::pending().0, now);
        }
        self.put(records, buffers, reply, now);
    }

    /// Queues a base, which announces the sequence number of the last message before it.
    pub(super) fn take_base(&mut self, reply: ReceiptSender, now: Instant) {
        self.counts.lock().bases_sent += 1;
        let base = self.control(Kind::Base { last: self.last });
        self.put(vec![base], Vec::new(), reply, now);
    }

    fn put(
        &mut self,
        mut records: Vec<Record>,
        buffers: Vec<Bytes>,
        reply: ReceiptSender,
        now: Instant,
    ) {
        if records.is_empty() {
            // No acknowledgement would ever complete an empty batch.
            return reply.send(Outcome::stored(Vec::new()));
        }
        let (before, mut bytes, mut ticks) = (self.last, 0, false);
        let mut resend = ResendBuffer::new(records.len(), buffers);
        let mut whole = self.is_sent();
        for record in &mut records {
            let tick = is_tick(record);
            // A piece ends before a tick that follows messages.
            whole &= !tick || self.last == before;
            ticks |= tick;
            self.last += u64::from(!tick);
            bytes += record.footprint();
            resend.push(record);
            stamp(record, &self.origin, self.last);
        }
        if ticks {
            self.announced = (self.last, now);
        }
        self.bytes += bytes;
        self.batches.push_back(Batch {
            fresh: if whole { records } else { Vec::new() },
            resend,
            before,
            bytes,
            sent: 0,
            stored: Vec::new(),
            unknown: false,
            failed: None,
            reply,
        });
    }

    /// Returns the session's last record on this channel.
    pub(super) fn goodbye(&self) -> Record {
        self.control(Kind::Goodbye)
    }

    fn control(&self, kind: Kind) -> Record {
        let mut record = Record::new(Meta::new(MsgType::TIME_TICK, self.watermark), Vec::new());
        let Origin { producer, epoch } = &*self.origin;
        Control { producer: producer.clone(), epoch: Some(*epoch), kind }.write(&mut record);
        record
    }

    /// Returns the records to send next, stamped. The caller sends them and passes the receipt to
    /// [`Self::sent`]. `None` if there is nothing to send, or if a tick has to wait: it promises
    /// that everything before it is stored.
    pub(super) fn piece(&mut self) -> Option<Vec<Record>> {
        let batch = loop {
            let batch = self.batches.get_mut(self.next)?;
            if batch.sent < batch.resend.len() {
                break batch;
            }
            self.next += 1;
        };
        if batch.resend.is_tick(batch.sent) && !self.pieces.is_empty() && !planted(Bug::EarlyTick) {
            if !std::mem::replace(&mut self.held, true) {
                self.counts.lock().held_back += 1;
            }
            return None;
        }
        self.held = false;
        let mut piece = std::mem::take(&mut batch.fresh);
        if piece.is_empty() {
            piece = batch.again(&self.origin);
        }
        if batch.failed.is_some() {
            let mut counts = self.counts.lock();
            counts.resent_batches += 1;
            counts.resent_records += piece.len() as u64;
        }
        batch.sent += piece.len();
        if batch.sent == batch.resend.len() {
            self.next += 1;
        }
        self.pieces.push_back(piece.len());
        Some(piece)
    }

    /// Stores the receipt of the last piece.
    pub(super) fn sent(&mut self, receipt: Receipt) {
        self.receipts.push_back(receipt);
    }

    /// Applies the outcome of the first piece in flight.
    ///
    /// # Errors
    /// The fate of the piece's rest, and why it failed.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Result<(), (Fate, TransportError)> {
        self.receipts.pop_front();
        let (Some(count), Some(batch)) = (self.pieces.pop_front(), self.batches.front_mut()) else {
            return Ok(());
        };
        let mut stored = outcome.stored;
        stored.truncate(count);
        let complete = stored.len() == count;
        if batch.stored.is_empty() {
            batch.stored = stored;
        } else {
            batch.stored.append(&mut stored);
        }
        self.finish();
        match outcome.rest {
            Some(rest) => Err((rest.fate, rest.error)),
            None if complete => Ok(()),
            None => {
                let reason = "the outcome has fewer positions than records".to_owned();
                let kind = TransportErrorKind::Protocol { reason };
                Err((Fate::Unknown, TransportError::new("submit", kind).on(&*self.channel)))
            }
        }
    }

    /// Completes the batches that are acknowledged in whole.
    fn finish(&mut self) {
        while let Some(batch) = self.batches.pop_front_if(|b| b.stored.len() == b.resend.len()) {
            self.next = self.next.saturating_sub(1);
            self.bytes -= batch.bytes;
            if batch.unknown {
                self.counts.lock().unknown_resolved += 1;
            }
            batch.reply.send(Outcome::stored(batch.stored));
        }
    }

    /// Prepares for sending again everything that isn't acknowledged, in order, after the writer
    /// failed. What was in flight after the failure may be stored, too, so sending the failed batch
    /// alone would put it after what follows it.
    pub(super) fn rewind(&mut self, fate: Fate, now: Instant) {
        for (n, batch) in self.batches.iter_mut().enumerate() {
            let in_flight = batch.sent > batch.stored.len();
            if planted(Bug::RetryAlone) && n > 0 && in_flight {
                batch.stored.resize(batch.resend.len(), Position::default());
                batch.sent = batch.resend.len();
                continue;
            }
            batch.unknown |= in_flight && (n > 0 || fate == Fate::Unknown);
            batch.failed.get_or_insert(now);
            batch.sent = batch.stored.len();
        }
        self.next = 0;
        self.pieces.clear();
        self.receipts.clear();
        self.held = false;
    }

    /// Gives up: completes each batch with what is known of it, the first one with the error.
    pub(super) fn end(&mut self, error: TransportError) {
        self.pieces.clear();
        self.receipts.clear();
        (self.next, self.bytes) = (0, 0);
        let mut error = Some(error);
        for batch in self.batches.drain(..) {
            let unknown = batch.unknown || batch.sent > batch.stored.len();
            let fate = if unknown { Fate::Unknown } else { Fate::NotStored };
            let error = error.take().unwrap_or_else(|| {
                TransportError::new("submit", TransportErrorKind::Poisoned).on(&*self.channel)
            });
            batch.reply.send(Outcome::partial(batch.stored, fate, error));
        }
    }
}

impl Batch {
    /// Rebuilds the records of the next piece.
    fn again(&self, origin: &Arc<Origin>) -> Vec<Record> {
        let first = self.before + self.resend.messages(self.sent);
        let (mut last, mut piece) = (first, Vec::with_capacity(self.resend.len() - self.sent));
        for mut record in self.resend.again(self.sent) {
            let tick = is_tick(&record);
            if tick && last > first {
                break;
            }
            last += u64::from(!tick);
            stamp(&mut record, origin, last);
            piece.push(record);
        }
        piece
    }
}

/// Stamps a record with its sequence number. A control record has its own header instead.
#[inline]
fn stamp(record: &mut Record, origin: &Arc<Origin>, seq: u64) {
    if record.header(Stamp::HEADER).is_some() {
        record.meta.stamp = None;
    } else if let Some(stamp) = &mut record.meta.stamp {
        stamp.seq = seq;
    } else {
        record.meta.stamp = Some(Stamp { origin: origin.clone(), seq });
    }
}

/// Returns whether a record is a tick or a control record, which take no sequence number.
fn is_tick(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK
}

#[cfg(test)]
mod tests;
