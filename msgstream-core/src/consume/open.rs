//! Opening the readers of many channels, several at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::outage::with_retries;
use crate::checkpoint::Mark;
use crate::error::{Error, Result};
use crate::transport::{AT_A_TIME, ChannelReader, ReaderOptions, Start, Subscription, Transport};

/// A channel's subscription, if it has one.
pub(crate) type Cursor = Option<Arc<dyn Subscription>>;

/// Where reading a channel begins.
#[derive(Clone, Copy)]
pub(crate) enum Begin<'a> {
    /// At the subscription's acknowledged position if it has one, otherwise here.
    CursorOr(Start),
    /// At the mark of a checkpoint, in the same incarnation of the channel.
    Mark(&'a Mark),
}

/// A channel that was opened.
pub(crate) struct Opened {
    pub(crate) channel: Arc<str>,
    pub(crate) reader: Box<dyn ChannelReader>,
    pub(crate) cursor: Cursor,
}

/// Opens channels and returns them in their order. Missing subscriptions are created. Temporary
/// errors are retried for `retry_for`, at each step.
pub(crate) async fn open(
    transport: &dyn Transport,
    subscription: Option<&str>,
    retry_for: Duration,
    channels: impl IntoIterator<Item = (&str, Begin<'_>)>,
) -> Result<Vec<Opened>> {
    // Boxed: a future of this very type keeps the caller's from being `Send`.
    let open =
        |(channel, begin)| open_one(transport, subscription, retry_for, channel, begin).boxed();
    let opening: Vec<_> = channels.into_iter().map(open).collect();
    stream::iter(opening).buffered(AT_A_TIME).try_collect().await
}

async fn open_one(
    transport: &dyn Transport,
    subscription: Option<&str>,
    retry_for: Duration,
    channel: &str,
    begin: Begin<'_>,
) -> Result<Opened, Error> {
    let cursor = match subscription {
        Some(name) => {
            Some(with_retries(retry_for, channel, || transport.subscription(channel, name)).await?)
        }
        None => None,
    };
    let (start, incarnation) = match (begin, &cursor) {
        (Begin::Mark(mark), _) => (Start::At(mark.resume), mark.incarnation),
        (Begin::CursorOr(start), None) => (start, None),
        (Begin::CursorOr(start), Some(cursor)) => {
            let acked = with_retries(retry_for, channel, || cursor.acked()).await?;
            (acked.map_or(start, Start::At), None)
        }
    };
    let reader = with_retries(retry_for, channel, || {
        transport.reader_with(channel, ReaderOptions::new(start).with_incarnation(incarnation))
    })
    .await?;
    Ok(Opened { channel: channel.into(), reader, cursor })
}
