//! What is in flight: the client reports record by record, and receipts are sent batch by batch, in
//! the order in which the batches were submitted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseRecord;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::client::Handle;
use crate::error::{failed as failure_of, needs};
use crate::events::lock;
use crate::incarnations::Bound;
use crate::lookup::named;
use crate::producer::Producer;

/// What is sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// What one writer has in flight in the client.
pub(crate) struct Pipeline {
    handle: Arc<Handle>,
    producer: Arc<Producer>,
    bound: Bound,
    channel: String,
    state: Mutex<State>,
    /// Runs the looks at the topic, because reports arrive on a thread of the client.
    runtime: Runtime,
    /// What the writer waits for.
    pub(crate) load: watch::Sender<Load>,
}

/// How much is in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) batches: usize,
    pub(crate) bytes: usize,
    pub(crate) poisoned: bool,
}

#[derive(Default)]
struct State {
    /// The batches that have no receipt yet, and the number of the first one.
    batches: VecDeque<Batch>,
    first: u64,
    /// A batch failed: none after it can succeed.
    broken: bool,
    /// The offset of the last record that was reported as stored.
    last: Option<u64>,
    /// The batches of which everything is known except whether the topic is still the same.
    done: Vec<Done>,
    /// When the topic was seen last, and whether a task is looking for it.
    seen: Option<Instant>,
    looking: bool,
}

/// A batch that is about to get its receipt.
struct Done {
    outcome: Outcome,
    receipt: ReceiptSender,
    bytes: usize,
}

struct Batch {
    reports: Vec<Option<Result<u64, Failed>>>,
    missing: usize,
    bytes: usize,
    receipt: ReceiptSender,
}

/// Why a record isn't known to be stored.
#[derive(Clone)]
enum Failed {
    /// The client didn't accept it.
    NotSent(Failure),
    Unknown(Failure),
}

