//! A transport around a good one, with one fault.

use msgstream_core::delegate;
use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use msgstream_core::transport::TransportExt as _;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, Result, Start,
    Subscription, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::channel::{FaultyReader, FaultySubscription, FaultyWriter};

pub(crate) const MAX_PAYLOAD: usize = 1 << 20;

/// What is wrong with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is wrong.
    None,
    /// It can do next to nothing, and says so: that isn't a fault.
    CanNothing,
    /// The same, but for creating channels without properties.
    CanOnlyCreate,
    /// As [`CanNothing`](Self::CanNothing), but its `check` passes any header.
    ChecksNoHeaders,
    LosesACapability,
    IgnoresWhatItCannot,
    CreatesTwice,
    WritersCreate,
    ListIsUnsorted,
    MissesADeletion,
    IgnoresTheIncarnation,
    LosesIds,
    HeadersAreText,
    HeadersAreTrimmed,
    RepeatedHeadersAreLost,
    EmptyKeysAreLost,
    FirstIsTooLate,
    ChecksNothing,
    CheckRefusesAll,
    CheckWrites,
    CheckPoisons,
    TruncatesPayloads,
    ReversesBatches,
    ReceiptsRepeatPositions,
    WritesOnAfterAFailure,
    LosesDroppedReceipts,
    LosesOnCancel,
    RepeatsARecord,
    IgnoresTheByteLimit,
    CallsEveryBatchTheEnd,
    NeverTellsTheEnd,
    SeekIsANoOp,
    SeeksOneTooEarly,
    LatestIsWhenItIsRead,
    TakesAnyPosition,
    AckIsANoOp,
    AckGoesBack,
    AckGoesTooFar,
    CursorsAreSharedByName,
    UnsubscribeIsANoOp,
    UnsubscribeRemovesAll,
    UnsubscribeWantsACursor,
    UnsubscribeTakesAnyChannel,
    ListsCursorsUnsorted,
    ListsRemovedCursors,
    ListsCursorsOfOthers,
    CountsOneMore,
    TrimIsANoOp,
    TrimTakesOneMore,
    TrimTakesAnyPosition,
    TrimTakesAnyChannel,
    TrimNamesOldFirsts,
    TrimIsPassedOver,
    TrimMovesCursors,
    CloseIsANoOp,
    LeaksATask,
    BlocksTheThread,
    Panics,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) fault: Fault,
}

impl Faulty {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    // What the transport can't do is refused, where it isn't ignored.
    fn check(&self, operation: &'static str, capability: Capability) -> Result<()> {
        let refused = match self.fault {
            Fault::CanNothing | Fault::ChecksNoHeaders => true,
            Fault::CanOnlyCreate => capability != Capability::Create,
            _ => false,
        };
        let kind = Kind::Unsupported { capability };
        if refused { Err(TransportError::new(operation, kind)) } else { Ok(()) }
    }

    pub(crate) fn check_start(&self, operation: &'static str, start: Start) -> Result<()> {
        match start {
            Start::At(_) | Start::After(_) => self.check(operation, Capability::SeekPosition),
            Start::Time(_) => self.check(operation, Capability::SeekTime),
            _ => Ok(()),
        }
    }

    pub(crate) fn life(&self, real: Incarnation) -> Incarnation {
        if self.is(Fault::CanNothing) { Incarnation::UNKNOWN } else { real }
    }
}

