//! Reading.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::ReaderOptions;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportError, TransportErrorKind as Kind,
};
use tokio::task::{AbortHandle, coop};
use tokio::time::{Instant, sleep_until};

use crate::batch;
use crate::client::Client;
use crate::ledgers::{ORIGIN, entry_place};
use crate::name::Topic;
use crate::prefetch::{Entry, Found, Inbox};
use crate::pump::Pump;
use crate::transport::{check_incarnation, incarnation_of};

/// How long a batch waits to learn whether it is the last.
const END_PATIENCE: Duration = Duration::from_millis(200);
/// Replaces a wait that no clock can count.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads entries as they come, and takes them apart.
#[derive(Debug)]
pub(crate) struct PulsarReader {
    client: Arc<Client>,
    topic: Topic,
    incarnation: Incarnation,
    names: MsgTypeNames,
    inbox: Arc<Inbox>,
    pump: AbortHandle,
    /// Records of an entry that was taken apart and didn't fit.
    ready: VecDeque<Record>,
    /// The place after them.
    next: Position,
}

impl PulsarReader {
    pub(crate) async fn open(
        client: Arc<Client>,
        topic: Topic,
        options: ReaderOptions,
    ) -> Result<Self, Failure> {
        let ReaderOptions { start, incarnation: expected, .. } = options;
        let incarnation = incarnation_of(&client.rest.channel_properties(&topic).await?);
        if let Some(expected) = expected.filter(|expected| *expected != incarnation) {
            return Err(Kind::WrongIncarnation { expected, found: incarnation }.into());
        }
        let next = place_of(&client, &topic, start).await?;
        let inbox = Inbox::new(client.config.prefetch_bytes, client.config.timeout, next);
        let pump = Pump {
            client: Arc::clone(&client),
            topic: topic.clone(),
            incarnation,
            inbox: Arc::clone(&inbox),
        };
        let mut retry = client.retry();
        while let Err(failure) = pump.join().await {
            retry.after(failure).await?;
        }
        let pump = tokio::spawn(pump.run()).abort_handle();
        let (names, ready) = (MsgTypeNames::default(), VecDeque::new());
        Ok(Self { client, topic, incarnation, names, inbox, pump, ready, next })
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&*self.topic.channel)
    }

    /// Returns the position of the next record for the caller.
    fn place(&self) -> Position {
        self.ready.front().map_or(self.next, |record| record.position)
    }

    /// Decodes entries until there are enough records for a batch.
    fn fill(&mut self, limit: Limit) -> Result<(), Failure> {
        let mut bytes: usize = self.ready.iter().map(Record::footprint).sum();
        while self.ready.len() < limit.records.max(1) && bytes <= limit.bytes {
            match self.inbox.take(self.next) {
                Found::Entry(entry) => {
                    let from = self.ready.len();
                    let Entry { ledger, entry, payload, .. } = *entry;
                    let (next, names) = (self.next, &self.names);
                    batch::decode(ledger, entry, payload, next, names, &mut self.ready);
                    self.next = entry_place(ledger, entry.saturating_add(1));
                    bytes += self.ready.range(from..).map(Record::footprint).sum::<usize>();
                }
                Found::Nothing => break,
                Found::Failure(failure) if self.ready.is_empty() => return Err(failure),
                // It comes again at the next read.
                Found::Failure(failure) => {
                    self.inbox.fail(failure);
                    break;
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, count: usize, caught_up: bool) -> ReadBatch {
        let records = self.ready.drain(..count).collect();
        ReadBatch::new(records, self.place(), caught_up)
    }

    async fn next_batch(&mut self, limit: Limit) -> Result<ReadBatch, Failure> {
        let began = Instant::now();
        let deadline = began + limit.wait.min(FOREVER);
        loop {
            self.client.check_open()?;
            self.fill(limit)?;
            let count = limit.count(&self.ready);
            let at_end = match count == self.ready.len() {
                true => self.inbox.at_end(began),
                false => Some(false),
            };
            let (now, patience) = (Instant::now(), began + END_PATIENCE);
            // What came may be the last: it is worth a moment to know.
            let until = match (count, at_end) {
                (0, None) => deadline.max(patience),
                (0, Some(_)) => deadline,
                (_, None) => deadline.min(patience),
                (_, Some(_)) => now,
            };
            if now >= until {
                return Ok(self.batch(count, at_end == Some(true)));
            }
            tokio::select! {
                () = self.inbox.reader.notified() => {}
                () = self.client.closed() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Returns the place of a start in the same channel.
    async fn find(&self, start: Start) -> Result<Position, Failure> {
        let (client, topic) = (&self.client, &self.topic);
        check_incarnation(self.incarnation, &client.rest.properties(topic).await?)?;
        place_of(client, topic, start).await
    }

    async fn go(&mut self, start: Start) -> Result<(), Failure> {
        let mut retry = self.client.retry();
        let place = loop {
            match self.client.while_open(self.find(start)).await {
                Ok(place) => break place,
                Err(failure) => retry.after(failure).await?,
            }
        };
        self.ready.clear();
        self.next = place;
        self.inbox.go(place);
        Ok(())
    }
}

/// Returns the place of a start.
async fn place_of(client: &Client, topic: &Topic, start: Start) -> Result<Position, Failure> {
    let ledgers = async || client.rest.internal_stats(topic).await?.ledgers();
    match start {
        Start::Earliest => Ok(ORIGIN),
        Start::Latest => Ok(ledgers().await?.end()),
        Start::At(position) => {
            ledgers().await?.check(position)?;
            Ok(position)
        }
        Start::After(position) => {
            ledgers().await?.check(position)?;
            let [ledger, entry, message] = position.words();
            Ok(Position::from_words([ledger, entry, message.saturating_add(1)]))
        }
        Start::Time(time) => {
            let (ledger, entry) = client.rest.entry_at(topic, time.physical_ms()).await?;
            Ok(entry_place(ledger, entry))
        }
        _ => Err(Kind::Config {
            reason: format!("a reader of this transport can't start at {start:?}"),
        }
        .into()),
    }
}

#[async_trait]
impl ChannelReader for PulsarReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        self.next_batch(limit).await.map_err(|failure| self.error("read", failure))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.go(start).await.map_err(|failure| self.error("seek", failure))
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

impl Drop for PulsarReader {
    fn drop(&mut self) {
        self.pump.abort();
        self.inbox.close();
    }
}
