//! Ends a channel, and copies it.

use msgstream::message::TimeTickMsg;
use msgstream::record::{END_HEADER, Header, Position, Record};
use msgstream::transport::{
    ChannelWriter, Limit, Start, Transport, TransportError, TransportErrorKind, TransportExt as _,
};
use msgstream::{Timestamp, TsMsg};

use super::plan::Filter;
use crate::judge::{note, noted};

/// Writes a channel's end, and returns where it is.
pub(super) async fn end(
    broker: &dyn Transport,
    channel: &str,
    watermark: Option<Timestamp>,
) -> Result<Position, TransportError> {
    let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(watermark.unwrap_or_default()));
    let mut record = tick.to_record();
    record.extra.push(Header::new(END_HEADER, "1"));
    let mut writer = broker.writer(channel).await?;
    let stored = write(&mut *writer, vec![record]).await?;
    writer.close().await?;
    let none = || {
        let kind = TransportErrorKind::Protocol { reason: "no position".to_owned() };
        TransportError::new("submit", kind).on(channel)
    };
    stored.first().copied().ok_or_else(none)
}

/// Copies what is kept of a channel, up to its end. Returns how many records were written.
pub(super) async fn copy(
    broker: &dyn Transport,
    from: &str,
    into: &str,
    end: Position,
    mut filter: Filter,
) -> Result<u64, TransportError> {
    let mut reader = broker.reader(from, Start::Earliest).await?;
    let mut writer = broker.writer(into).await?;
    let mut copied = 0;
    loop {
        // The end is there, whatever the reader takes for it.
        let batch = reader.read(Limit::default()).await?;
        let before = batch.records.into_iter().filter(|record| record.position < end);
        let kept: Vec<_> = before.filter_map(|record| filter.keep(record)).collect();
        if !kept.is_empty() {
            copied += write(&mut *writer, kept).await?.len() as u64;
        }
        if batch.next > end {
            break;
        }
    }
    writer.close().await?;
    Ok(copied)
}

/// What follows a channel's end.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The channel that an earlier repair made of it.
    pub(super) repaired: Option<String>,
    /// A producer has written there.
    pub(super) goes_on: bool,
}

/// Reads what follows a channel's end.
pub(super) async fn rest(
    broker: &dyn Transport,
    channel: &str,
    end: Position,
) -> Result<Rest, TransportError> {
    let mut reader = broker.reader(channel, Start::After(end)).await?;
    let mut rest = Rest::default();
    loop {
        let batch = reader.read(Limit::default()).await?;
        for record in &batch.records {
            match noted(record) {
                Some(into) => rest.repaired = Some(into.to_owned()),
                None => rest.goes_on = true,
            }
        }
        if batch.caught_up {
            return Ok(rest);
        }
    }
}

/// Notes after a channel's end that it was copied.
pub(super) async fn note_copied(
    broker: &dyn Transport,
    channel: &str,
    watermark: Option<Timestamp>,
    into: &str,
) -> Result<(), TransportError> {
    let mut writer = broker.writer(channel).await?;
    write(&mut *writer, vec![note(watermark.unwrap_or_default(), into)]).await?;
    writer.close().await
}

async fn write(
    writer: &mut dyn ChannelWriter,
    records: Vec<Record>,
) -> Result<Vec<Position>, TransportError> {
    writer.ready().await?;
    let outcome = writer.submit(records).await;
    match outcome.rest {
        Some(rest) => Err(rest.error),
        None => Ok(outcome.stored),
    }
}
