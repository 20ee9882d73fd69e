//! Reading.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp as WallClock;
use msgstream_core::transport::{
    ChannelReader, Copies, Incarnation, Limit, Position, ReadBatch, Record, Result, Retry, Start,
    TransportError, TransportErrorKind,
};
use msgstream_core::{MsgTypeNames, Timestamp};
use serde_json::{Value, json};
use tokio::task::coop;
use tokio::time::{Instant, timeout_at};

use crate::error::lost;
use crate::feed::Feed;
use crate::handle::Handle;
use crate::headers::decode;

/// 2200-01-01, in Unix milliseconds. The server counts nanoseconds in 64 bits, so that later times
/// would come out as earlier ones.
const LATEST_TIME: u64 = 7_258_118_400_000;

/// In place of a wait that no clock can count.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

#[derive(Debug)]
pub(crate) struct NatsReader {
    handle: Arc<Handle>,
    channel: String,
    stream: String,
    incarnation: Incarnation,
    names: MsgTypeNames,
    copies: Copies,
    /// Records that are not handed out yet.
    ready: VecDeque<Record>,
    /// The last of them had nothing behind it when it was sent.
    is_last: bool,
    /// The sequence after those.
    next: u64,
    /// `None` after a failure.
    feed: Option<Feed>,
}

impl NatsReader {
    /// Opens a reader; with an incarnation given, only on that one.
    pub(crate) async fn open(
        handle: Arc<Handle>,
        channel: &str,
        stream: String,
        start: Start,
        incarnation: Option<Incarnation>,
    ) -> Result<Self, TransportErrorKind> {
        let incarnation = match incarnation {
            Some(incarnation) => incarnation,
            None => handle.stream_info(&stream).await?.incarnation(),
        };
        let (feed, next) = place(&handle, &stream, start, incarnation).await?;
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
            feed: Some(feed),
        })
    }

    fn error(&self, operation: &'static str, kind: TransportErrorKind) -> TransportError {
        TransportError::new(operation, kind).on(&self.channel)
    }

    /// Reads, and opens the feed again where it is lost, for as long as an answer may take.
    async fn read_on(&mut self, limit: Limit) -> Result<ReadBatch, TransportErrorKind> {
        let now = Instant::now();
        let until = now.checked_add(limit.wait).unwrap_or(now + LONGEST_WAIT);
        let mut retry: Option<Retry> = None;
        loop {
            match self.read_once(limit, until).await {
                Ok(batch) => return Ok(batch),
                Err(kind) => {
                    self.feed = None;
                    let limit = self.handle.timeout();
                    retry.get_or_insert_with(|| Retry::new(limit)).after(kind).await?;
                }
            }
        }
    }

    async fn read_once(
        &mut self,
        limit: Limit,
        until: Instant,
    ) -> Result<ReadBatch, TransportErrorKind> {
        if self.feed.is_none() {
            let start = Start::At(Position::new(self.next));
            let (feed, _) = place(&self.handle, &self.stream, start, self.incarnation).await?;
            self.feed = Some(feed);
        }
        loop {
            let Some(feed) = &mut self.feed else { return Err(lost()) };
            feed.ask().await?;
            if self.ready.is_empty()
                && let Some(sequence) = feed.peek()?.map(|delivery| delivery.sequence)
                && sequence != self.next
            {
                self.cross_gap(sequence).await?;
            }
            self.gather(limit)?;
            if !self.ready.is_empty() {
                return Ok(self.hand_out(limit).await);
            }
            let Some(feed) = &mut self.feed else { return Err(lost()) };
            match timeout_at(until, feed.wait()).await {
                Ok(waited) => waited?,
                Err(_) => return self.look_for_end().await,
            }
        }
    }

    /// Makes records of what has arrived, up to the limit and the next gap.
    fn gather(&mut self, limit: Limit) -> Result<(), TransportErrorKind> {
        let Some(feed) = &mut self.feed else { return Err(lost()) };
        let mut bytes: usize = self.ready.iter().map(Record::footprint).sum();
        while self.ready.len() < limit.records.max(1) && bytes < limit.bytes.max(1) {
            let delivery = match feed.peek() {
                Ok(Some(delivery)) if delivery.sequence == self.next => delivery,
                Ok(_) => break,
                // What was taken before comes first; the next call meets the error again.
                Err(_) if !self.ready.is_empty() => break,
                Err(kind) => return Err(kind),
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
            feed.pop();
        }
        self.is_last &= !matches!(feed.peek(), Ok(Some(_)));
        Ok(())
    }

    /// Gives records that are ready. They stay where they are while the end is asked for, so that a
    /// cancelled call loses none.
    async fn hand_out(&mut self, limit: Limit) -> ReadBatch {
        // A record may have been the last when it was sent, and not be it any more.
        let is_end = self.is_last
            && match self.handle.stream_info(&self.stream).await {
                Ok(info) => {
                    info.check(self.incarnation, self.next).is_ok() && info.end() == self.next
                }
                // The next call meets the error again.
                Err(_) => false,
            };
        let count = limit.count(&self.ready);
        let records: Vec<_> = self.ready.drain(..count).collect();
        let next = self.ready.front().map_or(Position::new(self.next), |record| record.position);
        ReadBatch::new(records, next, is_end && self.ready.is_empty())
    }

    /// Goes to the sequence behind a gap, where single messages were deleted. Where retention made
    /// the gap, that is an error.
    async fn cross_gap(&mut self, sequence: u64) -> Result<(), TransportErrorKind> {
        self.handle.stream_info(&self.stream).await?.check(self.incarnation, self.next)?;
        if sequence < self.next {
            let reason = format!("message {sequence} came after {} was expected", self.next);
            return Err(TransportErrorKind::Unavailable { reason });
        }
        self.next = sequence;
        Ok(())
    }

    /// Asks whether there is nothing more, where nothing came.
    async fn look_for_end(&mut self) -> Result<ReadBatch, TransportErrorKind> {
        let info = self.handle.stream_info(&self.stream).await?;
        info.check(self.incarnation, self.next)?;
        let mut caught_up = info.end() == self.next;
        if let (false, Some(feed)) = (caught_up, &mut self.feed) {
            let consumer = feed.info(&self.handle).await?;
            let all_sent = consumer.num_pending == 0;
            let all_here = consumer.delivered.consumer_seq == feed.received();
            // Nothing is left up to that end, so what stood there was deleted.
            if all_sent && all_here && feed.peek()?.is_none() {
                self.next = info.end();
                caught_up = true;
            }
        }
        Ok(ReadBatch::new(Vec::new(), Position::new(self.next), caught_up))
    }
}

