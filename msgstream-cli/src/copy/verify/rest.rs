//! Compares what isn't in the packs that both sides have: the messages of one channel, in its order.

use std::sync::Arc;

use msgstream::MsgType;
use msgstream::consume::{ChannelFilter, Judgement};
use msgstream::message::StoredMessage;
use msgstream::record::{Position, Record};
use msgstream::transport::{Start, Transport, TransportExt as _};

use super::Differences;
use super::fields::difference;
use crate::copy::error::CopyError;
use crate::copy::place::Place;
use crate::copy::reading::Reading;
use crate::error::Result;

/// Compares a channel up to its place, or up to its end. Returns how many messages of the source were
/// compared.
pub(super) async fn compare_rest(
    source: &Arc<dyn Transport>,
    destination: &Arc<dyn Transport>,
    end: &Place,
    skip_unreadable: bool,
    differences: &mut Differences,
) -> Result<u64> {
    let channel = &end.channel;
    let until = if end.state.ended { Position::MAX } else { end.next };
    let copied = destination.describe(channel).await?.end;
    let mut expected = Messages::open(&**source, channel, until, skip_unreadable).await?;
    let mut found = Messages::open(&**destination, channel, copied, false).await?;
    let mut compared = 0;
    loop {
        let (source, copy) = tokio::try_join!(expected.next(), found.next())?;
        compared += u64::from(source.is_some());
        match (source, copy) {
            (Some(source), Some(copy)) => {
                if let Some(what) = difference(&source, &copy) {
                    let (at, copied) = (source.record.position, copy.record.position);
                    differences.add(format!(
                        "the {what} of the message at {at} of `{channel}` and of that at {copied} of the copy"
                    ));
                }
            }
            (Some(StoredMessage { record, .. }), None) => {
                let at = record.position;
                differences.add(format!("the copy lacks the message at {at} of `{channel}`"));
            }
            (None, Some(StoredMessage { record, .. })) => {
                let at = record.position;
                differences.add(format!(
                    "the source lacks the message at {at} of `{channel}` of the copy"
                ));
            }
            (None, None) => return Ok(compared),
        }
    }
}

/// The messages of a channel that count, up to a position.
struct Messages {
    channel: Arc<str>,
    /// `None` once everything was read.
    reading: Option<Reading>,
    read: std::vec::IntoIter<Record>,
    filter: ChannelFilter,
    skip_unreadable: bool,
}

impl Messages {
    async fn open(
        broker: &dyn Transport,
        channel: &Arc<str>,
        until: Position,
        skip_unreadable: bool,
    ) -> Result<Self> {
        let reader = broker.reader(channel, Start::Earliest).await?;
        Ok(Self {
            channel: channel.clone(),
            reading: Some(Reading::new(reader, Some(until))),
            read: Vec::new().into_iter(),
            filter: ChannelFilter::default(),
            skip_unreadable,
        })
    }

    async fn next(&mut self) -> Result<Option<StoredMessage>> {
        loop {
            for record in self.read.by_ref() {
                let position = record.position;
                let judged = self.filter.judge(&record).map_err(|source| CopyError::Unjudged {
                    channel: self.channel.to_string(),
                    position,
                    source,
                })?;
                let skipped = self.skip_unreadable && record.meta.msg_type == MsgType::UNREADABLE;
                // Whether it is late is compared once it is in a pack.
                if matches!(judged, Judgement::Message { .. }) && !skipped {
                    return Ok(Some(StoredMessage::new(self.channel.clone(), record)));
                }
            }
            let Some(reading) = &mut self.reading else { return Ok(None) };
            let (batch, last) = reading.next().await?;
            self.read = batch.records.into_iter();
            if last || self.filter.has_ended() {
                self.reading = None;
            }
        }
    }
}
