//! One channel of a copy: what is read of the source becomes what is written to the destination.

use std::collections::VecDeque;

use msgstream::consume::{ChannelFilter, Judgement};
use msgstream::message::{Message, MsgPack, StoredMessage, UnmarshalDispatcher};
use msgstream::produce::{InSession, PackReceipt};
use msgstream::record::{Position, Record};
use msgstream::transport::{ChannelReader, ReaderOptions, Start, Transport};
use msgstream::{MsgType, Producer, Timestamp};
use tokio::task::AbortHandle;

use super::error::{CopyError, source_error};
use super::place::{Place, now};
use super::reading::Read;
use super::tally::Tally;
use crate::error::Result;
use crate::words::say;

/// What may be unacknowledged on a channel, in bytes.
const WINDOW: usize = 4 << 20;

/// A channel of a copy.
pub(super) struct Channel {
    /// As of the last batch that was handed to the session.
    pub(super) place: Place,
    /// The place changed since it was saved.
    moved: bool,
    filter: ChannelFilter,
    /// How many messages are stored by earlier runs: those aren't written again.
    stored: u64,
    in_flight: VecDeque<(PackReceipt, usize)>,
    bytes: usize,
    /// A tick may not be stored yet.
    ticked: bool,
    /// When the last tick was handed over; before the first one, when the session was opened.
    announced: Timestamp,
    /// What reads the source, if there is something to read.
    pub(super) reading: Option<AbortHandle>,
    skip_unreadable: bool,
}

impl Channel {
    /// Goes on at a place, behind which the destination may have more messages.
    pub(super) fn new(
        place: Place,
        saved: bool,
        stored: u64,
        opened: Timestamp,
        skip_unreadable: bool,
    ) -> Self {
        Self {
            filter: ChannelFilter::resume(&place.state),
            place,
            moved: !saved,
            stored,
            in_flight: VecDeque::new(),
            bytes: 0,
            ticked: false,
            announced: opened,
            reading: None,
            skip_unreadable,
        }
    }

    /// Notes that everything is copied up to the channel's end, by an earlier run.
    pub(super) fn set_ended(&mut self) {
        self.moved |= !std::mem::replace(&mut self.place.state.ended, true);
        self.filter = ChannelFilter::resume(&self.place.state);
    }

    /// Opens a reader of the source, where the copy goes on.
    pub(super) async fn open(&self, source: &dyn Transport) -> Result<Box<dyn ChannelReader>> {
        let Place { channel, next, incarnation, .. } = &self.place;
        let options = ReaderOptions::new(Start::At(*next)).with_incarnation(*incarnation);
        let reader = source.reader_with(channel, options).await;
        reader.map_err(|error| source_error(channel, error))
    }

    pub(super) const fn has_moved(&self) -> bool {
        self.moved
    }

    /// Returns a time since which a tick or a base of the session is stored, once everything that was
    /// handed over is; `None` if the channel has ended, so that no session opens it again.
    pub(super) fn announced(&self) -> Option<Timestamp> {
        (!self.filter.has_ended()).then_some(self.announced)
    }

    /// Hands what counts of a batch to the session, in pieces that keep packs as they are whatever
    /// fails.
    ///
    /// The session stores messages in their order, but ticks aren't numbered: if a tick fails, what
    /// was sent after it may be stored before it. So a tick begins a piece, which the session sends
    /// once everything before it is stored, other ticks included. And a late message waits for the
    /// tick that it is late for. Any other message belongs to the same pack on both sides of it.
    pub(super) async fn copy(
        &mut self,
        read: Read,
        producer: &mut Producer<InSession>,
        tally: &mut Tally,
    ) -> Result<()> {
        self.moved |= read.next > self.place.next;
        let mut piece = Vec::new();
        for record in read.records {
            let position = record.position;
            let judged = self.filter.judge(&record);
            let judged = judged.map_err(|source| {
                let channel = self.place.channel.to_string();
                CopyError::Unjudged { channel, position, source }
            })?;
            tally.left_out(judged);
            match judged {
                Judgement::Message { .. } if record.meta.msg_type == MsgType::UNREADABLE => {
                    self.unreadable(&record)?;
                    tally.unreadable += 1;
                }
                Judgement::Message { late } => {
                    self.place.messages += 1;
                    if self.place.messages <= self.stored {
                        continue;
                    }
                    tally.messages += 1;
                    tally.late += u64::from(late);
                    if late && self.ticked {
                        self.submit(&mut piece, producer)?;
                        self.settle(0).await?;
                        self.ticked = false;
                    }
                    piece.push(record);
                }
                Judgement::Tick | Judgement::End | Judgement::PrivateTick => {
                    // One that an earlier run wrote only repeats.
                    tally.ticks += 1;
                    self.submit(&mut piece, producer)?;
                    self.settle(WINDOW).await?;
                    piece.push(record);
                    self.ticked = true;
                    self.announced = now();
                }
                _ => {}
            }
        }
        self.submit(&mut piece, producer)?;
        self.settle(WINDOW).await?;
        self.place.next = read.next;
        if self.filter.has_ended()
            && let Some(reading) = self.reading.take()
        {
            reading.abort();
        }
        Ok(())
    }

    /// Returns the place to save if it changed. Everything before it must be stored.
    pub(super) fn take_moved(&mut self, since: Timestamp) -> Option<&Place> {
        self.in_flight.clear();
        (self.bytes, self.ticked) = (0, false);
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        (self.place.state, self.place.since) = (self.filter.state(), since);
        Some(&self.place)
    }

    fn submit(
        &mut self,
        piece: &mut Vec<Record>,
        producer: &mut Producer<InSession>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return Ok(()) };
        let (first, last) = (first.position, last.position);
        let bytes = piece.iter().map(Record::footprint).sum();
        let channel = &self.place.channel;
        let stored = |record| Message::from(StoredMessage::new(channel.clone(), record));
        let pack = MsgPack::from_iter(piece.drain(..).map(stored));
        let receipt =
            producer.submit(pack).map_err(|source| self.unwritten(first, last, source))?;
        self.in_flight.push_back((receipt, bytes));
        self.bytes += bytes;
        Ok(())
    }

    /// Waits until no more than so many bytes are unacknowledged.
    async fn settle(&mut self, most: usize) -> Result<()> {
        while self.bytes > most
            && let Some((receipt, bytes)) = self.in_flight.pop_front()
        {
            receipt.await?;
            self.bytes -= bytes;
        }
        Ok(())
    }

    fn unwritten(&self, first: Position, last: Position, source: msgstream::Error) -> CopyError {
        let (channel, source) = (self.place.channel.to_string(), Box::new(source));
        CopyError::Unwritten { channel, first, last, source }
    }

    fn unreadable(&self, record: &Record) -> Result<()> {
        let (channel, position) = (self.place.channel.to_string(), record.position);
        match UnmarshalDispatcher::new().unmarshal(record) {
            Err(source) if !self.skip_unreadable => {
                Err(CopyError::Unreadable { channel, position, source }.into())
            }
            Err(reason) => {
                say(&format!("left out the record at {position} of `{channel}`: {reason}"));
                Ok(())
            }
            // No message has the type of unreadable records.
            Ok(_) => Ok(()),
        }
    }
}
