//! The writers of a producer, and what is in flight on them.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::encode::{Encoded, encode};
use super::outcome::{PackReceipt, Produced};
use super::session::ended::is_ended;
use super::session::{Counts, Opened, Session, SessionConfig, SessionWriter, open};
use crate::error::{Error, ProduceError, Result};
use crate::message::{MsgPack, TimeTickMsg};
use crate::planted::{Bug, planted};
use crate::record::{END_HEADER, is_end};
use crate::record::{Header, Record, Stamp};
use crate::record::{MsgType, Timestamp};
use crate::repack::{HashKeys, Repack, RepackError};
use crate::transport::{AT_A_TIME, ChannelWriter, Receipt, Transport, TransportErrorKind};

/// A batch for one channel, by the channel's index.
type Batch = (usize, Encoded);

/// Writes packs to a fixed list of channels.
#[derive(Debug)]
pub(crate) struct Writers {
    channels: Vec<Channel>,
    /// Receipts in the order of submission, from the first that isn't known to be complete.
    in_flight: VecDeque<PackReceipt>,
    /// The first failure; the writers of its channels are poisoned.
    failed: Option<ProduceError>,
    session: Option<Session>,
}

#[derive(Debug)]
struct Channel {
    name: Arc<str>,
    writer: Writer,
    /// An end was submitted.
    ended: bool,
}

impl Channel {
    const fn new(name: Arc<str>, writer: Writer) -> Self {
        Self { name, writer, ended: false }
    }
}

#[derive(Debug)]
enum Writer {
    Plain(Box<dyn ChannelWriter>),
    Session(SessionWriter),
}

impl Writer {
    fn as_ref(&self) -> &dyn ChannelWriter {
        match self {
            Self::Plain(writer) => &**writer,
            Self::Session(writer) => writer,
        }
    }

    fn as_mut(&mut self) -> &mut dyn ChannelWriter {
        match self {
            Self::Plain(writer) => &mut **writer,
            Self::Session(writer) => writer,
        }
    }

    fn submit(&mut self, batch: Encoded) -> Receipt {
        match self {
            Self::Plain(writer) => writer.submit(batch.records),
            Self::Session(writer) => writer.submit_sharing(batch.records, batch.buffers),
        }
    }
}

impl Writers {
    pub(crate) async fn open(transport: &dyn Transport, channels: &[&str]) -> Result<Self> {
        let open = |channel: &&str| {
            let name = Arc::<str>::from(*channel);
            // Boxed: a future of this very type keeps the caller's from being `Send`.
            async move {
                let writer = transport.writer(&name).await?;
                if has_ended(transport, &name).await? {
                    return Err(Error::Ended { channel: name.to_string() });
                }
                Ok(Channel::new(name, Writer::Plain(writer)))
            }
            .boxed()
        };
        let opening: Vec<_> = channels.iter().map(open).collect();
        let channels = stream::iter(opening).buffered(AT_A_TIME).try_collect().await?;
        Ok(Self::new(channels, None))
    }

    /// Opens a session on channels.
    pub(crate) async fn with_session(
        transport: &Arc<dyn Transport>,
        config: SessionConfig,
        channels: &[&str],
        counts: &Counts,
    ) -> Result<(Self, Opened)> {
        let (session, writers, opened) = open::open(transport, config, channels, counts).await?;
        let channels =
            writers.into_iter().map(|(name, writer)| Channel::new(name, Writer::Session(writer)));
        Ok((Self::new(channels.collect(), Some(session)), opened))
    }

    const fn new(channels: Vec<Channel>, session: Option<Session>) -> Self {
        Self { channels, in_flight: VecDeque::new(), failed: None, session }
    }

    /// Checks that what was acknowledged counts.
    pub(crate) async fn confirm(&mut self) -> Result<()> {
        let none = Error::NoSession { operation: "confirm" };
        self.session.as_mut().ok_or(none)?.confirm().await
    }

