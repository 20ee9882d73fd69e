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
use crate::record::{END_HEADER, Header, Meta, Origin, Position, Record, SENT_HEADER, Stamp};
use crate::record::{MsgType, Timestamp};
use crate::transport::{Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind};

/// After this many messages, or this long, without an exact tick a base announces the last sequence
/// number, so that it is found if the beginning of the log is gone.
const BASE_EVERY: u64 = 100_000;
const BASE_AFTER: Duration = Duration::from_secs(60);
/// The most ticks that may wait for the messages before them.
const TICKS_WAITING: usize = 1024;

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

struct Batch {
    /// All records, if they can be sent as they are: in one piece, and at once. Otherwise they are
    /// rebuilt from the resend buffer.
    fresh: Vec<Record>,
    resend: ResendBuffer,
    len: usize,
    /// A tick by itself. Messages that follow it needn't wait for it.
    tick: bool,
    /// It ends with a tick, and when it was sent last, nothing that follows it had been sent.
    exact: bool,
    /// The sequence numbers of the last message before the batch, and of the last one in it.
    before: u64,
    last: u64,
    bytes: usize,
    taken: Instant,
    sent: usize,
    stored: Vec<Position>,
    /// The outcome of a try was unknown.
    unknown: bool,
    /// When it first failed.
    failed: Option<Instant>,
    /// `None` once all of it is acknowledged.
    reply: Option<ReceiptSender>,
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
        self.next == self.batches.len() && self.waiting.len() < TICKS_WAITING
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
        let due = self.last - announced >= BASE_EVERY || now - at >= BASE_AFTER;
        if self.is_session() && self.last > announced && due {
            // Nobody waits for it: if it fails, so does the batch that follows it.
            self.take_base(Receipt::pending().0, now);
        }
        self.put(records, buffers, reply, now);
    }

    /// Queues a base, which announces the sequence number of the last message before it.
    pub(super) fn take_base(&mut self, reply: ReceiptSender, now: Instant) {
        self.counts.lock().bases_sent += 1;
        self.announced = (self.last, now);
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
        let (before, mut bytes) = (self.last, 0);
        let len = records.len();
        let mut resend = ResendBuffer::new(self.origin.as_ref().map_or(0, |_| len), buffers);
        let tick = matches!(&records[..], [record] if is_lone_tick(record));
        let mut whole = self.next == self.batches.len() && !tick;
        for record in &mut records {
            let tick = is_tick(record);
            // A piece ends before a tick that follows messages.
            whole &= !tick || self.last == before;
            self.last += u64::from(!tick);
            bytes += record.footprint();
            if let Some(origin) = &self.origin {
                resend.push(record);
                stamp(record, origin, self.last, 0);
            }
        }
        whole |= !self.is_session();
        self.bytes += bytes;
        self.batches.push_back(Batch {
            fresh: if whole { records } else { Vec::new() },
            resend,
            len,
            tick,
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
    /// acknowledged. Messages that follow a tick by itself don't wait for it, up to a number of
    /// bytes, unless it failed before. Any other tick waits for everything before it, and everything
    /// after it waits until it is sent.
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

    /// Applies the outcome of the first piece in flight.
    ///
    /// # Errors
    /// The fate of the piece's rest, and why it failed.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Result<(), (Fate, TransportError)> {
        self.receipts.pop_front();
        let Some((number, count)) = self.pieces.pop_front() else { return Ok(()) };
        let index = (number - self.gone) as usize;
        let batch = &mut self.batches[index];
        let mut stored = outcome.stored;
        stored.truncate(count);
        let complete = stored.len() == count;
        if batch.stored.is_empty() {
            batch.stored = stored;
        } else {
            batch.stored.append(&mut stored);
        }
        if batch.stored.len() == batch.len {
            self.finish(index);
        } else {
            self.acked = self.acked.max(batch.number_at(batch.stored.len()));
        }
        let failed = match outcome.rest {
            Some(rest) => Err((rest.fate, rest.error)),
            None if complete => Ok(()),
            None => {
                let reason = "the outcome has fewer positions than records".to_owned();
                let kind = TransportErrorKind::Protocol { reason };
                Err((Fate::Unknown, TransportError::new("submit", kind).on(&*self.channel)))
            }
        };
        self.failed = failed.is_err().then_some(number);
        failed
    }

    /// Completes a batch that is acknowledged in whole.
    fn finish(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        self.bytes -= batch.bytes;
        self.acked = self.acked.max(batch.last);
        if batch.exact {
            self.announced = self.announced.max((batch.last, batch.taken));
        }
        if batch.unknown {
            self.counts.lock().unknown_resolved += 1;
        }
        batch.finish();
        self.forget_finished();
    }

    /// Completes what failed for good, without a session: the batch of the piece that failed, and
    /// the ticks that wait. What else is in flight has outcomes of its own.
    pub(super) fn poison(&mut self, fate: Fate, error: TransportError) {
        self.poisoned = true;
        if let Some(number) = self.failed.take() {
            self.refuse((number - self.gone) as usize, fate, error);
        }
        while let Some(tick) = self.waiting.pop_front() {
            let index = (tick.batch - self.gone) as usize;
            self.refuse(index, Fate::NotStored, poisoned(&self.channel));
        }
        self.forget_finished();
    }

    /// Completes a batch of which the rest isn't stored.
    fn refuse(&mut self, index: usize, fate: Fate, error: TransportError) {
        let batch = &mut self.batches[index];
        if let Some(reply) = batch.reply.take() {
            self.bytes -= batch.bytes;
            batch.sent = batch.len;
            reply.send(Outcome::partial(std::mem::take(&mut batch.stored), fate, error));
        }
    }

    fn forget_finished(&mut self) {
        while self.batches.pop_front_if(|batch| batch.reply.is_none()).is_some() {
            self.gone += 1;
            self.next = self.next.saturating_sub(1);
        }
    }

    /// Prepares for sending again everything that isn't acknowledged, in order, after the writer
    /// failed. What was in flight after the failure may be stored, too, so sending the failed batch
    /// alone would put it after what follows it.
    pub(super) fn rewind(&mut self, fate: Fate, now: Instant) {
        let failed = self.failed.take();
        for (number, batch) in (self.gone..).zip(&mut self.batches) {
            if batch.reply.is_none() {
                continue;
            }
            let in_flight = batch.sent > batch.stored.len();
            if planted(Bug::RetryAlone) && Some(number) != failed && in_flight {
                batch.stored.resize(batch.len, Position::default());
                self.bytes -= batch.bytes;
                batch.finish();
                continue;
            }
            batch.unknown |= in_flight && (Some(number) != failed || fate == Fate::Unknown);
            batch.failed.get_or_insert(now);
            batch.sent = batch.stored.len();
        }
        self.next = 0;
        self.pieces.clear();
        self.receipts.clear();
        self.waiting.clear();
        self.held = false;
        self.forget_finished();
    }

    /// Gives up: completes each batch with what is known of it, the first one with the error.
    pub(super) fn end(&mut self, error: TransportError) {
        self.pieces.clear();
        self.receipts.clear();
        self.waiting.clear();
        (self.next, self.bytes) = (0, 0);
        self.gone += self.batches.len() as u64;
        let mut error = Some(error);
        for batch in self.batches.drain(..) {
            let Some(reply) = batch.reply else { continue };
            let unknown = batch.unknown || batch.sent > batch.stored.len();
            let fate = if unknown { Fate::Unknown } else { Fate::NotStored };
            let error = error.take().unwrap_or_else(|| poisoned(&self.channel));
            reply.send(Outcome::partial(batch.stored, fate, error));
        }
    }
}

impl Batch {
    /// Rebuilds the records of the next piece. `sent` is the greatest number that was sent before.
    fn again(&self, origin: &Arc<Origin>, sent: u64) -> Vec<Record> {
        let first = self.number_at(self.sent);
        let (mut last, mut piece) = (first, Vec::with_capacity(self.len - self.sent));
        for mut record in self.resend.again(self.sent) {
            let tick = is_tick(&record);
            if tick && last > first {
                break;
            }
            last += u64::from(!tick);
            stamp(&mut record, origin, last, sent);
            piece.push(record);
        }
        piece
    }

    /// Returns whether the next record to send is a tick that waits for everything before it.
    /// Without a session, ticks inside of packs don't wait.
    fn starts_with_tick(&self) -> bool {
        self.resend.is_tick(self.sent)
    }

    fn ends_with_tick(&self) -> bool {
        self.resend.is_tick(self.len - 1)
    }

    /// Returns the sequence number of the last message before the record at an index.
    fn number_at(&self, index: usize) -> u64 {
        self.before + self.resend.messages(index)
    }

    /// Completes the batch, which keeps its place until everything before it is complete.
    fn finish(&mut self) {
        self.sent = self.len;
        if let Some(reply) = self.reply.take() {
            reply.send(Outcome::stored(std::mem::take(&mut self.stored)));
        }
    }
}

fn poisoned(channel: &str) -> TransportError {
    TransportError::new("submit", TransportErrorKind::Poisoned).on(channel)
}

/// Stamps a record with its sequence number, and a tick also with the greatest number that was sent
/// before it, if that is another one. A control record has its own header instead.
#[inline]
fn stamp(record: &mut Record, origin: &Arc<Origin>, seq: u64, sent: u64) {
    if record.header(Stamp::HEADER).is_some() {
        record.meta.stamp = None;
        return;
    }
    if let Some(stamp) = &mut record.meta.stamp {
        stamp.seq = seq;
    } else {
        record.meta.stamp = Some(Stamp { origin: origin.clone(), seq });
    }
    if sent > seq && is_tick(record) && !planted(Bug::UntoldSent) {
        record.extra.push(Header::new(SENT_HEADER, sent.to_string()));
    }
}

/// Returns whether a record is a tick that messages after it needn't wait for: neither a control
/// record nor the channel's end.
fn is_lone_tick(record: &Record) -> bool {
    let special = || [Stamp::HEADER, END_HEADER].iter().any(|name| record.header(name).is_some());
    is_tick(record) && (record.extra.is_empty() || !special())
}

/// Returns whether a record is a tick or a control record, which take no sequence number.
fn is_tick(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK
}

#[cfg(test)]
mod tests;
