//! Reading.

mod alone;
mod end;

use msgstream_core::transport::ReaderOptions;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::{Copies, Failure, Retry};
use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportError, TransportErrorKind,
};
use tokio::task::coop;
use tokio::time::{Instant, timeout_at};

use crate::client::{Handle, Slot};
use crate::error::lost;
use crate::headers::decode;
use crate::prefetch::Prefetch;
use crate::start::place;

/// Replaces a wait that no clock can count.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

#[derive(Debug)]
pub(crate) struct NatsReader {
    handle: Arc<Handle>,
    channel: String,
    stream: String,
    incarnation: Incarnation,
    names: MsgTypeNames,
    copies: Copies,
    /// Records that aren't returned yet.
    ready: VecDeque<Record>,
    /// The last of them was the stream's last message when it was sent.
    is_last: bool,
    /// The sequence after those.
    next: u64,
    /// `None` after a failure.
    prefetch: Option<Prefetch>,
    /// The place of the prefetch's connection: that of all readers of the handle, or one of its own once
    /// the reader has met a message that makes the client library end the connection.
    slot: Slot,
    is_apart: bool,
    /// How many messages are fetched alone before there is a prefetch again.
    alone: usize,
    /// The sequence of a message that the account may not fetch alone.
    forbidden: Option<u64>,
    /// The end that was seen last, and when.
    end: Option<(u64, Instant)>,
    /// The loss of the consumer was logged.
    is_lost: bool,
}

