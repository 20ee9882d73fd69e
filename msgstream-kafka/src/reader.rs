//! Reading.

use msgstream_core::transport::ReaderOptions;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::{Copies, Failure, Retry, add_key, read_record};
use msgstream_core::record::{Incarnation, Position, Record, unreadable};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportError, TransportErrorKind,
};
use tokio::task::{coop, yield_now};
use tokio::time::{Instant, timeout_at};

use crate::client::Handle;
use crate::error::{FetchError, needs};
use crate::incarnations::Bound;
use crate::lookup::{Bounds, named};
use crate::native::topic::{Message, QueueEvent};
use crate::partition::Name;
use crate::prefetch::{Place, Prefetch};
use crate::start::place;

/// Replaces a wait that no clock can count.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

/// How long the reader waits for the client to wake it, before it checks the queue itself.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct KafkaReader {
    handle: Arc<Handle>,
    channel: String,
    names: MsgTypeNames,
    bound: Bound,
    /// `None` after a failure.
    prefetch: Option<Prefetch>,
    /// Why the prefetch ended, after the records that are here.
    ended: Option<FetchError>,
    /// What was read isn't there any more: every read fails with this until a seek.
    cut: Option<TransportErrorKind>,
    copies: Copies,
    /// Records that arrived and weren't returned.
    ready: VecDeque<Record>,
    /// How many there were last time: mostly there are as many again.
    usual: usize,
    /// The offset after all of that, and the leader's term in which the record before it was written.
    next: u64,
    epoch: Option<i32>,
    /// Whether the last attempt to read found no broker.
    lost: bool,
    /// Nothing follows, as far as the brokers reported.
    at_end: bool,
    /// An end that the topic had, and whether it was asked for again.
    end: u64,
    asked: bool,
}

