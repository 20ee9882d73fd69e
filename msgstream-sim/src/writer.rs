//! Writing: records are on their way for a while, and so are the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, ReceiptSender, Result, TransportErrorKind,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::coop;

use crate::broker::{Attached, timed_out, unavailable};
use crate::faults::{Arrival, Fault};

/// A writer is ready while fewer batches are in flight.
const MAX_IN_FLIGHT: usize = 64;

/// Sends batches in order to a task that is the way to the channel, which passes the outcomes on to
/// one that is the way back. Both end by themselves when the writer is gone and all has arrived.
#[derive(Debug)]
pub(crate) struct SimWriter {
    at: Attached,
    /// Why it takes nothing more.
    ended: Option<TransportErrorKind>,
    link: Arc<Link>,
    out: mpsc::UnboundedSender<Sent>,
    /// When what was sent last arrives: nothing overtakes.
    arrives: Duration,
}

/// What a writer hears from the way back.
#[derive(Debug, Default)]
struct Link {
    poisoned: AtomicBool,
    in_flight: Arc<InFlight>,
}

#[derive(Debug)]
struct Sent {
    records: Vec<Record>,
    arrives: Duration,
    answer: Answer,
}

#[derive(Debug)]
struct Answer {
    receipt: ReceiptSender,
    // Dropped when the receipt was sent, or the runtime has ended.
    _in_flight: [Pending; 2],
}

impl SimWriter {
    pub(crate) fn new(at: Attached) -> Self {
        let link = Arc::new(Link::default());
        let (out, arriving) = mpsc::unbounded_channel();
        let (back, answers) = mpsc::unbounded_channel();
        tokio::spawn(deliver(at.clone(), link.clone(), arriving, back));
        tokio::spawn(answer(at.clone(), link.clone(), answers));
        Self { at, ended: None, link, out, arrives: Duration::ZERO }
    }

    fn check_open(&self) -> Result<(), TransportErrorKind> {
        self.at.handle.check_open()?;
        if let Some(kind) = &self.ended {
            return Err(kind.clone());
        }
        let poisoned = self.link.poisoned.load(Ordering::Acquire);
        if poisoned { Err(TransportErrorKind::Poisoned) } else { Ok(()) }
    }

    fn check_sizes(&self, records: &[Record]) -> Result<(), TransportErrorKind> {
        let Some(limit) = self.at.handle.broker.max_payload else { return Ok(()) };
        match records.iter().map(|r| r.payload.len()).find(|bytes| *bytes > limit) {
            Some(bytes) => Err(TransportErrorKind::TooLarge { bytes, limit }),
            None => Ok(()),
        }
    }

    /// When a batch that is sent now arrives. On a channel that is gone: at once.
    fn arrival(&self) -> Duration {
        let there = self.at.with(|channel, dice| Ok(dice.now + channel.latency(dice)));
        there.unwrap_or_default().max(self.arrives)
    }
}

#[async_trait]
impl ChannelWriter for SimWriter {
    async fn ready(&mut self) -> Result<()> {
        coop::consume_budget().await;
        let error = |kind| self.at.error("ready", kind);
        self.check_open().map_err(error)?;
        self.link.in_flight.fewer_than(MAX_IN_FLIGHT).await;
        self.check_open().map_err(error)
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.check_sizes(records).map_err(|kind| self.at.error("check", kind))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        if let Err(kind) = self.check_open().and_then(|()| self.check_sizes(&records)) {
            self.ended.get_or_insert(TransportErrorKind::Poisoned);
            let error = self.at.error("submit", kind);
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
        }
        self.arrives = self.arrival();
        let (receipt, promise) = Receipt::pending();
        let in_flight = [&self.link.in_flight, &self.at.handle.in_flight].map(InFlight::begin);
        let answer = Answer { receipt, _in_flight: in_flight };
        // Where the runtime has ended, the promise is broken: the outcome is unknown.
        drop(self.out.send(Sent { records, arrives: self.arrives, answer }));
        promise
    }

    async fn close(&mut self) -> Result<()> {
        self.ended = Some(TransportErrorKind::Closed);
        self.link.in_flight.fewer_than(1).await;
        Ok(())
    }
}