#[async_trait]
impl Transport for Faulty {
    delegate!(self => self.inner, Transport { risks, encode_position, decode_position });
    fn capabilities(&self) -> Capabilities {
        match self.fault {
            Fault::CanNothing | Fault::ChecksNoHeaders => {
                Capabilities::none().with_max_payload(MAX_PAYLOAD)
            }
            Fault::CanOnlyCreate | Fault::IgnoresWhatItCannot => {
                Capabilities::none().with(Capability::Create).with_max_payload(MAX_PAYLOAD)
            }
            Fault::LosesACapability => self.inner.capabilities().without(Capability::SeekTime),
            _ => self.inner.capabilities(),
        }
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        self.check("create", Capability::Create)?;
        if !options.properties.is_empty() {
            self.check("create", Capability::Properties)?;
        }
        match self.inner.create_with(channel, options).await {
            Err(error) if self.is(Fault::CreatesTwice) && *error.kind() == Kind::AlreadyExists => {
                Ok(())
            }
            created => created,
        }
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        self.check("delete", Capability::Delete)?;
        if self.is(Fault::MissesADeletion) {
            return Ok(());
        }
        self.inner.delete(channel).await
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        self.check("trim", Capability::Trim)?;
        let before = match self.fault {
            Fault::TrimIsANoOp => Position::default(),
            Fault::TrimTakesOneMore => {
                let end = self.inner.describe(channel).await?.end;
                Position::new(before.offset() + 1).min(end)
            }
            Fault::TrimTakesAnyPosition => before.min(self.inner.describe(channel).await?.end),
            Fault::TrimMovesCursors => {
                self.inner.subscription(channel, "passed").await?.ack(before).await?;
                before
            }
            _ => before,
        };
        let trimmed = self.inner.trim(channel, before).await;
        if self.is(Fault::TrimTakesAnyChannel) { Ok(()) } else { trimmed }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.check("list", Capability::List)?;
        let mut names = self.inner.list(prefix).await?;
        if self.is(Fault::ListIsUnsorted) {
            names.reverse();
        }
        Ok(names)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let mut info = self.inner.describe(channel).await?;
        info.incarnation = self.life(info.incarnation);
        match self.fault {
            Fault::FirstIsTooLate => info.first = Some(info.end),
            Fault::TrimNamesOldFirsts => info.first = Some(Position::default()),
            Fault::CountsOneMore => info.records = info.records.map(|records| records + 1),
            _ => {}
        }
        Ok(info)
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        if self.is(Fault::WritersCreate) {
            drop(self.inner.create(channel).await);
        }
        let inner = Mutex::new(self.inner.writer(channel).await?);
        Ok(Box::new(FaultyWriter { inner, fault: self.fault }))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let ReaderOptions { start, incarnation, .. } = options;
        self.check_start("reader", start)?;
        let incarnation = match self.fault {
            Fault::CanNothing if incarnation.is_some_and(|i| i != Incarnation::UNKNOWN) => {
                return self.check("reader", Capability::Incarnations).map(|()| unreachable!());
            }
            Fault::CanNothing | Fault::IgnoresTheIncarnation | Fault::IgnoresWhatItCannot => None,
            _ => incarnation,
        };
        if self.is(Fault::LeaksATask) {
            tokio::spawn(pending::<()>());
        }
        let opened = self
            .inner
            .reader_with(channel, ReaderOptions::new(start).with_incarnation(incarnation))
            .await;
        let inner = match opened {
            Err(error) if self.is(Fault::TakesAnyPosition) => {
                drop(error);
                self.inner
                    .reader_with(
                        channel,
                        ReaderOptions::new(Start::Latest).with_incarnation(incarnation),
                    )
                    .await?
            }
            opened => opened?,
        };
        let late =
            (self.is(Fault::LatestIsWhenItIsRead) && start == Start::Latest).then_some(start);
        let around = Self { inner: Arc::clone(&self.inner), fault: self.fault };
        Ok(Box::new(FaultyReader { inner, around, late, last: None }))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        self.check("subscription", Capability::Subscriptions)?;
        let shared = if self.is(Fault::CursorsAreSharedByName) { "all" } else { name };
        let inner = self.inner.subscription(channel, shared).await?;
        Ok(Arc::new(FaultySubscription { inner, fault: self.fault, last: Mutex::default() }))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        self.check("unsubscribe", Capability::Subscriptions)?;
        match self.fault {
            Fault::UnsubscribeIsANoOp => return self.inner.describe(channel).await.map(drop),
            Fault::UnsubscribeRemovesAll => {
                for name in ["one", "two"] {
                    self.inner.unsubscribe(channel, name).await?;
                }
            }
            Fault::UnsubscribeWantsACursor => {
                let cursor = self.inner.subscription(channel, name).await?.acked().await?;
                if cursor.is_none() {
                    return Err(TransportError::new("unsubscribe", Kind::NotFound).on(channel));
                }
            }
            Fault::UnsubscribeTakesAnyChannel => {
                drop(self.inner.unsubscribe(channel, name).await);
                return Ok(());
            }
            _ => {}
        }
        self.inner.unsubscribe(channel, name).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        self.check("subscriptions", Capability::Subscriptions)?;
        let mut names = self.inner.subscriptions(channel).await?;
        match self.fault {
            Fault::ListsCursorsUnsorted => names.reverse(),
            Fault::ListsRemovedCursors if names == ["two"] => names.insert(0, "one".to_owned()),
            Fault::ListsCursorsOfOthers => {
                for other in self.inner.list("").await? {
                    names.extend(self.inner.subscriptions(&other).await?);
                }
                names.sort();
                names.dedup();
            }
            _ => {}
        }
        Ok(names)
    }

    async fn close(&self) -> Result<()> {
        if self.is(Fault::CloseIsANoOp) {
            return Ok(());
        }
        self.inner.close().await
    }
}
