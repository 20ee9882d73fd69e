//! The writers of a producer, and what is in flight on them.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::encode::{Encoded, encode};
use super::outcome::{PackReceipt, Produced};
use super::session::ended::is_ended;
use super::session::{Counts, Opened, QueueWriter, Session, SessionConfig, open};
use crate::error::{Error, ProduceError, Result};
use crate::message::{MsgPack, TimeTickMsg};
use crate::planted::{Bug, planted};
use crate::record::{END_HEADER, is_end};
use crate::record::{Header, Record, Stamp};
use crate::record::{MsgType, Timestamp};
use crate::repack::{HashKeys, Repack, RepackError};
use crate::transport::{AT_A_TIME, ChannelWriter as _, Receipt, Transport, TransportErrorKind};

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
    rules: TickRules,
}

#[derive(Debug)]
struct Channel {
    name: Arc<str>,
    writer: QueueWriter,
    /// The greatest tick that was submitted, or was there when the session was opened: messages must
    /// be after it. `None` if there is none, or they needn't.
    promised: Option<Timestamp>,
    /// An end was submitted.
    ended: bool,
}

/// How a producer writes ticks, and messages beside them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickRules {
    /// How many bytes of messages are sent ahead of a tick that waits.
    pub(crate) overtake_bytes: usize,
    /// Messages behind a tick are written, too.
    pub(crate) allow_late: bool,
}

impl Default for TickRules {
    fn default() -> Self {
        Self { overtake_bytes: 1 << 20, allow_late: false }
    }
}

impl Writers {
    pub(crate) async fn open(
        transport: &dyn Transport,
        channels: &[&str],
        rules: TickRules,
    ) -> Result<Self> {
        in_runtime()?;
        let open = |channel: &&str| {
            let name = Arc::<str>::from(*channel);
            // Boxed: a future of this very type keeps the caller's from being `Send`.
            async move {
                let writer = transport.writer(&name).await?;
                if has_ended(transport, &name).await? {
                    return Err(Error::Ended { channel: name.to_string() });
                }
                let writer = QueueWriter::plain(name.clone(), writer, rules.overtake_bytes);
                Ok(Channel { name, writer, promised: None, ended: false })
            }
            .boxed()
        };
        let opening: Vec<_> = channels.iter().map(open).collect();
        let channels = stream::iter(opening).buffered(AT_A_TIME).try_collect().await?;
        Ok(Self::new(channels, None, rules))
    }

    /// Opens a session on channels.
    pub(crate) async fn with_session(
        transport: &Arc<dyn Transport>,
        config: SessionConfig,
        channels: &[&str],
        counts: &Counts,
        rules: TickRules,
    ) -> Result<(Self, Opened)> {
        in_runtime()?;
        let overtake = rules.overtake_bytes;
        let opening = open::open(transport, config, channels, counts, overtake);
        let (session, writers, opened) = opening.await?;
        let channels = writers.into_iter().map(|(name, writer)| {
            let promised = opened.watermarks.get(&name).copied();
            let promised =
                promised.filter(|ts| *ts > Timestamp::MIN && !planted(Bug::PromisesForgotten));
            Channel { name, writer, promised, ended: false }
        });
        Ok((Self::new(channels.collect(), Some(session), rules), opened))
    }

