//! Finds the messages that a place in a channel is in the middle of.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use msgstream_core::Timestamp;
use msgstream_core::record::{Position, Record, Stamp};
use msgstream_core::transport::{
    ChannelReader, Limit, Result, Start, Transport, TransportExt as _,
};

use super::fetch::removed;
use super::held::is_over;
use super::part::{Id, Part};

/// Reads a channel up to a place, and knows which messages have parts before it and none of them the
/// last.
pub(super) struct Scan {
    transport: Arc<dyn Transport>,
    channel: Box<str>,
    reader: Box<dyn ChannelReader>,
    unread: VecDeque<Record>,
    /// Where the reader goes on.
    next: Position,
    open: Open,
    /// Up to where everything is counted in.
    at: Position,
}

/// The messages that aren't whole, by writer.
type Open = HashMap<u128, Message>;

#[derive(Clone, Debug)]
struct Message {
    id: Id,
    /// Where the first part stands that was read.
    first: Position,
    stamp: Option<Stamp>,
}

impl Scan {
    pub(super) async fn open(
        transport: Arc<dyn Transport>,
        channel: &str,
        start: Start,
    ) -> Result<Self> {
        let opened = transport.reader(channel, start).await;
        let reader = match removed(&opened) {
            Some(_) => transport.reader(channel, Start::Earliest).await?,
            None => opened?,
        };
        let (unread, open) = (VecDeque::new(), Open::new());
        let [next, at] = [Position::default(); 2];
        Ok(Self { transport, channel: channel.into(), reader, unread, next, open, at })
    }

    /// Returns the last position up to a place that no message goes over: all that have parts before it
    /// have their last part before it, too. Places must not go back.
    ///
    /// What was begun long ago and isn't whole by now never will be, and isn't counted.
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
    pub(super) async fn up_to(&mut self, place: Position, after: Duration) -> Result<Position> {
        self.read_up_to(place).await?;
        if !self.open.is_empty() {
            self.drop_abandoned(place, after).await?;
        }
        let firsts = self.open.values().map(|message| message.first);
        Ok(firsts.chain([place]).min().unwrap_or(place))
    }

    /// Returns whether everything before a place is counted in.
    pub(super) fn is_beyond(&self, place: Position) -> bool {
        self.at >= place
    }

    async fn read_up_to(&mut self, place: Position) -> Result<()> {
        loop {
            while let Some(record) = self.unread.pop_front_if(|record| record.position < place) {
                pass(&mut self.open, &record);
            }
            if !self.unread.is_empty() || self.next >= place {
                self.at = self.at.max(place);
                return Ok(());
            }
            let read = self.reader.read(Limit::default()).await;
            if removed(&read).is_some() {
                // Retention was faster. What it took can't be kept.
                self.reader.seek(Start::Earliest).await?;
                continue;
            }
            let read = read?;
            // If nothing comes for a while at the end, the place is in a gap without records.
            let is_over = read.records.is_empty() && read.caught_up;
            self.next = if is_over { read.next.max(place) } else { read.next };
            self.unread.extend(read.records);
        }
    }

    /// Drops what never will be whole of the messages that a place is in the middle of: what was begun
    /// long ago, and ends nowhere.
    async fn drop_abandoned(&mut self, place: Position, after: Duration) -> Result<()> {
        let time = SystemTime::now().checked_sub(after);
        let time = time.and_then(|time| Timestamp::from_system_time(time).ok());
        let Some(time) = time.filter(|_| self.transport.capabilities().seek_time) else {
            return Ok(());
        };
        let recent = position_of(&*self.transport, &self.channel, time).await?;
        let mut old = self.open.clone();
        old.retain(|_, message| message.first < recent);
        if old.is_empty() {
            return Ok(());
        }
        // One that ends after the place isn't abandoned.
        let end = self.transport.describe(&self.channel).await?.end;
        let mut ahead = self.transport.reader(&self.channel, Start::At(place)).await?;
        let (mut whole, mut at) = (Vec::new(), place);
        while !old.is_empty() && at < end {
            let batch = ahead.read(Limit::default()).await?;
            for record in &batch.records {
                let part = Part::of(record).ok().flatten();
                old.retain(|_, message| !message.is_over(part.as_ref(), record));
                if let Some(part) = part.filter(|part| part.last.is_some())
                    && old.get(&part.id.writer).is_some_and(|message| message.id == part.id)
                {
                    old.remove(&part.id.writer);
                    whole.push(part.id);
                }
            }
            at = if batch.caught_up { end } else { batch.next };
        }
        self.open.retain(|_, message| message.first >= recent || whole.contains(&message.id));
        Ok(())
    }
}

impl Message {
    fn is_over(&self, part: Option<&Part>, record: &Record) -> bool {
        is_over(self.id, self.stamp.as_ref(), part, record)
    }
}

/// Counts a record in.
fn pass(open: &mut Open, record: &Record) {
    let part = Part::of(record).ok().flatten();
    open.retain(|_, message| !message.is_over(part.as_ref(), record));
    let Some(Part { id, last, .. }) = part else { return };
    if last.is_some() {
        open.remove(&id.writer);
    } else {
        let (first, stamp) = (record.position, record.meta.stamp.clone());
        open.entry(id.writer).or_insert(Message { id, first, stamp });
    }
}

/// Returns where the first record stands that was appended at a time or later.
async fn position_of(
    transport: &dyn Transport,
    channel: &str,
    time: Timestamp,
) -> Result<Position> {
    let mut reader = transport.reader(channel, Start::Time(time)).await?;
    let batch = reader.read(Limit::default().with_records(1).with_wait(Duration::ZERO)).await?;
    Ok(batch.records.first().map_or(batch.next, |record| record.position))
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Scan");
        shown.field("reader", &self.reader).field("open", &self.open.len());
        shown.finish_non_exhaustive()
    }
}
