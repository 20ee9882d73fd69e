//! Writers, readers and subscriptions around good ones, with one fault.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::record::{Header, Incarnation, KEY_HEADER, Position, Record};
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Fate, Limit, Outcome, ReadBatch, Receipt, Result, Start,
    Subscription, TransportError, TransportErrorKind as Kind,
};

use crate::transport::{Fault, Faulty, MAX_PAYLOAD};

#[derive(Debug)]
pub(crate) struct FaultyWriter {
    /// Behind a lock, so that a faulty `check` can write.
    pub(crate) inner: Mutex<Box<dyn ChannelWriter>>,
    pub(crate) fault: Fault,
}

impl FaultyWriter {
    fn inner(&mut self) -> &mut dyn ChannelWriter {
        &mut **self.inner.get_mut().unwrap()
    }
}

fn text_only(records: &[Record]) -> Result<()> {
    let refused = |kind| TransportError::new("check", kind);
    records.iter().flat_map(|r| &r.extra).try_for_each(|h| h.text().map(drop)).map_err(refused)
}

#[async_trait]
impl ChannelWriter for FaultyWriter {
    async fn ready(&mut self) -> Result<()> {
        self.inner().ready().await
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        let checked = inner.check(records);
        match self.fault {
            Fault::CanNothing => checked.and(text_only(records)),
            Fault::ChecksNothing => Ok(()),
            Fault::CheckRefusesAll => {
                let kind = Kind::TooLarge { bytes: MAX_PAYLOAD + 1, limit: MAX_PAYLOAD };
                Err(TransportError::new("check", kind))
            }
            Fault::CheckWrites if checked.is_ok() => {
                drop(inner.submit(records.to_vec()));
                checked
            }
            Fault::CheckPoisons if checked.is_err() => {
                drop(inner.submit(records.to_vec()));
                checked
            }
            _ => checked,
        }
    }

    fn submit(&mut self, mut records: Vec<Record>) -> Receipt {
        let too_large = records.iter().any(|r| r.payload.len() > MAX_PAYLOAD);
        match self.fault {
            Fault::CanNothing | Fault::ChecksNoHeaders => {
                if let Err(error) = text_only(&records) {
                    return Receipt::ready(Outcome::partial(vec![], Fate::NotStored, error));
                }
            }
            Fault::LosesIds => records.iter_mut().for_each(|r| r.meta.msg_id = 0),
            Fault::HeadersAreText => {
                for Header { value, .. } in records.iter_mut().flat_map(|r| &mut r.extra) {
                    *value = String::from_utf8_lossy(value).into_owned().into();
                }
            }
            Fault::HeadersAreTrimmed => {
                for Header { value, .. } in records.iter_mut().flat_map(|r| &mut r.extra) {
                    *value = value.trim_ascii().to_vec().into();
                }
            }
            Fault::RepeatedHeadersAreLost => {
                records.iter_mut().for_each(|r| r.extra.dedup_by(|a, b| a.name == b.name));
            }
            Fault::EmptyKeysAreLost => {
                let is_lost = |h: &Header| &*h.name == KEY_HEADER && h.value.is_empty();
                records.iter_mut().for_each(|r| r.extra.retain(|header| !is_lost(header)));
            }
            Fault::TruncatesPayloads => {
                records.iter_mut().for_each(|r| r.payload.truncate(MAX_PAYLOAD));
            }
            Fault::ReversesBatches => records.reverse(),
            // The writer underneath never hears of the failure, so it isn't poisoned.
            Fault::WritesOnAfterAFailure if too_large => {
                let kind = Kind::TooLarge { bytes: MAX_PAYLOAD + 1, limit: MAX_PAYLOAD };
                let error = TransportError::new("submit", kind);
                return Receipt::ready(Outcome::partial(vec![], Fate::NotStored, error));
            }
            Fault::ReceiptsRepeatPositions if !too_large => {
                let count = records.len();
                drop(self.inner().submit(records));
                return Receipt::ready(Outcome::stored(vec![Position::new(0); count]));
            }
            // Stands in for work that is done when the receipt is polled.
            Fault::LosesDroppedReceipts if records.len() > 1 => {
                let (sender, receipt) = Receipt::pending();
                drop(sender);
                return receipt;
            }
            _ => {}
        }
        self.inner().submit(records)
    }

    async fn close(&mut self) -> Result<()> {
        self.inner().close().await
    }
}

#[derive(Debug)]
pub(crate) struct FaultyReader {
    pub(crate) inner: Box<dyn ChannelReader>,
    pub(crate) around: Faulty,
    pub(crate) late: Option<Start>,
    pub(crate) last: Option<Record>,
}

#[async_trait]
impl ChannelReader for FaultyReader {
    async fn read(&mut self, mut limit: Limit) -> Result<ReadBatch> {
        match self.around.fault {
            Fault::IgnoresTheByteLimit => limit.bytes = usize::MAX,
            Fault::BlocksTheThread => thread::sleep(Duration::from_secs(3600)),
            Fault::Panics => panic!("a reader that panics"),
            _ => {}
        }
        if let Some(start) = self.late.take() {
            self.inner.seek(start).await?;
        }
        let mut batch = match self.inner.read(limit).await {
            Err(error) if self.around.fault == Fault::TrimIsPassedOver => {
                drop(error);
                self.inner.seek(Start::Earliest).await?;
                self.inner.read(limit).await?
            }
            read => read?,
        };
        match self.around.fault {
            // The batch is in this future alone while it waits.
            Fault::LosesOnCancel => tokio::task::yield_now().await,
            Fault::RepeatsARecord if limit.records > 1 => {
                if let Some(last) = self.last.take() {
                    batch.records.insert(0, last);
                }
                self.last = batch.records.last().cloned();
            }
            Fault::CallsEveryBatchTheEnd => batch.caught_up = true,
            Fault::NeverTellsTheEnd => batch.caught_up = false,
            _ => {}
        }
        Ok(batch)
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.around.check_start("seek", start)?;
        match (self.around.fault, start) {
            (Fault::SeekIsANoOp, _) => Ok(()),
            (Fault::SeeksOneTooEarly, Start::At(position)) => {
                let early = Position::new(position.offset().saturating_sub(1));
                self.inner.seek(Start::At(early)).await
            }
            _ => self.inner.seek(start).await,
        }
    }

    fn incarnation(&self) -> Incarnation {
        self.around.life(self.inner.incarnation())
    }
}

#[derive(Debug)]
pub(crate) struct FaultySubscription {
    pub(crate) inner: Arc<dyn Subscription>,
    pub(crate) fault: Fault,
    pub(crate) last: Mutex<Option<Position>>,
}

#[async_trait]
impl Subscription for FaultySubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        match self.fault {
            Fault::AckIsANoOp => Ok(()),
            Fault::AckGoesTooFar => self.inner.ack(Position::new(before.offset() + 1)).await,
            Fault::AckGoesBack => {
                *self.last.lock().unwrap() = Some(before);
                self.inner.ack(before).await
            }
            _ => self.inner.ack(before).await,
        }
    }

    async fn acked(&self) -> Result<Option<Position>> {
        let last = *self.last.lock().unwrap();
        Ok(last.or(self.inner.acked().await?))
    }
}
