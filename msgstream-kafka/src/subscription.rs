//! Durable cursors.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{Result, Subscription, TransportError, TransportErrorKind};
use tokio::sync::Mutex;

use crate::client::Handle;
use crate::group::Group;
use crate::incarnations::Bound;
use crate::name::group_of;
use crate::partition::Name;
use crate::start::offset;

/// What a consumer group has committed of a partition.
#[derive(Debug)]
pub(crate) struct KafkaSubscription {
    handle: Arc<Handle>,
    group: Arc<Group>,
    channel: String,
    /// A group's offsets say nothing of the topic's incarnation.
    bound: Arc<Bound>,
    /// Where this handle moved the cursor, or saw it at first.
    seen: Arc<Mutex<Option<u64>>>,
}

impl KafkaSubscription {
    pub(crate) async fn open(
        handle: &Arc<Handle>,
        channel: &str,
        of: &Name,
        name: &str,
    ) -> Result<Self, Failure> {
        let group = group_of(&handle.config.prefix, name)?;
        let opened = async {
            let bound = Bound::new(handle, of, None).await?;
            Ok((bound, open_group(handle, group).await?))
        };
        let (bound, group) = handle.in_time(opened).await?;
        Ok(Self {
            handle: Arc::clone(handle),
            group,
            channel: channel.to_owned(),
            bound: Arc::new(bound),
            seen: Arc::default(),
        })
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.channel)
    }

    async fn move_to(&self, before: Position) -> Result<(), Failure> {
        let before = offset(before)?;
        let (seen, group) = (Arc::clone(&self.seen), Arc::clone(&self.group));
        let bound = Arc::clone(&self.bound);
        // In a task of its own: an `ack` that isn't polled for a while must not keep others waiting.
        let moved = tokio::spawn(async move {
            let (mut seen, partition) = (seen.lock().await, &bound.partition);
            bound.check().await?;
            // Where it seems to be there already, it may have been removed meanwhile.
            if seen.is_none_or(|seen| before <= seen) {
                *seen = group.committed(partition).await?;
            }
            if seen.is_none_or(|seen| seen < before) {
                group.commit(partition, before).await?;
                *seen = Some(before);
            }
            Ok(())
        });
        // It fails when the runtime shuts down.
        moved.await.map_err(|_| TransportErrorKind::Closed)?
    }
}

/// Returns the client of a group.
async fn open_group(handle: &Arc<Handle>, group: String) -> Result<Arc<Group>, Failure> {
    let at = Arc::clone(handle);
    handle.block(move || at.groups.open(&at.config, &group)).await
}

/// Removes a cursor.
pub(crate) async fn remove(handle: &Arc<Handle>, of: &Name, name: &str) -> Result<(), Failure> {
    let group = group_of(&handle.config.prefix, name)?;
    let removed = async {
        let partition = handle.find(of).await?;
        let group = open_group(handle, group).await?;
        match group.committed(&partition).await? {
            Some(_) => group.remove(&partition).await,
            None => Ok(()),
        }
    };
    handle.in_time(removed).await
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        let moved = self.handle.in_time(self.move_to(before)).await;
        moved.map_err(|failure| self.error("ack", failure))
    }

    async fn acked(&self) -> Result<Option<Position>> {
        let looked = self.handle.in_time(self.group.committed(&self.bound.partition)).await;
        let found = looked.map_err(|failure| self.error("acked", failure))?;
        Ok(found.map(Position::new))
    }
}