impl Pipeline {
    pub(crate) fn new(
        handle: Arc<Handle>,
        producer: Arc<Producer>,
        bound: Bound,
        channel: &str,
    ) -> Arc<Self> {
        let state = State { seen: Some(bound.seen), ..State::default() };
        Arc::new(Self {
            handle,
            producer,
            bound,
            channel: channel.to_owned(),
            state: Mutex::new(state),
            runtime: Runtime::current(),
            load: watch::Sender::default(),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.channel)
    }

    /// Makes it accept nothing more.
    pub(crate) fn poison(&self) {
        self.load.send_modify(|load| load.poisoned = true);
    }

    /// Hands a batch to the client. A record that it doesn't accept ends the batch and the pipeline.
    pub(crate) fn send<'a>(
        self: &Arc<Self>,
        count: usize,
        bytes: usize,
        outgoing: impl Iterator<Item = Outgoing<'a>>,
    ) -> Receipt {
        let (receipt, pending) = Receipt::pending();
        let number = {
            let mut state = lock(&self.state);
            let reports = std::iter::repeat_with(|| None).take(count).collect();
            state.batches.push_back(Batch { reports, missing: count, bytes, receipt });
            state.first + state.batches.len() as u64 - 1
        };
        self.handle.pending.send_modify(|pending| *pending += 1);
        self.load.send_modify(|load| {
            load.batches += 1;
            load.bytes += bytes;
        });
        let batch = Arc::new(Sent { pipeline: Arc::clone(self), number });
        let mut refused = None;
        for (index, one) in outgoing.enumerate() {
            if let Some(failure) = &refused {
                self.report(number, index, Err(Failed::NotSent(Failure::clone(failure))));
                continue;
            }
            let delivery = Box::new(Delivery { batch: Arc::clone(&batch), index });
            let record: BaseRecord<'_, [u8], [u8], _> = BaseRecord {
                topic: &self.bound.partition.topic,
                partition: Some(self.bound.partition.number),
                payload: one.payload,
                key: one.key,
                timestamp: None,
                headers: one.headers,
                delivery_opaque: delivery,
            };
            if let Err((error, _)) = self.producer.client.send(record) {
                let failure = self.meaning(&error);
                self.poison();
                self.report(number, index, Err(Failed::NotSent(failure.clone())));
                refused = Some(failure);
            }
        }
        pending
    }

    fn meaning(&self, error: &KafkaError) -> Failure {
        let after = match error.rdkafka_error_code() {
            // The client has tried for so long.
            Some(Code::MessageTimedOut) => self.handle.config.message_timeout(),
            _ => self.handle.timeout(),
        };
        needs(failure_of(error, after), "Write", &named(&self.bound.partition.topic))
    }

    /// Notes what became of a record, and sends the receipts that are complete now.
    fn report(self: &Arc<Self>, number: u64, index: usize, stored: Result<u64, Failed>) {
        let done = {
            let mut state = lock(&self.state);
            let place = usize::try_from(number - state.first).unwrap_or(usize::MAX);
            let Some(batch) = state.batches.get_mut(place) else { return };
            if let Some(report) = batch.reports.get_mut(index) {
                *report = Some(stored);
                batch.missing -= 1;
            }
            while state.batches.front().is_some_and(|batch| batch.missing == 0)
                && let Some(Batch { reports, bytes, receipt, .. }) = state.batches.pop_front()
            {
                state.first += 1;
                let outcome = self.outcome(&mut state, reports);
                state.done.push(Done { outcome, receipt, bytes });
            }
            if state.done.is_empty() || state.looking {
                return;
            }
            if state.seen.is_none_or(|seen| seen.elapsed() > self.good_for()) {
                state.looking = true;
                self.runtime.spawn(Arc::clone(self).look());
                return;
            }
            std::mem::take(&mut state.done)
        };
        self.settle(done);
    }

    fn good_for(&self) -> Duration {
        self.handle.incarnations.good_for
    }

    /// Looks at the topic, and sends the receipts that wait for that, and those that come meanwhile.
    async fn look(self: Arc<Self>) {
        loop {
            let mut done = {
                let mut state = lock(&self.state);
                if state.done.is_empty() {
                    state.looking = false;
                    return;
                }
                std::mem::take(&mut state.done)
            };
            match self.bound.seen_within(self.good_for()).await {
                Ok(seen) => lock(&self.state).seen = Some(seen),
                Err(failure) => {
                    lock(&self.state).broken = true;
                    self.doubt(&mut done, failure);
                }
            }
            self.settle(done);
        }
    }

    /// Makes the outcomes unknown: what was stored may be in another topic.
    fn doubt(&self, done: &mut [Done], failure: Failure) {
        let mut why = Some(failure);
        for Done { outcome, .. } in done {
            let is_sent = outcome.rest.as_ref().is_none_or(|rest| rest.fate != Fate::NotStored);
            if is_sent || !outcome.stored.is_empty() {
                let failure = why.take().unwrap_or_else(|| TransportErrorKind::Poisoned.into());
                let error = self.error("submit", failure);
                *outcome = Outcome::partial(Vec::new(), Fate::Unknown, error);
            }
        }
    }

    fn settle(&self, done: Vec<Done>) {
        for Done { outcome, receipt, bytes } in done {
            // Before the receipt, because its owner may check the writer; the count follows after the
            // receipt, because a caller that waits for the count expects the receipt.
            if outcome.rest.is_some() {
                self.poison();
            }
            receipt.send(outcome);
            self.load.send_modify(|load| {
                load.batches -= 1;
                load.bytes -= bytes;
            });
            self.handle.pending.send_modify(|pending| *pending -= 1);
        }
    }

    fn outcome(&self, state: &mut State, reports: Vec<Option<Result<u64, Failed>>>) -> Outcome {
        let reports: Vec<_> = reports.into_iter().flatten().collect();
        let mut stored = Vec::with_capacity(reports.len());
        let mut failed = state.broken.then(|| Failure::from(TransportErrorKind::Poisoned));
        for report in &reports {
            if failed.is_some() {
                break;
            }
            match report {
                Ok(offset) if state.last.is_none_or(|last| last < *offset) => {
                    state.last = Some(*offset);
                    stored.push(Position::new(*offset));
                }
                // The log began anew: the topic was deleted and created again. A look shows by which.
                Ok(offset) => {
                    state.seen = None;
                    failed = Some(self.replaced(*offset).into());
                }
                Err(Failed::NotSent(failure) | Failed::Unknown(failure)) => {
                    // There may be another one in its place.
                    if failure.kind == TransportErrorKind::NotFound {
                        state.seen = None;
                    }
                    failed = Some(failure.clone());
                }
            }
        }
        let Some(failure) = failed else { return Outcome::stored(stored) };
        state.broken = true;
        let not_sent = |report: &Result<u64, Failed>| matches!(report, Err(Failed::NotSent(_)));
        let fate = match reports.iter().skip(stored.len()).all(not_sent) {
            true => Fate::NotStored,
            false => Fate::Unknown,
        };
        Outcome::partial(stored, fate, self.error("submit", failure))
    }

    /// Returns what it means that a record got an offset that isn't after the last one.
    fn replaced(&self, offset: u64) -> TransportErrorKind {
        let (expected, found) = (self.bound.incarnation, Incarnation::UNKNOWN);
        if expected != found {
            return TransportErrorKind::WrongIncarnation { expected, found };
        }
        let reason = format!(
            "a record got the offset {offset}, which was taken: the topic was deleted and created again; open a new writer"
        );
        TransportErrorKind::Protocol { reason }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Pipeline");
        debug.field("partition", &self.bound.partition).field("load", &*self.load.borrow());
        debug.finish_non_exhaustive()
    }
}

/// A batch that was handed to the client. Its records share it: the counter of a pipeline, which the
/// writer counts up while reports count it down, would go to and fro between two cores.
struct Sent {
    pipeline: Arc<Pipeline>,
    number: u64,
}

/// Where the client's report about a record goes.
pub(crate) struct Delivery {
    batch: Arc<Sent>,
    index: usize,
}

impl Delivery {
    pub(crate) fn report(self, stored: Result<u64, KafkaError>) {
        let Sent { pipeline, number } = &*self.batch;
        let stored = stored.map_err(|error| Failed::Unknown(pipeline.meaning(&error)));
        pipeline.report(*number, self.index, stored);
    }
}