/// Opens a feed at a start, and gives its first sequence.
async fn place(
    handle: &Handle,
    stream: &str,
    start: Start,
    incarnation: Incarnation,
) -> Result<(Feed, u64), TransportErrorKind> {
    let (policy, asked) = policy(start)?;
    let (feed, first) = Feed::open(handle, stream, policy).await?;
    // After the consumer is there: it stays with the stream on which it was made.
    let info = handle.stream_info(stream).await?;
    let next = asked.unwrap_or(first);
    info.check(incarnation, next)?;
    Ok((feed, next))
}

/// Where a consumer begins, in the server's words, and the sequence that was asked for.
fn policy(start: Start) -> Result<(Value, Option<u64>), TransportErrorKind> {
    let at = |next: u64| {
        let policy = json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": next });
        (policy, Some(next))
    };
    Ok(match start {
        Start::Earliest => (json!({ "deliver_policy": "all" }), None),
        Start::Latest => (json!({ "deliver_policy": "new" }), None),
        // Sequences begin at 1.
        Start::At(position) => at(sequence(position)?.max(1)),
        Start::After(position) => at(sequence(position)?.saturating_add(1)),
        Start::Time(time) => {
            let time = wall_clock(time)?.to_string();
            (json!({ "deliver_policy": "by_start_time", "opt_start_time": time }), None)
        }
        other => {
            let reason = format!("this transport can't start at {other:?}");
            return Err(TransportErrorKind::Config { reason });
        }
    })
}

fn wall_clock(time: Timestamp) -> Result<WallClock, TransportErrorKind> {
    let ms = time.physical_ms().min(LATEST_TIME);
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    WallClock::from_millisecond(ms)
        .map_err(|e| TransportErrorKind::Config { reason: format!("the time can't be used: {e}") })
}

/// The sequence that a position stands for.
pub(crate) fn sequence(position: Position) -> Result<u64, TransportErrorKind> {
    match position.words() {
        [sequence, 0, 0] => Ok(sequence),
        _ => Err(TransportErrorKind::Config {
            reason: format!(
                "position {position} is not of a JetStream stream: those are single numbers"
            ),
        }),
    }
}

#[async_trait]
impl ChannelReader for NatsReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        let handle = Arc::clone(&self.handle);
        let read = handle.while_open(self.read_on(limit)).await;
        read.map_err(|kind| self.error("read", kind))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let sought = place(&self.handle, &self.stream, start, self.incarnation);
        let (feed, next) =
            self.handle.while_open(sought).await.map_err(|kind| self.error("seek", kind))?;
        (self.feed, self.next) = (Some(feed), next);
        self.ready.clear();
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn position_0_is_the_first_sequence() {
        assert_eq!(policy(Start::At(Position::new(0))).unwrap().1, Some(1));
        assert_eq!(policy(Start::After(Position::new(0))).unwrap().1, Some(1));
        assert_eq!(policy(Start::At(Position::new(7))).unwrap().1, Some(7));
    }

    #[test]
    fn positions_of_other_transports_are_refused() {
        assert!(policy(Start::At(Position::MAX)).is_err());
        assert!(policy(Start::After(Position::from_words([1, 2, 0]))).is_err());
    }

    #[test]
    fn all_times_are_within_what_the_server_can_count() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let clock = wall_clock(time).unwrap();
            assert!(i64::try_from(clock.as_nanosecond()).is_ok(), "{clock}");
        }
    }
}
