//! Readers that join parts.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, Transport, TransportError,
    TransportErrorKind as Kind,
};
use tokio::time::Instant;

use super::beginning::Beginning;
use super::fetch::{Fetch, Found, removed};
use super::held::Held;
use super::part::{HEADER, Last, Part, unreadable_part, whole};
use super::{Counters, Sizes};
use crate::planted::{Bug, planted};

/// What a record is that was read.
enum Read {
    Plain,
    Part(Part),
    /// It says that it is a part, and nothing can be made of it.
    Bad(String),
}

/// What becomes of a record.
enum Shown {
    AsItIs,
    /// It is the last part of a message whose other parts are there.
    Whole(Part, Last),
    Unreadable(String),
    /// It is a part, which isn't the last one.
    Held(Part),
    /// It is the last part of a message that was removed before the reader came.
    PassedOver,
    /// It is the last part of a message that was removed though the reader had to read it.
    Removed,
    /// The parts before this last one have to be read.
    Unknown(Part),
}

/// A reader that hands out the last part of a message as the message, and no other part.
pub(super) struct JoiningReader {
    inner: Box<dyn ChannelReader>,
    transport: Arc<dyn Transport>,
    channel: Box<str>,
    sizes: Sizes,
    counters: Arc<Counters>,
    held: Held,
    /// What was read and is neither handed out nor held.
    unread: VecDeque<(Record, Read)>,
    /// Where the reader underneath goes on.
    next: Position,
    beginning: Beginning,
    /// A seek began and hasn't returned.
    moving: bool,
    /// Reads the parts before the first record of `unread`, which is a last part.
    fetch: Option<Fetch>,
    /// What came of that.
    found: Option<Found>,
}