impl KafkaReader {
    pub(crate) async fn open(
        handle: Arc<Handle>,
        channel: &str,
        name: &Name,
        options: ReaderOptions,
    ) -> Result<Self, Failure> {
        let ReaderOptions { start, incarnation, .. } = options;
        let bound = Bound::new(&handle, name, incarnation).await?;
        let (next, bounds) = place(&handle, &bound.partition, start).await?;
        let mut reader = Self {
            handle,
            channel: channel.to_owned(),
            names: MsgTypeNames::default(),
            bound,
            prefetch: None,
            ended: None,
            cut: None,
            copies: Copies::default(),
            ready: VecDeque::new(),
            usual: 0,
            next,
            epoch: None,
            lost: false,
            at_end: false,
            end: next,
            asked: false,
        };
        reader.begin(next, None, bounds).await?;
        Ok(reader)
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.channel)
    }

    /// Moves to an offset. Cancelled, it leaves the reader where it was, without a prefetch.
    async fn begin(
        &mut self,
        next: u64,
        epoch: Option<i32>,
        bounds: Bounds,
    ) -> Result<(), Failure> {
        let prefetch = self.prefetch.take();
        (self.ended, self.cut) = (None, None);
        // Without a prefetch what was read ahead would be read again.
        self.rewind();
        let (handle, partition) = (Arc::clone(&self.handle), self.bound.partition.clone());
        let place = Place { offset: next, epoch };
        let open = move || match prefetch {
            Some(prefetch) => prefetch.restart(place),
            None => handle.fetchers.open(&handle.config, &partition, place),
        };
        let prefetch = self.handle.block(open).await?;
        // Before this the client may have come to another topic without a pause.
        self.bound.look().await?;
        self.prefetch = Some(prefetch);
        (self.next, self.epoch, self.at_end) = (next, epoch, false);
        (self.end, self.asked) = (bounds.high, false);
        Ok(())
    }

    /// Drops what is here and wasn't returned.
    fn rewind(&mut self) {
        if let Some(first) = self.ready.front() {
            self.next = first.position.offset();
            // Whose term it was isn't kept for each record.
            self.epoch = None;
        }
        self.ready.clear();
        self.at_end = false;
    }

    /// Returns the position of the next record for the caller.
    fn position(&self) -> Position {
        self.ready.front().map_or(Position::new(self.next), |record| record.position)
    }

    /// Reads, and opens the prefetch again if it failed, for as long as an answer may take.
    async fn read_on(&mut self, limit: Limit) -> Result<ReadBatch, Failure> {
        let now = Instant::now();
        let until = now.checked_add(limit.wait).unwrap_or(now + LONGEST_WAIT);
        let timeout = self.handle.timeout();
        let end = until.checked_add(timeout).unwrap_or(until);
        let mut retry: Option<Retry> = None;
        loop {
            let read = timeout_at(end, self.read_once(limit, until)).await;
            let late = TransportErrorKind::TimedOut { after: timeout };
            let failure = match read.unwrap_or(Err(late.into())) {
                Ok(batch) => {
                    self.note_found();
                    return Ok(batch);
                }
                Err(failure) => failure,
            };
            // Otherwise it recovers by itself, and may still have records from before the failure.
            if self.ended.is_some() || !failure.is_temporary() {
                self.prefetch = None;
            }
            self.note_lost(&failure);
            let left = end.saturating_duration_since(Instant::now()).min(timeout);
            retry.get_or_insert_with(|| Retry::new(left)).after(failure).await?;
        }
    }

    fn note_lost(&mut self, error: &Failure) {
        let channel = &self.channel;
        if !error.is_temporary() {
        } else if std::mem::replace(&mut self.lost, true) {
            tracing::debug!(channel, %error, "the reader can't reach a broker yet, trying again");
        } else {
            tracing::warn!(channel, %error, "the reader lost its broker, trying again");
        }
    }

    fn note_found(&mut self) {
        if std::mem::take(&mut self.lost) {
            tracing::info!(channel = self.channel, "the reader reached its broker again");
        }
    }

    async fn read_once(&mut self, limit: Limit, until: Instant) -> Result<ReadBatch, Failure> {
        if let Some(kind) = &self.cut {
            return Err(kind.clone().into());
        }
        if self.prefetch.is_none() {
            self.rewind();
            // In another topic the place means nothing.
            self.bound.look().await?;
            let start = Start::At(Position::new(self.next));
            let (next, bounds) = place(&self.handle, &self.bound.partition, start).await?;
            self.begin(next, self.epoch, bounds).await?;
        }
        loop {
            self.gather_in_turn(limit).await;
            if !self.ready.is_empty() {
                self.bound.look_for_records().await?;
                let count = limit.count(&self.ready);
                let caught_up = count == self.ready.len() && self.look_for_end().await;
                return Ok(self.take(count, caught_up));
            }
            if let Some(error) = self.ended.clone() {
                return Err(self.meaning(error).await);
            }
            let Some(prefetch) = &self.prefetch else { continue };
            let look = until.min(Instant::now() + LOOK);
            if timeout_at(look, prefetch.wait()).await.is_err() && Instant::now() >= until {
                self.check_connection().await?;
                return Ok(self.take(0, self.at_end));
            }
        }
    }

    /// Returns what it means that the prefetch ended.
    async fn meaning(&mut self, error: FetchError) -> Failure {
        if let Some(end) = error.truncated_at() {
            let (position, end) = (self.position(), Position::new(end));
            let kind = TransportErrorKind::PositionBeyondEnd { position, end };
            self.cut = Some(kind.clone());
            return Failure::new(kind, error);
        }
        if error.is_out_of_range() {
            // The next attempt sees which end of the log it is past.
            let reason = "the topic doesn't have the reader's offset".to_owned();
            return Failure::new(TransportErrorKind::Unavailable { reason }, error);
        }
        match error.failure(self.handle.timeout()) {
            // Another topic of its name may have fewer partitions.
            Failure { kind: TransportErrorKind::NotFound, .. } => match self.bound.look().await {
                Ok(()) => self.handle.missing(&self.bound.partition).await,
                Err(failure) => failure,
            },
            failure => needs(failure, "Read", &named(&self.bound.partition.topic)),
        }
    }

    async fn gather_in_turn(&mut self, limit: Limit) {
        let Some(prefetch) = &self.prefetch else { return };
        let fetcher = Arc::clone(&prefetch.fetcher);
        let turn = fetcher.turn.lock().await;
        self.gather(limit);
        drop(turn);
        // Who is next is on this thread, and no other one takes it before this task lets go.
        yield_now().await;
    }

    /// Takes what has arrived, up to one record more than the limit. It doesn't wait, so that it can't
    /// be cancelled.
    fn gather(&mut self, limit: Limit) {
        let Self { prefetch, ended, names, copies, ready, usual, next, epoch, at_end, .. } = self;
        let Some(prefetch) = prefetch else { return };
        let mut bytes: usize = ready.iter().map(Record::footprint).sum();
        let is_enough = |records, bytes| records >= limit.records.max(1) || bytes > limit.bytes;
        // The end is reported once.
        if ended.is_some() || is_enough(ready.len(), bytes) {
            return;
        }
        prefetch.drain(|event| {
            match event {
                QueueEvent::Message(mut message) => {
                    if ready.is_empty() {
                        ready.reserve(*usual);
                    }
                    let record = to_record(&mut message, names, copies);
                    (*next, *at_end) = (record.position.offset() + 1, false);
                    *epoch = Some(message.leader_epoch()).filter(|epoch| *epoch >= 0);
                    bytes += record.footprint();
                    ready.push_back(record);
                }
                // Offsets without a record, such as those of transactions' markers, are behind.
                QueueEvent::End(end) => (*next, *at_end) = ((*next).max(end), true),
                QueueEvent::Failed(error) => *ended = Some(error),
            }
            match ended.is_some() || is_enough(ready.len(), bytes) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
    }

    /// Returns whether nothing follows what is about to be returned. The topic is asked if the client
    /// has reported the end, which may have moved since, and once if the reader is at the end that it
    /// knows: the client would report that much later, after its next request has waited for records in
    /// vain.
    async fn look_for_end(&mut self) -> bool {
        if !self.at_end && (self.asked || self.end != self.next) {
            return false;
        }
        self.asked = true;
        let asked =
            timeout_at(Instant::now() + LOOK, self.handle.bounds(&self.bound.partition)).await;
        let Ok(Ok(Bounds { high, .. })) = asked else { return false };
        (self.end, self.at_end) = (high, high == self.next);
        self.at_end
    }

    /// A client that lost its brokers waits for them in silence.
    async fn check_connection(&mut self) -> Result<(), Failure> {
        let events = self.prefetch.as_ref().map(|prefetch| prefetch.fetcher.events.clone());
        let in_trouble = events.filter(|events| events.trouble().is_some());
        let good_for = if in_trouble.is_some() { Duration::ZERO } else { LOOK };
        self.bound.look_after(good_for).await?;
        if let Some(events) = in_trouble {
            events.answered();
        }
        Ok(())
    }

    fn take(&mut self, count: usize, caught_up: bool) -> ReadBatch {
        let rest = self.ready.split_off(count);
        let records: Vec<_> = std::mem::replace(&mut self.ready, rest).into();
        self.usual = count;
        ReadBatch::new(records, self.position(), caught_up)
    }
}

/// Its payload is a copy: the message shares its memory with all that came in the same answer of the
/// broker.
fn to_record(message: &mut Message<'_>, names: &MsgTypeNames, copies: &mut Copies) -> Record {
    let position = Position::new(message.offset());
    let payload = copies.copy(message.payload().unwrap_or_default());
    let key = message.key().map(|key| copies.copy(key));
    let mut record = match message.headers() {
        Ok(headers) => read_record(position, headers, payload, names),
        Err(code) => unreadable(position, format!("its headers are damaged: {code}"), [], payload),
    };
    if let Some(key) = key {
        add_key(&mut record, key);
    }
    record
}

#[async_trait]
impl ChannelReader for KafkaReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        let handle = Arc::clone(&self.handle);
        let read = handle.while_open(self.read_on(limit)).await;
        read.map_err(|failure| self.error("read", failure))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let handle = Arc::clone(&self.handle);
        let sought = async {
            self.bound.look().await?;
            let (next, bounds) = place(&handle, &self.bound.partition, start).await?;
            self.begin(next, None, bounds).await
        };
        let sought = handle.in_time(sought).await;
        sought.map_err(|failure| self.error("seek", failure))
    }

    fn incarnation(&self) -> Incarnation {
        self.bound.incarnation
    }
}
