//! What became of what was sent: acknowledged, to be sent again, or given up.

use tokio::time::Instant;

use super::UnackedQueue;
use crate::planted::{Bug, planted};
use crate::record::Position;
use crate::transport::{Fate, Outcome, TransportError, TransportErrorKind};

impl UnackedQueue {
    /// Applies the outcome of the first piece in flight.
    ///
    /// # Errors
    /// The fate of the piece's rest, and why it failed.
    pub(in crate::produce::session) fn settle(
        &mut self,
        outcome: Outcome,
    ) -> Result<(), (Fate, TransportError)> {
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
    pub(super) fn finish(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        self.bytes -= batch.bytes;
        self.ticks -= usize::from(batch.tick);
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
    pub(in crate::produce::session) fn poison(&mut self, fate: Fate, error: TransportError) {
        self.poisoned = true;
        // A batch of which everything is stored all the same is gone.
        if let Some(index) = self.failed.take().and_then(|number| number.checked_sub(self.gone)) {
            self.refuse(index as usize, fate, error);
        }
        while let Some(tick) = self.waiting.pop_front() {
            let index = (tick.batch - self.gone) as usize;
            self.refuse(index, Fate::NotStored, poisoned(&self.channel));
        }
        self.forget_finished();
    }

    /// Completes what isn't sent and never will be, without a session.
    pub(in crate::produce::session) fn refuse_unsent(&mut self) {
        self.waiting.clear();
        for index in 0..self.batches.len() {
            if self.batches[index].sent == 0 {
                let closed = TransportError::new("submit", TransportErrorKind::Closed);
                self.refuse(index, Fate::NotStored, closed.on(&*self.channel));
            }
        }
        self.forget_finished();
        self.next = self.batches.len();
    }

    /// Completes a batch of which the rest isn't stored.
    pub(super) fn refuse(&mut self, index: usize, fate: Fate, error: TransportError) {
        let batch = &mut self.batches[index];
        if let Some(reply) = batch.reply.take() {
            self.bytes -= batch.bytes;
            self.ticks -= usize::from(batch.tick);
            batch.sent = batch.len;
            reply.send(Outcome::partial(std::mem::take(&mut batch.stored), fate, error));
        }
    }

    pub(super) fn forget_finished(&mut self) {
        while self.batches.pop_front_if(|batch| batch.reply.is_none()).is_some() {
            self.gone += 1;
            self.next = self.next.saturating_sub(1);
        }
    }

    /// Prepares for sending again everything that isn't acknowledged, in order, after the writer
    /// failed. What was in flight after the failure may be stored, too, so sending the failed batch
    /// alone would put it after what follows it.
    pub(in crate::produce::session) fn rewind(&mut self, fate: Fate, now: Instant) {
        let failed = self.failed.take();
        for (number, batch) in (self.gone..).zip(&mut self.batches) {
            if batch.reply.is_none() {
                continue;
            }
            let in_flight = batch.sent > batch.stored.len();
            if planted(Bug::RetryAlone) && Some(number) != failed && in_flight {
                batch.stored.resize(batch.len, Position::default());
                self.bytes -= batch.bytes;
                self.ticks -= usize::from(batch.tick);
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
    pub(in crate::produce::session) fn end(&mut self, error: TransportError) {
        self.pieces.clear();
        self.receipts.clear();
        self.waiting.clear();
        (self.next, self.bytes, self.ticks) = (0, 0, 0);
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

pub(super) fn poisoned(channel: &str) -> TransportError {
    TransportError::new("submit", TransportErrorKind::Poisoned).on(channel)
}
