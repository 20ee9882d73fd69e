//! One batch of the queue, and the stamps of its records.

use std::sync::Arc;

use tokio::time::Instant;

use super::resend::ResendBuffer;
use crate::planted::{Bug, planted};
use crate::record::{Header, MsgType, Origin, Position, Record, SENT_HEADER, Stamp};
use crate::transport::{Outcome, ReceiptSender};

pub(super) struct Batch {
    /// All records, if they can be sent as they are: in one piece, and at once. Otherwise they are
    /// rebuilt from the resend buffer.
    pub(super) fresh: Vec<Record>,
    pub(super) resend: ResendBuffer,
    pub(super) len: usize,
    /// A tick that was submitted by itself: messages that follow it needn't wait for it.
    pub(super) tick: bool,
    /// It has a message that is behind a tick, or a tick among its records: it isn't sent ahead of
    /// ticks that wait.
    pub(super) in_order: bool,
    /// It ends with a tick, and when it was sent last, nothing that follows it had been sent.
    pub(super) exact: bool,
    /// The sequence numbers of the last message before the batch, and of the last one in it.
    pub(super) before: u64,
    pub(super) last: u64,
    pub(super) bytes: usize,
    pub(super) taken: Instant,
    pub(super) sent: usize,
    pub(super) stored: Vec<Position>,
    /// The outcome of a try was unknown.
    pub(super) unknown: bool,
    /// When it first failed.
    pub(super) failed: Option<Instant>,
    /// `None` once all of it is acknowledged.
    pub(super) reply: Option<ReceiptSender>,
}

impl Batch {
    /// Rebuilds the records of the next piece. `sent` is the greatest number that was sent before.
    pub(super) fn again(&self, origin: &Arc<Origin>, sent: u64) -> Vec<Record> {
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
    pub(super) fn starts_with_tick(&self) -> bool {
        self.resend.is_tick(self.sent)
    }

    pub(super) fn ends_with_tick(&self) -> bool {
        self.resend.is_tick(self.len - 1)
    }

    /// Returns the sequence number of the last message before the record at an index.
    pub(super) fn number_at(&self, index: usize) -> u64 {
        self.before + self.resend.messages(index)
    }

    /// Completes the batch, which keeps its place until everything before it is complete, but not
    /// the memory to send it again.
    pub(super) fn finish(&mut self) {
        self.sent = self.len;
        (self.fresh, self.resend) = (Vec::new(), ResendBuffer::new(0, Vec::new()));
        if let Some(reply) = self.reply.take() {
            reply.send(Outcome::stored(std::mem::take(&mut self.stored)));
        }
    }
}

/// Stamps a record with its sequence number, and a tick also with the greatest number that was sent
/// before it, if that is another one. A control record has its own header instead.
#[inline]
pub(super) fn stamp(record: &mut Record, origin: &Arc<Origin>, seq: u64, sent: u64) {
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

/// Returns whether a record is a tick or a control record, which take no sequence number.
pub(super) fn is_tick(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK
}