    const fn new(channels: Vec<Channel>, session: Option<Session>, rules: TickRules) -> Self {
        Self { channels, in_flight: VecDeque::new(), failed: None, session, rules }
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
            channel.writer.ready().await?;
        }
        Ok(())
    }

    pub(crate) async fn produce(&mut self, pack: MsgPack, repack: &dyn Repack) -> Result<Produced> {
        let batches = self.split(pack, repack)?;
        for (channel, _) in &batches {
            self.channels[*channel].writer.ready().await?;
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

    /// Writes a tick to every channel once everything submitted is stored, and waits until all have
    /// it.
    pub(crate) async fn tick(&mut self, ts: Timestamp) -> Result<Produced> {
        let batches = self.all_stored(&self.tick_records(ts)).await?;
        self.send_ticks(batches).await
    }

    /// Hands a tick to every channel's writer.
    pub(crate) fn submit_tick(&mut self, ts: Timestamp) -> Result<PackReceipt> {
        let batches = self.to_all(&self.tick_records(ts))?;
        Ok(self.send_ticks(batches))
    }

    /// Refuses messages at or before a time from here on.
    pub(crate) fn promise(&mut self, ts: Timestamp) {
        for channel in &mut self.channels {
            channel.promised = channel.promised.max(Some(ts));
        }
    }

    /// Writes the channels' last record once everything submitted is stored.
    pub(crate) async fn end(&mut self, ts: Timestamp) -> Result<Produced> {
        let mut records = self.tick_records(ts);
        records.iter_mut().for_each(|r| r.extra.push(Header::new(END_HEADER, "1")));
        let batches = self.all_stored(&records).await?;
        self.send(batches).await
    }

    /// Waits until everything submitted is stored on all channels, and returns a batch of records
    /// for each.
    async fn all_stored(&mut self, records: &[Record]) -> Result<Vec<Batch>> {
        let batches = self.to_all(records)?;
        if !planted(Bug::EarlyTick) {
            self.settle().await?;
        }
        self.ready().await?;
        Ok(batches)
    }

    fn tick_records(&self, ts: Timestamp) -> Vec<Record> {
        encode(&[TimeTickMsg::new(ts).into()], self.stamp().as_ref()).records
    }

    /// Writes records to one channel, by its index.
    pub(crate) async fn write(&mut self, channel: usize, records: Vec<Record>) -> Result<Produced> {
        self.check(channel, &records)?;
        self.channels[channel].writer.ready().await?;
        self.send(vec![(channel, records.into())]).await
    }

    /// Checks that the writer of a channel, by its index, accepts a record.
    pub(crate) fn takes(&self, channel: usize, record: &Record) -> Result<()> {
        self.check(channel, std::slice::from_ref(record))
    }

    /// Waits for all receipts and closes the writers.
    pub(crate) async fn close(&mut self) -> Result<()> {
        let mut result = self.settle().await;
        let closing: Vec<_> = self.channels.iter_mut().map(|c| c.writer.close()).collect();
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
        let Channel { name, writer, promised, ended } = &self.channels[channel];
        let after_end = records.split_last().is_some_and(|(_, before)| before.iter().any(is_end));
        if *ended || after_end {
            return Err(Error::Ended { channel: name.to_string() });
        }
        if !self.rules.allow_late && !planted(Bug::WrittenLate) {
            not_behind(name, *promised, records)?;
        }
        Ok(writer.check(records)?)
    }

    fn send(&mut self, batches: Vec<Batch>) -> PackReceipt {
        self.submit_by(batches, |writer, batch| writer.submit_sharing(batch.records, batch.buffers))
    }

    /// Sends ticks that messages may be sent ahead of.
    fn send_ticks(&mut self, batches: Vec<Batch>) -> PackReceipt {
        self.submit_by(batches, |writer, tick| writer.submit_tick(tick.records))
    }

    fn submit_by(
        &mut self,
        batches: Vec<Batch>,
        submit: impl Fn(&mut QueueWriter, Encoded) -> Receipt,
    ) -> PackReceipt {
        while let Some(outcome) = self.in_flight.front().and_then(|r| r.clone().now_or_never()) {
            self.note(outcome);
        }
        let receipts = batches.into_iter().map(|(channel, batch)| {
            let Channel { name, writer, promised, ended } = &mut self.channels[channel];
            // A copy of an end ends the channel, too.
            *ended |= batch.records.last().is_some_and(is_end);
            *promised = promise(*promised, &batch.records);
            let records = batch.records.len();
            (name.clone(), records, submit(writer, batch))
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

/// Returns the greatest tick after these records were submitted.
fn promise(promised: Option<Timestamp>, records: &[Record]) -> Option<Timestamp> {
    let ticks = records.iter().filter(|record| record.is_tick());
    promised.max(ticks.map(|tick| tick.meta.timestamp).max())
}

/// Refuses a message that isn't after a tick that was submitted before it. A message without a time
/// that can be read isn't late, and neither is a tick of a virtual channel, which promises nothing
/// here.
fn not_behind(channel: &str, promised: Option<Timestamp>, records: &[Record]) -> Result<()> {
    let mut promised = promised;
    for record in records {
        let (msg_type, ts) = (record.meta.msg_type, record.meta.timestamp);
        match promised {
            _ if record.is_tick() => promised = promised.max(Some(ts)),
            _ if matches!(msg_type, MsgType::TIME_TICK | MsgType::UNREADABLE) => {}
            Some(tick) if ts <= tick => {
                return Err(Error::BehindTick { channel: channel.to_owned(), ts, tick });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fails outside of a tokio runtime: writers have tasks.
fn in_runtime() -> Result<()> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Config {
            reason: "the producer was opened outside of a tokio runtime: open it in one".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