/// The way to the channel, and what happens there.
async fn deliver(
    at: Attached,
    link: Arc<Link>,
    mut arriving: mpsc::UnboundedReceiver<Sent>,
    back: mpsc::UnboundedSender<(Duration, Outcome, Answer)>,
) {
    let mut failed = false;
    while let Some(Sent { records, arrives, answer }) = arriving.recv().await {
        at.handle.broker.wait_until(arrives).await;
        while let Ok(Some(until)) = at.with(|channel, dice| Ok(channel.stuck(dice.now))) {
            at.handle.broker.wait_until(until).await;
        }
        failed |= link.poisoned.load(Ordering::Acquire);
        let (answered, outcome) = arrive(&at, records, failed);
        failed |= outcome.rest.is_some();
        // The way back ends after this one.
        drop(back.send((answered, outcome, answer)));
    }
}

/// A batch arrives: returns its outcome, and when its writer hears of it.
fn arrive(at: &Attached, records: Vec<Record>, failed: bool) -> (Duration, Outcome) {
    let arrived = at.with(|channel, dice| {
        channel.roll_trouble(dice);
        let down = channel.down(dice.now).is_some();
        let Arrival { now, later, acked, rest } = dice.arrival(records.len(), failed || down);
        let unix_ms = at.handle.broker.unix_ms(dice.now);
        let store = now.iter().filter_map(|index| records.get(*index).cloned());
        let mut stored = channel.append(store, dice, unix_ms);
        dice.note(format_args!("write {} {now:?} at {stored:?}, {rest:?}", at.name));
        // Of two copies a writer may hear of either.
        if now.len() == 2 * acked && rest.is_none() && dice.rng.chance(0.5) {
            stored.drain(..acked);
        }
        stored.truncate(acked);
        for (delay, indexes) in later {
            let late = indexes.iter().filter_map(|index| records.get(*index).cloned()).collect();
            tokio::spawn(store_late(at.clone(), dice.now + delay, late));
        }
        let outcome = match rest {
            None => Outcome::stored(stored),
            Some(fate) => {
                let kind = match (failed, down) {
                    (true, _) => TransportErrorKind::Poisoned,
                    (_, true) => unavailable(),
                    _ => timed_out(),
                };
                Outcome::partial(stored, fate, at.error("submit", kind))
            }
        };
        Ok((dice.now + channel.latency(dice), outcome))
    });
    arrived.unwrap_or_else(|kind| {
        let error = at.error("submit", kind);
        (Duration::ZERO, Outcome::partial(Vec::new(), Fate::NotStored, error))
    })
}

/// What was under way for long. Its channel may be gone by then.
async fn store_late(at: Attached, when: Duration, records: Vec<Record>) {
    at.handle.broker.wait_until(when).await;
    let stored = at.with(|channel, dice| {
        let unix_ms = at.handle.broker.unix_ms(dice.now);
        let stored = channel.append(records.into_iter(), dice, unix_ms);
        dice.note(format_args!("late write {} at {stored:?}", at.name));
        Ok(())
    });
    // A channel that is gone takes nothing.
    drop(stored);
}

/// The way back.
async fn answer(
    at: Attached,
    link: Arc<Link>,
    mut answers: mpsc::UnboundedReceiver<(Duration, Outcome, Answer)>,
) {
    let mut failed = false;
    while let Some((when, mut outcome, Answer { receipt, _in_flight })) = answers.recv().await {
        at.handle.broker.wait_until(when).await;
        let lost = at.with(|channel, dice| {
            let lost = !failed && outcome.rest.is_none() && channel.down(dice.now).is_some();
            if lost {
                dice.count(Fault::LostAck);
            }
            Ok(lost)
        });
        if lost.unwrap_or(false) || (failed && !outcome.stored.is_empty()) {
            // Success is a prefix of all that was submitted: what follows a failure isn't one.
            outcome =
                Outcome::partial(Vec::new(), Fate::Unknown, at.error("submit", unavailable()));
        }
        failed |= outcome.rest.is_some();
        link.poisoned.fetch_or(failed, Ordering::AcqRel);
        receipt.send(outcome);
    }
}

/// Counts batches whose receipts haven't come.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: Mutex<usize>,
    fewer: Notify,
}

#[derive(Debug)]
struct Pending(Arc<InFlight>);

impl InFlight {
    fn begin(self: &Arc<Self>) -> Pending {
        self.change(|count| *count += 1);
        Pending(self.clone())
    }

    fn change<T>(&self, act: impl FnOnce(&mut usize) -> T) -> T {
        act(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn fewer_than(&self, bound: usize) {
        loop {
            // It hears of everything from here on, so nothing slips in between look and wait.
            let fewer = self.fewer.notified();
            if self.change(|count| *count < bound) {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let left = self.0.change(|count| {
            *count -= 1;
            *count
        });
        // Only where somebody's bound is reached.
        if left == 0 || left + 1 == MAX_IN_FLIGHT {
            self.0.fewer.notify_waiters();
        }
    }
}