impl JoiningReader {
    pub(super) fn new(
        inner: Box<dyn ChannelReader>,
        transport: Arc<dyn Transport>,
        channel: &str,
        start: Start,
        sizes: Sizes,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            inner,
            transport,
            channel: channel.into(),
            sizes,
            counters,
            held: Held::new(sizes.message),
            unread: VecDeque::new(),
            next: Position::default(),
            beginning: Beginning::new(start),
            moving: false,
            fetch: None,
            found: None,
        }
    }

    /// Takes what may be handed out now of what was read, up to a limit. It ends early at a last part
    /// whose other parts have to be read first.
    fn take(&mut self, limit: &Limit) -> Result<Vec<Record>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some((record, read)) = self.unread.front() {
            let shown = self.what_is_shown(record, read);
            let size = match &shown {
                Shown::AsItIs | Shown::Unreadable(_) => record.footprint(),
                Shown::Whole(part, last) => whole(record, *last).footprint() + part.total,
                Shown::Held(_) | Shown::PassedOver => 0,
                Shown::Removed if records.is_empty() => return Err(self.removed(record.position)),
                Shown::Removed | Shown::Unknown(_) => break,
            };
            bytes += size;
            let full = records.len() >= limit.records.max(1) || bytes > limit.bytes;
            if size > 0 && full && !records.is_empty() {
                break;
            }
            if let Some((record, read)) = self.unread.pop_front() {
                records.extend(self.hand_out(shown, record, &read));
            }
        }
        Ok(records)
    }

    fn what_is_shown(&self, record: &Record, read: &Read) -> Shown {
        let part = match read {
            Read::Plain => return Shown::AsItIs,
            Read::Bad(reason) => return Shown::Unreadable(reason.clone()),
            Read::Part(part) => part,
        };
        let Some(last) = part.last else { return Shown::Held(*part) };
        let Part { total, count, .. } = *part;
        if total > self.sizes.message {
            let limit = self.sizes.message;
            return Shown::Unreadable(format!(
                "its {total} bytes are over the limit of {limit} bytes of this reader"
            ));
        }
        if last.first >= record.position {
            return Shown::Unreadable("its first part is said to stand after it".to_owned());
        }
        match &self.found {
            _ if self.held.precede(part) => Shown::Whole(*part, last),
            Some(Found::Parts(_)) => Shown::Whole(*part, last),
            Some(Found::Incomplete) => {
                Shown::Unreadable(format!("of its {count} parts some aren't there"))
            }
            Some(Found::Removed(left)) => {
                match self.beginning.is_after(last.first, record.position, *left) {
                    true => Shown::PassedOver,
                    false => Shown::Removed,
                }
            }
            None if planted(Bug::NothingFetched) => Shown::PassedOver,
            None => Shown::Unknown(*part),
        }
    }

    /// Returns what is handed out for a record, if anything is.
    fn hand_out(&mut self, shown: Shown, record: Record, read: &Read) -> Option<Record> {
        let part = if let Read::Part(part) = read { Some(part) } else { None };
        self.drop_abandoned(part, &record);
        if let Shown::Held(part) = shown {
            self.held.add(&part, &record);
            return None;
        }
        let held = part.map(|last| self.held.take(last)).unwrap_or_default();
        let found = self.found.take();
        match shown {
            Shown::AsItIs => Some(record),
            Shown::Unreadable(reason) => Some(unreadable_part(record, reason)),
            Shown::Whole(part, last) => {
                let parts = if let Some(Found::Parts(parts)) = found { parts } else { held };
                self.counters.joined.fetch_add(1, Ordering::Relaxed);
                let mut joined = whole(&record, last);
                let Some(payload) = parts.join(&part, &record.payload) else {
                    let reason = "its parts aren't as long together as they say".to_owned();
                    return Some(unreadable_part(record, reason));
                };
                joined.payload = payload;
                Some(joined)
            }
            Shown::PassedOver => {
                self.counters.removed.fetch_add(1, Ordering::Relaxed);
                let (channel, position) = (&*self.channel, record.position);
                tracing::warn!(channel, %position, "a message is passed over: its first part was removed");
                None
            }
            Shown::Held(_) | Shown::Removed | Shown::Unknown(_) => None,
        }
    }

    fn drop_abandoned(&mut self, part: Option<&Part>, record: &Record) {
        let abandoned = self.held.pass(part, record);
        if abandoned > 0 {
            self.counters.abandoned.fetch_add(abandoned, Ordering::Relaxed);
            let channel = &*self.channel;
            tracing::debug!(
                channel,
                abandoned,
                "parts of messages that were never finished are dropped"
            );
        }
    }

    /// Returns the error of a message that was removed under the reader.
    fn removed(&self, position: Position) -> TransportError {
        let first = self.unread.get(1).map_or(self.next, |(record, _)| record.position);
        TransportError::new("read", Kind::PositionTrimmed { position, first }).on(&*self.channel)
    }

    /// Reads the parts before the first unread record, if it is a last part that needs them. Returns
    /// whether it goes on with it; `None` if nothing has to be read.
    async fn fetch(&mut self, limit: Limit) -> Result<Option<bool>> {
        let Some((record, read)) = self.unread.front() else { return Ok(None) };
        let Shown::Unknown(part) = self.what_is_shown(record, read) else { return Ok(None) };
        let Some(last) = part.last else { return Ok(None) };
        let before = record.position;
        let result = match &mut self.fetch {
            Some(fetch) => fetch.read(&part, before, limit).await,
            none => {
                let incarnation = self.inner.incarnation();
                let opening = Fetch::open(&*self.transport, &self.channel, incarnation, last.first);
                match opening.await {
                    Ok(fetch) => {
                        self.counters.fetched.fetch_add(1, Ordering::Relaxed);
                        none.insert(fetch).read(&part, before, limit).await
                    }
                    Err(error) => Err(error),
                }
            }
        };
        self.found = match removed(&result) {
            Some(left) => Some(Found::Removed(left)),
            None => result?,
        };
        if self.found.is_some() {
            self.fetch = None;
        }
        Ok(Some(self.found.is_some()))
    }

    /// Ends a seek that was cancelled: the reader underneath is at the old place or at the new one.
    async fn settle(&mut self) -> Result<()> {
        if !self.moving {
            return Ok(());
        }
        if let Some((record, _)) = self.unread.front() {
            self.inner.seek(Start::At(record.position)).await?;
        }
        self.forget();
        Ok(())
    }

    /// Forgets what was read.
    fn forget(&mut self) {
        self.held.clear();
        self.unread.clear();
        (self.fetch, self.found, self.moving) = (None, None, false);
    }

    /// Returns whether nothing in a batch concerns this layer.
    fn is_plain(&self, records: &[Record]) -> bool {
        self.held.is_empty() && records.iter().all(|record| record.header(HEADER).is_none())
    }

    fn batch(&self, records: Vec<Record>, caught_up: bool) -> ReadBatch {
        match self.unread.front() {
            Some((record, _)) => ReadBatch::new(records, record.position, false),
            None => ReadBatch::new(records, self.next, caught_up),
        }
    }
}

impl fmt::Debug for JoiningReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoiningReader").field(&self.inner).finish()
    }
}

#[async_trait]
impl ChannelReader for JoiningReader {
    delegate!(self => self.inner, ChannelReader { incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        self.settle().await?;
        let began = Instant::now();
        // What an earlier call saw doesn't count.
        let mut caught_up = false;
        loop {
            let records = self.take(&limit)?;
            if !records.is_empty() {
                return Ok(self.batch(records, caught_up));
            }
            let limit = limit.with_wait(limit.wait.saturating_sub(began.elapsed()));
            match self.fetch(limit).await? {
                Some(true) => continue,
                Some(false) => return Ok(self.batch(records, caught_up)),
                None => {}
            }
            let read = self.inner.read(limit).await?;
            (self.next, caught_up) = (read.next, read.caught_up);
            if let Some(record) = read.records.first() {
                self.beginning.read(record.position);
            }
            if read.records.is_empty() || self.is_plain(&read.records) {
                return Ok(read);
            }
            for record in read.records {
                let read = match Part::of(&record) {
                    Ok(None) => Read::Plain,
                    Ok(Some(part)) => Read::Part(part),
                    Err(reason) => Read::Bad(reason),
                };
                self.unread.push_back((record, read));
            }
        }
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.moving = true;
        let sought = self.inner.seek(start).await;
        // If that failed, it is where it was.
        self.moving = false;
        sought?;
        self.forget();
        self.beginning.go(start);
        Ok(())
    }
}