    /// Waits until every writer accepts another batch.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.alive()?;
        for channel in &mut self.channels {
            channel.writer.as_mut().ready().await?;
        }
        Ok(())
    }

    pub(crate) async fn produce(&mut self, pack: MsgPack, repack: &dyn Repack) -> Result<Produced> {
        let batches = self.split(pack, repack)?;
        for (channel, _) in &batches {
            self.channels[*channel].writer.as_mut().ready().await?;
        }
        self.send(batches).await
    }

    pub(crate) fn submit(&mut self, pack: MsgPack, repack: &dyn Repack) -> Result<PackReceipt> {
        let batches = self.split(pack, repack)?;
        Ok(self.send(batches))
    }

    pub(crate) async fn broadcast(&mut self, pack: &MsgPack) -> Result<Produced> {
        let records = encode(&pack.msgs, self.stamp().as_ref()).records;
        let batches = self.to_all(&records)?;
        self.ready().await?;
        self.send(batches).await
    }

    /// Writes a tick to every channel once everything submitted is stored; with `end`, as the
    /// channels' last record.
    pub(crate) async fn tick(&mut self, ts: Timestamp, end: bool) -> Result<Produced> {
        let mut records = encode(&[TimeTickMsg::new(ts).into()], self.stamp().as_ref()).records;
        if end {
            records.iter_mut().for_each(|r| r.extra.push(Header::new(END_HEADER, "1")));
        }
        let batches = self.to_all(&records)?;
        if !planted(Bug::EarlyTick) {
            self.settle().await?;
        }
        self.ready().await?;
        self.send(batches).await
    }

    /// Writes records to one channel, by its index.
    pub(crate) async fn write(&mut self, channel: usize, records: Vec<Record>) -> Result<Produced> {
        self.check(channel, &records)?;
        self.channels[channel].writer.as_mut().ready().await?;
        self.send(vec![(channel, records.into())]).await
    }

    /// Checks that the writer of a channel, by its index, accepts a record.
    pub(crate) fn takes(&self, channel: usize, record: &Record) -> Result<()> {
        self.check(channel, std::slice::from_ref(record))
    }

    /// Waits for all receipts and closes the writers.
    pub(crate) async fn close(&mut self) -> Result<()> {
        let mut result = self.settle().await;
        let closing: Vec<_> = self.channels.iter_mut().map(|c| c.writer.as_mut().close()).collect();
        let mut closing = stream::iter(closing).buffered(AT_A_TIME);
        while let Some(closed) = closing.next().await {
            result = result.and(closed.map_err(Error::from));
        }
        drop(closing);
        if let Some(session) = &mut self.session {
            result = result.and(session.close().await);
        }
        result
    }

    /// Assigns each message to a channel and encodes it. Nothing is sent yet.
    fn split(&self, pack: MsgPack, repack: &dyn Repack) -> Result<Vec<Batch>> {
        self.alive()?;
        let keys = HashKeys::of_messages(&pack.msgs);
        let messages = pack.msgs.len();
        let channels = self.channels.len();
        let mut batches = Vec::new();
        for (channel, pack) in repack.repack(pack.msgs, &keys, channels)? {
            if channel >= channels {
                return Err(RepackError::NoSuchChannel { channel, channels }.into());
            }
            if !pack.msgs.is_empty() {
                let encoded = encode(&pack.msgs, self.stamp().as_ref());
                no_last_tick(&encoded.records)?;
                self.check(channel, &encoded.records)?;
                batches.push((channel, encoded));
            }
        }
        if batches.is_empty() && messages > 0 {
            return Err(RepackError::NoChannel { messages }.into());
        }
        Ok(batches)
    }

    /// Returns a batch of all records for every channel.
    fn to_all(&self, records: &[Record]) -> Result<Vec<Batch>> {
        self.alive()?;
        no_last_tick(records)?;
        (0..self.channels.len())
            .map(|channel| {
                self.check(channel, records)?;
                Ok((channel, records.to_vec().into()))
            })
            .collect()
    }

    /// Returns the session's stamp, if there is a session.
    fn stamp(&self) -> Option<Stamp> {
        self.session.as_ref().map(Session::stamp)
    }

    /// Fails if the session was fenced.
    fn alive(&self) -> Result<()> {
        self.session.as_ref().map_or(Ok(()), Session::alive)
    }

    /// Refuses, before anything is sent, what readers wouldn't deliver or the writer wouldn't
    /// accept.
    fn check(&self, channel: usize, records: &[Record]) -> Result<()> {
        let Channel { name, writer, ended } = &self.channels[channel];
        let after_end = records.split_last().is_some_and(|(_, before)| before.iter().any(is_end));
        if *ended || after_end {
            return Err(Error::Ended { channel: name.to_string() });
        }
        Ok(writer.as_ref().check(records)?)
    }

    fn send(&mut self, batches: Vec<Batch>) -> PackReceipt {
        while let Some(outcome) = self.in_flight.front().and_then(|r| r.clone().now_or_never()) {
            self.note(outcome);
        }
        let receipts = batches.into_iter().map(|(channel, batch)| {
            let Channel { name, writer, ended } = &mut self.channels[channel];
            // A copy of an end ends the channel, too.
            *ended |= batch.records.last().is_some_and(is_end);
            (name.clone(), batch.records.len(), writer.submit(batch))
        });
        let receipt = PackReceipt::new(receipts.collect());
        self.in_flight.push_back(receipt.clone());
        receipt
    }

    /// Waits for all receipts, whether or not the caller awaits them.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        while let Some(receipt) = self.in_flight.front() {
            let outcome = receipt.clone().await;
            self.note(outcome);
        }
        self.failed.clone().map_or(Ok(()), |error| Err(Error::Produce(error)))
    }

    /// Applies the outcome of what is first in flight.
    fn note(&mut self, outcome: Result<Produced>) {
        self.in_flight.pop_front();
        if let Err(Error::Produce(error)) = outcome {
            self.failed.get_or_insert(error);
        }
    }
}

/// Returns whether a channel has ended; false if it can't be read, or a reader can't begin near the
/// end.
async fn has_ended(transport: &dyn Transport, channel: &str) -> Result<bool> {
    match is_ended(transport, channel).await {
        Err(error)
            if matches!(
                error.kind(),
                TransportErrorKind::Denied { .. } | TransportErrorKind::Unsupported { .. }
            ) =>
        {
            tracing::debug!(
                channel,
                error = &error as &(dyn StdError + 'static),
                "the channel can't be read, so its end can't be detected"
            );
            Ok(false)
        }
        ended => Ok(ended?),
    }
}

/// Refuses a tick that would be the last of its channel for good.
fn no_last_tick(records: &[Record]) -> Result<()> {
    let last =
        |r: &Record| r.meta.msg_type == MsgType::TIME_TICK && r.meta.timestamp == Timestamp::MAX;
    if records.iter().any(last) { Err(Error::LastTick) } else { Ok(()) }
}