impl NatsReader {
    /// Opens a reader. If an incarnation is given, fails on any other.
    pub(crate) async fn open(
        handle: Arc<Handle>,
        channel: &str,
        stream: String,
        options: ReaderOptions,
    ) -> Result<Self, Failure> {
        let ReaderOptions { start, incarnation, .. } = options;
        let incarnation = match incarnation {
            Some(incarnation) => incarnation,
            None => handle.stream_info(&stream).await?.incarnation(),
        };
        let slot = handle.reading();
        let (prefetch, next) = place(&handle, &slot, &stream, start, incarnation).await?;
        let (channel, names) = (channel.to_owned(), MsgTypeNames::default());
        Ok(Self {
            handle,
            channel,
            stream,
            incarnation,
            names,
            copies: Copies::default(),
            ready: VecDeque::new(),
            is_last: false,
            next,
            prefetch: Some(prefetch),
            slot,
            is_apart: false,
            alone: 0,
            forbidden: None,
            end: None,
            is_lost: false,
        })
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.channel)
    }

    /// Reads, and opens the prefetch again if it is lost, for as long as an answer may take.
    async fn read_on(&mut self, limit: Limit) -> Result<ReadBatch, Failure> {
        let now = Instant::now();
        let until = now.checked_add(limit.wait).unwrap_or(now + LONGEST_WAIT);
        let mut retry: Option<Retry> = None;
        loop {
            match self.read_once(limit, now, until).await {
                Ok(batch) => return Ok(batch),
                Err(failure) => {
                    self.lose_feed(&failure);
                    let limit = self.handle.timeout();
                    retry.get_or_insert_with(|| Retry::new(limit)).after(failure).await?;
                }
            }
        }
    }

    /// Drops a prefetch that failed. The next message may be why.
    fn lose_feed(&mut self, error: &Failure) {
        let Some(prefetch) = self.prefetch.take() else { return };
        self.alone = self.alone.max(1);
        // A lost connection is logged once, and not by each of its readers.
        if prefetch.is_connected() && error.is_temporary() {
            self.is_lost = true;
            tracing::warn!(channel = self.channel, %error, "the reader lost its consumer, trying again");
        }
    }

    async fn open_feed(&mut self) -> Result<(), Failure> {
        let start = Start::At(Position::new(self.next));
        let placed = place(&self.handle, &self.slot, &self.stream, start, self.incarnation);
        self.prefetch = Some(placed.await?.0);
        if mem::take(&mut self.is_lost) {
            tracing::info!(channel = self.channel, "the reader has a consumer again");
        }
        Ok(())
    }

    async fn read_once(
        &mut self,
        limit: Limit,
        since: Instant,
        until: Instant,
    ) -> Result<ReadBatch, Failure> {
        if self.prefetch.is_none() {
            if self.ready.is_empty() && self.alone > 0 {
                self.fetch(limit).await?;
            }
            if !self.ready.is_empty() {
                return Ok(self.hand_out(limit).await);
            }
            self.open_feed().await?;
        }
        loop {
            let Some(prefetch) = &mut self.prefetch else { return Err(lost().into()) };
            let asked = prefetch.ask().await;
            match prefetch.peek()?.map(|delivery| delivery.sequence) {
                Some(sequence) if self.ready.is_empty() && sequence != self.next => {
                    self.cross_gap(sequence).await?;
                }
                // What has arrived counts, even if nothing more can be requested.
                Some(_) => {}
                None => asked?,
            }
            self.gather(limit)?;
            if !self.ready.is_empty() {
                return Ok(self.hand_out(limit).await);
            }
            let Some(prefetch) = &mut self.prefetch else { return Err(lost().into()) };
            match timeout_at(until, prefetch.wait()).await {
                Ok(waited) => waited?,
                Err(_) => return self.look_for_end(since).await,
            }
        }
    }

    /// Turns what has arrived into records, up to the limit or the next gap.
    fn gather(&mut self, limit: Limit) -> Result<(), Failure> {
        let Some(prefetch) = &mut self.prefetch else { return Err(lost().into()) };
        let mut bytes: usize = self.ready.iter().map(Record::footprint).sum();
        while self.ready.len() < limit.records.max(1) && bytes < limit.bytes.max(1) {
            let delivery = match prefetch.peek() {
                Ok(Some(delivery)) if delivery.sequence == self.next => delivery,
                Ok(_) => break,
                // What was taken before comes first; the next call meets the error again.
                Err(_) if !self.ready.is_empty() => break,
                Err(failure) => return Err(failure),
            };
            let message = &delivery.message;
            let position = Position::new(delivery.sequence);
            let headers = message.headers.as_ref();
            let payload = self.copies.copy(&message.payload);
            let record = decode(position, headers, payload, &self.names);
            bytes += record.footprint();
            self.is_last = delivery.behind == 0;
            self.next = delivery.sequence + 1;
            self.ready.push_back(record);
            prefetch.pop();
        }
        self.is_last &= !matches!(prefetch.peek(), Ok(Some(_)));
        Ok(())
    }

    /// Returns records that are ready. They stay in place while the server is asked for the end, so
    /// that a cancelled call loses none.
    async fn hand_out(&mut self, limit: Limit) -> ReadBatch {
        // A record may have been the last when it was sent, and not be it any more.
        let is_end = self.is_last && self.is_at_end().await;
        let count = limit.count(&self.ready);
        let records: Vec<_> = self.ready.drain(..count).collect();
        let next = self.ready.front().map_or(Position::new(self.next), |record| record.position);
        ReadBatch::new(records, next, is_end && self.ready.is_empty())
    }

    /// Moves on to the sequence after a gap of deleted messages. Fails if retention or a trim made
    /// the gap.
    async fn cross_gap(&mut self, sequence: u64) -> Result<(), Failure> {
        self.handle.stream_info(&self.stream).await?.check(self.incarnation, self.next)?;
        if sequence < self.next {
            let reason = format!(
                "the server sent message {sequence} again, after which {} is next",
                self.next
            );
            return Err(TransportErrorKind::Unavailable { reason }.into());
        }
        self.next = sequence;
        Ok(())
    }
}

#[async_trait]
impl ChannelReader for NatsReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        let handle = Arc::clone(&self.handle);
        let read = handle.while_open(self.read_on(limit)).await;
        read.map_err(|failure| self.error("read", failure))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let sought = place(&self.handle, &self.slot, &self.stream, start, self.incarnation);
        let (prefetch, next) =
            self.handle.while_open(sought).await.map_err(|failure| self.error("seek", failure))?;
        (self.prefetch, self.next, self.alone) = (Some(prefetch), next, 0);
        self.ready.clear();
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}
