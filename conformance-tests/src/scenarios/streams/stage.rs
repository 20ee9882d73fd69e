//! What the scenarios of streams share: logs to write, streams to read them, and what was seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use msgstream_core::consume::ConsumerStatus;
use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{Blob, InsertRequest};
use msgstream_core::record::Position;
use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{
    Checkpoint, ConsumerConfig, Error, LatePolicy, Message, MsgPack, MsgType, StoredMessage,
    TickSource, Timestamp, TtMsgStream,
};
use tokio::time::timeout;

use crate::{Failure, Harness, Verdict};

/// What is written to a channel, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Msg(u64),
    Tick(u64),
    End(u64),
}

/// New channels on a handle of their own.
pub(super) struct Stage {
    pub(super) transport: Arc<dyn Transport>,
    /// Sorted: where times are equal, packs are in this order.
    pub(super) channels: Vec<String>,
    /// How many messages were written to each.
    written: Vec<AtomicI64>,
}

impl Stage {
    pub(super) async fn new(harness: &dyn Harness, channels: usize) -> Result<Self, Failure> {
        let transport = harness.open().await?;
        let mut names = Vec::new();
        for _ in 0..channels {
            names.push(crate::kit::channel(&*transport, harness).await?);
        }
        names.sort();
        let written = names.iter().map(|_| AtomicI64::new(0)).collect();
        Ok(Self { transport, channels: names, written })
    }

    /// The same with a log in each channel, written one after the other.
    pub(super) async fn with(harness: &dyn Harness, logs: &[&[Entry]]) -> Result<Self, Failure> {
        let stage = Self::new(harness, logs.len()).await?;
        for (channel, log) in logs.iter().enumerate() {
            stage.write(channel, log).await?;
        }
        Ok(stage)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.channels.iter().map(String::as_str).collect()
    }

    /// A started producer to one channel, or to all of them.
    pub(super) async fn producer(&self, channels: &[&str]) -> Result<MsgStream, Failure> {
        let mut stream = MsgStream::new(Arc::clone(&self.transport));
        stream.set_allow_late(true);
        stream.create_producers(channels).await?;
        stream.start()?;
        Ok(stream)
    }

    /// Writes a log with a producer of its own, and returns the position of each entry.
    pub(super) async fn write(
        &self,
        channel: usize,
        log: &[Entry],
    ) -> Result<Vec<Position>, Failure> {
        let name = &*self.channels[channel];
        let mut producer = self.producer(&[name]).await?;
        let mut positions = Vec::new();
        for run in log.chunk_by(|a, b| matches!((a, b), (Entry::Msg(_), Entry::Msg(_)))) {
            let produced = match run[0] {
                Entry::Tick(ts) => producer.tick(Timestamp(ts)).await?,
                Entry::End(ts) => producer.end(Timestamp(ts)).await?,
                Entry::Msg(_) => producer.produce(self.pack(channel, run)).await?,
            };
            positions.extend_from_slice(produced.positions(name));
        }
        producer.close().await?;
        Ok(positions)
    }

    fn pack(&self, channel: usize, run: &[Entry]) -> MsgPack {
        let message = |entry: &Entry| {
            let (Entry::Msg(ts) | Entry::Tick(ts) | Entry::End(ts)) = *entry;
            let count = self.written[channel].fetch_add(1, Ordering::Relaxed);
            message(ts, channel as i64 * 1_000_000 + count)
        };
        run.iter().map(message).collect()
    }

    /// A started stream of all channels from their beginning.
    pub(super) async fn consumer(&self, config: ConsumerConfig) -> Result<TtMsgStream, Failure> {
        self.consumer_from(config, Start::Earliest).await
    }

    pub(super) async fn consumer_from(
        &self,
        config: ConsumerConfig,
        start: Start,
    ) -> Result<TtMsgStream, Failure> {
        let mut stream = TtMsgStream::new(Arc::clone(&self.transport), config)?;
        stream.create_consumers(None, &self.names(), start).await?;
        stream.start()?;
        Ok(stream)
    }

    /// Returns a started stream that continues where a pack began or ended.
    pub(super) async fn resumed(&self, from: &Checkpoint) -> Result<TtMsgStream, Error> {
        let mut stream = TtMsgStream::new(Arc::clone(&self.transport), ConsumerConfig::default())?;
        stream.resume(None, from, |_| TickSource::Written).await?;
        stream.start()?;
        Ok(stream)
    }

    /// All packs of channels that have ended.
    pub(super) async fn all(&self, config: ConsumerConfig) -> Result<Vec<MsgPack>, Failure> {
        to_end(&mut self.consumer(config).await?).await
    }
}

/// An insert of one row.
pub(super) fn message(ts: u64, number: i64) -> InsertMsg {
    let row = Blob { value: format!("row {number} {}", "x".repeat(100)).into() };
    let request = InsertRequest {
        timestamps: vec![ts],
        row_ids: vec![number],
        row_data: vec![row],
        ..Default::default()
    };
    InsertMsg::new(request).with_msg_id(number).with_hash_keys([0])
}

