//! Where a copy is: records in the home channel of its session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use msgstream::consume::{ChannelFilter, FilterState, Judgement};
use msgstream::message::{Message, StoredMessage};
use msgstream::record::{Incarnation, Meta, Position, Record};
use msgstream::transport::{
    ChannelInfo, ChannelReader, ReadBatch, Start, Transport, TransportExt as _,
};
use msgstream::{MsgType, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::CopyError;
use super::reading::{SHORT, read};
use crate::error::Result;

/// The type of a record with a place.
pub(crate) const PLACE: MsgType = MsgType(70_101);

/// Up to where a channel is copied: what is before it is stored at the destination. More may be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) channel: Arc<str>,
    /// Where reading the source goes on.
    pub(super) next: Position,
    /// The channel of the source.
    pub(super) incarnation: Incarnation,
    /// How many messages before `next` count, over all runs. They are the first ones of the copy.
    pub(super) messages: u64,
    /// What is known of the records before `next`.
    pub(super) state: FilterState,
    /// By the clock, a time since which a tick or a base of the copy is stored in each of its channels.
    pub(super) since: Timestamp,
}

impl Place {
    /// Returns the place before the first record of the source.
    pub(super) fn first(channel: &Arc<str>, source: &ChannelInfo, now: Timestamp) -> Self {
        Self {
            channel: channel.clone(),
            next: source.first.unwrap_or(source.end),
            incarnation: source.incarnation,
            messages: 0,
            state: FilterState::default(),
            since: now,
        }
    }

    pub(super) fn to_message(&self, home: &Arc<str>) -> serde_json::Result<Message> {
        let record = Record::new(Meta::new(PLACE, now()), serde_json::to_vec(self)?);
        Ok(StoredMessage::new(home.clone(), record).into())
    }
}

/// The newest places that count in a home channel, as far as it was read.
pub(super) struct Places {
    home: Arc<str>,
    reader: Box<dyn ChannelReader>,
    filter: ChannelFilter,
    pub(super) newest: BTreeMap<Arc<str>, Place>,
}

impl Places {
    /// Opens the home channel, which is created if it is missing.
    pub(super) async fn open(broker: &dyn Transport, home: Arc<str>) -> Result<Self> {
        broker.create_if_missing(&home).await?;
        let reader = broker.reader(&home, Start::Earliest).await?;
        let filter = ChannelFilter::default();
        Ok(Self { home, reader, filter, newest: BTreeMap::new() })
    }

    /// Reads what is there now.
    pub(super) async fn read_to_end(&mut self) -> Result<()> {
        while !self.read_more(Position::MAX).await?.caught_up {}
        Ok(())
    }

    /// Reads up to the fence of the copy's session. No other place that counts follows before it.
    pub(super) async fn read_to(&mut self, fence: Position) -> Result<()> {
        while self.read_more(fence).await?.next <= fence {}
        Ok(())
    }

    async fn read_more(&mut self, last: Position) -> Result<ReadBatch> {
        let batch = read(&mut *self.reader, SHORT).await?;
        for record in batch.records.iter().filter(|record| record.position <= last) {
            self.take(record)?;
        }
        Ok(batch)
    }

    fn take(&mut self, record: &Record) -> Result<()> {
        let position = record.position;
        let judged = self.filter.judge(record).map_err(|source| CopyError::Unjudged {
            channel: self.home.to_string(),
            position,
            source,
        })?;
        let counts = matches!(judged, Judgement::Message { .. });
        if counts && record.meta.msg_type == PLACE {
            let home = self.home.to_string();
            let place: Place = serde_json::from_slice(&record.payload)
                .map_err(|source| CopyError::BadPlace { home, position, source })?;
            self.newest.insert(place.channel.clone(), place);
        }
        Ok(())
    }
}

/// Returns the time by the clock.
pub(super) fn now() -> Timestamp {
    // A clock before 1970 only makes opening the copy read more.
    Timestamp::from_system_time(SystemTime::now()).unwrap_or_default()
}