/// The next pack, which must follow the one before and hold its own interval only, in order.
pub(super) async fn next(stream: &mut TtMsgStream) -> Result<Option<MsgPack>, Failure> {
    let before = stream.checkpoint();
    let Some(pack) = stream.consume().await? else { return Ok(None) };
    ensure_eq!(pack.begin_ts, before.frontier, "the begin of the pack up to {}", pack.end_ts);
    ensure!(pack.begin_ts < Some(pack.end_ts), "a pack up to {} again", pack.end_ts);
    ensure!(pack.end == stream.checkpoint(), "the end of a pack is another than the stream's");
    // One that can't be read has no time of its own.
    let has_time = |m: &&Message| !m.is_late() && m.msg_type() != MsgType::UNREADABLE;
    let in_time = || pack.msgs.iter().filter(has_time);
    for msg in in_time() {
        let inside = pack.begin_ts < Some(msg.end_ts()) && msg.end_ts() <= pack.end_ts;
        ensure!(inside, "{} in the pack {:?}..={}", msg.end_ts(), pack.begin_ts, pack.end_ts);
    }
    let sorted = in_time().is_sorted_by_key(|m| (m.end_ts(), m.channel(), m.position()));
    ensure!(sorted, "the pack up to {} isn't sorted: {:?}", pack.end_ts, pack.msgs);
    Ok(Some(pack))
}

/// So many packs.
pub(super) async fn take(stream: &mut TtMsgStream, packs: usize) -> Result<Vec<MsgPack>, Failure> {
    let mut taken = Vec::new();
    while taken.len() < packs {
        match next(stream).await? {
            Some(pack) => taken.push(pack),
            None => return Err(Failure::new(format!("an end after {:?}", times(&taken)))),
        }
    }
    Ok(taken)
}

/// All packs to the stream's end.
pub(super) async fn to_end(stream: &mut TtMsgStream) -> Result<Vec<MsgPack>, Failure> {
    let mut packs = Vec::new();
    while let Some(pack) = next(stream).await? {
        packs.push(pack);
    }
    Ok(packs)
}

/// Polls a stream that must not return a pack, until it is as wanted.
pub(super) async fn waits_until(
    stream: &mut TtMsgStream,
    wanted: impl Fn(&ConsumerStatus) -> bool,
) -> Verdict {
    while !wanted(&stream.status()) {
        // Dropped and polled again: time decides nothing but how often the status is looked at.
        if let Ok(given) = timeout(Duration::from_millis(5), next(stream)).await {
            let packs: Vec<_> = given?.into_iter().collect();
            return Err(Failure::new(format!("packs too early: {:?}", times(&packs))));
        }
    }
    Ok(())
}

/// The end of each pack, and the times in it.
pub(super) fn times(packs: &[MsgPack]) -> Vec<(u64, Vec<u64>)> {
    let times = |pack: &MsgPack| pack.msgs.iter().map(|m| m.end_ts().0).collect();
    packs.iter().map(|pack| (pack.end_ts.0, times(pack))).collect()
}

/// What [`times`] should return.
pub(super) fn expected<const N: usize>(packs: [(u64, &[u64]); N]) -> Vec<(u64, Vec<u64>)> {
    packs.into_iter().map(|(end, times)| (end, times.to_vec())).collect()
}

/// The messages' ids, sorted: what was delivered, in whatever pack.
pub(super) fn ids(packs: &[MsgPack]) -> Vec<i64> {
    let stored = packs.iter().flat_map(|pack| &pack.msgs).filter_map(Message::stored);
    let mut ids: Vec<_> = stored.map(|m| m.record.meta.msg_id).collect();
    ids.sort_unstable();
    ids
}

/// Fails where packs aren't the same in every byte, position and checkpoint.
pub(super) fn same(got: &[MsgPack], wanted: &[MsgPack], what: &str) -> Verdict {
    ensure_eq!(times(got), times(wanted), "{what}");
    for (got, wanted) in got.iter().zip(wanted) {
        let end = got.end_ts;
        let stored = |pack: &MsgPack| -> Vec<Option<StoredMessage>> {
            pack.msgs.iter().map(|m| m.stored().cloned()).collect()
        };
        ensure_eq!(got.begin_ts, wanted.begin_ts, "{what}: the begin of the pack up to {end}");
        ensure_eq!(stored(got), stored(wanted), "{what}: the messages of the pack up to {end}");
        ensure_eq!(got.end, wanted.end, "{what}: the checkpoint after the pack up to {end}");
    }
    Ok(())
}

/// Returns a config in which late records are no error.
pub(super) fn delivering() -> ConsumerConfig {
    ConsumerConfig::default().with_late_policy(LatePolicy::Deliver)
}
