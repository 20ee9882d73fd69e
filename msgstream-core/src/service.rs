//! The Message Stream Service: channels with an owner.

mod owner;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

pub use self::owner::OwnerDescription;
use crate::message::next_msg_id;
use crate::transport::{Capability, Transport, TransportError, TransportErrorKind};

/// How many channels are created, deleted or described at a time.
const AT_A_TIME: usize = 16;

/// Creates, destroys and describes channels. A channel's owner is stored with the channel, so any
/// process finds it.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::service::{CreateChannelsRequest, MessageStreamService, OwnerDescription};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::service::ServiceError> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let service = MessageStreamService::new(broker);
/// let owner = OwnerDescription {
///     role: "ingest".to_owned(),
///     address: "10.0.0.7:9000".to_owned(),
///     description_text: "rows of the orders table".to_owned(),
/// };
/// let request = CreateChannelsRequest { owner: owner.clone(), ..CreateChannelsRequest::of(2) };
/// let ids = service.create_channels(request).await?;
/// let described = service.describe_channels(&ids).await?;
/// assert_eq!(described[0].owner, Some(owner));
/// service.destroy_channels(&ids).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MessageStreamService {
    transport: Arc<dyn Transport>,
}

/// Which channels to create, and who owns them.
///
/// ```
/// use msgstream_core::service::CreateChannelsRequest;
/// let request = CreateChannelsRequest {
///     prefix: "orders".to_owned(),
///     ..CreateChannelsRequest::of(4)
/// };
/// assert_eq!(request.num_channels, 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChannelsRequest {
    /// Who owns them.
    pub owner: OwnerDescription,
    /// How many channels to create.
    pub num_channels: usize,
    /// What their names begin with.
    pub prefix: String,
}

impl CreateChannelsRequest {
    /// Returns a request for this many channels, of an owner without a description, with names that
    /// begin with `channel`.
    ///
    /// ```
    /// use msgstream_core::service::CreateChannelsRequest;
    /// assert_eq!(CreateChannelsRequest::of(2).prefix, "channel");
    /// ```
    #[must_use]
    pub fn of(num_channels: usize) -> Self {
        Self { owner: OwnerDescription::default(), num_channels, prefix: "channel".to_owned() }
    }
}

/// The name of a channel.
///
/// ```
/// use msgstream_core::service::ChannelId;
/// let id = ChannelId::from("orders");
/// assert_eq!(id.as_str(), "orders");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelId(String);

impl ChannelId {
    /// Returns the name, as producers and consumers take it.
    ///
    /// ```
    /// use msgstream_core::service::ChannelId;
    /// assert_eq!(ChannelId::from("orders").as_str(), "orders");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for ChannelId {
    fn from(name: S) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A channel and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelDescription {
    /// The channel.
    pub id: ChannelId,
    /// Who owns it; `None` if it was created without a service.
    pub owner: Option<OwnerDescription>,
}

/// Why a call of the service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The transport can't do it, at least for the moment. Nothing has changed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Not all channels could be created, so those that were are destroyed again.
    #[error(
        "channel `{channel}` can't be created, so the others were destroyed again: {}",
        left_over(left)
    )]
    Create {
        /// The first channel that failed.
        channel: ChannelId,
        /// Channels that exist or may exist, because they couldn't be destroyed again.
        left: Vec<ChannelId>,
        /// Why the channel was not created.
        source: TransportError,
    },
    /// Some channels still exist, or never existed. All others are destroyed.
    #[error("{} of the channels can't be destroyed, the first of them `{channel}`; all others are destroyed: try these again, unless they never existed", failed.len() + 1)]
    Destroy {
        /// The first channel that failed.
        channel: ChannelId,
        /// Why.
        source: TransportError,
        /// The others that failed, and why.
        failed: Vec<(ChannelId, TransportError)>,
    },
}

fn left_over(left: &[ChannelId]) -> String {
    if left.is_empty() {
        return "none of them is left".to_owned();
    }
    let names: Vec<_> = left.iter().map(|id| format!("`{id}`")).collect();
    format!("these may be left, so destroy them: {}", names.join(", "))
}

impl MessageStreamService {
    /// Returns the service of a transport.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::service::MessageStreamService;
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let service = MessageStreamService::new(broker);
    /// ```
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Creates channels and stores their owner with them. Creates all of them or none. No other call
    /// creates the same names, in any process.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::service::{CreateChannelsRequest, MessageStreamService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msgstream_core::service::ServiceError> {
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let service = MessageStreamService::new(broker);
    /// let ids = service.create_channels(CreateChannelsRequest::of(2)).await?;
    /// assert!(ids[0].as_str().starts_with("channel-"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`ServiceError::Create`] if a channel can't be created, and with
    /// [`ServiceError::Transport`] and [`Unsupported`](TransportErrorKind::Unsupported) if the
    /// transport can't create channels or can't store properties.
    ///
    /// # Cancel safety
    /// After a cancelled call some channels may exist, under names that no caller knows.
    pub async fn create_channels(
        &self,
        request: CreateChannelsRequest,
    ) -> Result<Vec<ChannelId>, ServiceError> {
        need("create_channels", Capability::Create, &*self.transport)?;
        need("create_channels", Capability::Properties, &*self.transport)?;
        let ids = unique_names(&request.prefix, request.num_channels);
        let properties = request.owner.to_properties();
        let mut made = Vec::new();
        for some in ids.chunks(AT_A_TIME) {
            let creates =
                some.iter().map(|id| self.transport.create_with(&id.0, properties.clone().into()));
            let mut failed = None;
            for (id, result) in some.iter().zip(join_all(creates).await) {
                // A channel whose creation wasn't answered may exist. One that was refused doesn't, or
                // is somebody else's.
                if result.as_ref().err().is_none_or(TransportError::is_temporary) {
                    made.push(id.clone());
                }
                if let Err(error) = result {
                    failed.get_or_insert((id.clone(), error));
                }
            }
            if let Some((channel, source)) = failed {
                return Err(ServiceError::Create { channel, left: self.undo(&made).await, source });
            }
        }
        Ok(ids)
    }

    /// Deletes what was created, and returns what may be left.
    async fn undo(&self, made: &[ChannelId]) -> Vec<ChannelId> {
        let failed = self.delete_all(made).await.into_iter();
        let there = |error: &TransportError| *error.kind() != TransportErrorKind::NotFound;
        failed.filter(|(_, error)| there(error)).map(|(id, _)| id).collect()
    }

    /// Destroys channels, with everything in them. If one fails, the others are destroyed all the
    /// same.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::service::{CreateChannelsRequest, MessageStreamService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msgstream_core::service::ServiceError> {
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let service = MessageStreamService::new(broker);
    /// let ids = service.create_channels(CreateChannelsRequest::of(2)).await?;
    /// service.destroy_channels(&ids).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`ServiceError::Destroy`], which names every channel that failed, such as one that
    /// doesn't exist, and with [`ServiceError::Transport`] and
    /// [`Unsupported`](TransportErrorKind::Unsupported) if the transport can't delete channels.
    ///
    /// # Cancel safety
    /// After a cancelled call some channels may be destroyed.
    pub async fn destroy_channels(&self, ids: &[ChannelId]) -> Result<(), ServiceError> {
        need("destroy_channels", Capability::Delete, &*self.transport)?;
        let mut failed = self.delete_all(ids).await.into_iter();
        match failed.next() {
            None => Ok(()),
            Some((channel, source)) => {
                Err(ServiceError::Destroy { channel, source, failed: failed.collect() })
            }
        }
    }

    /// Returns the descriptions of channels, in the same order.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::service::{CreateChannelsRequest, MessageStreamService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msgstream_core::service::ServiceError> {
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let service = MessageStreamService::new(broker);
    /// let ids = service.create_channels(CreateChannelsRequest::of(2)).await?;
    /// let described = service.describe_channels(&ids).await?;
    /// assert_eq!(described[1].id, ids[1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`ServiceError::Transport`]: with the error of the first channel that fails, such
    /// as one that doesn't exist, and with [`Unsupported`](TransportErrorKind::Unsupported) if the
    /// transport can't store properties.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn describe_channels(
        &self,
        ids: &[ChannelId],
    ) -> Result<Vec<ChannelDescription>, ServiceError> {
        need("describe_channels", Capability::Properties, &*self.transport)?;
        let mut described = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_A_TIME) {
            let infos = join_all(some.iter().map(|id| self.transport.describe(&id.0))).await;
            for (id, info) in some.iter().zip(infos) {
                let owner = OwnerDescription::from_properties(&info?.properties);
                described.push(ChannelDescription { id: id.clone(), owner });
            }
        }
        Ok(described)
    }

    /// Deletes channels, and returns those that failed.
    async fn delete_all(&self, ids: &[ChannelId]) -> Vec<(ChannelId, TransportError)> {
        let mut failed = Vec::new();
        for some in ids.chunks(AT_A_TIME) {
            let results = join_all(some.iter().map(|id| self.transport.delete(&id.0))).await;
            failed.extend(
                some.iter().zip(results).filter_map(|(id, r)| r.err().map(|e| (id.clone(), e))),
            );
        }
        failed
    }
}

/// Checks that the transport has a capability.
fn need(
    operation: &'static str,
    capability: Capability,
    transport: &dyn Transport,
) -> Result<(), TransportError> {
    match transport.capabilities().has(capability) {
        true => Ok(()),
        false => {
            Err(TransportError::new(operation, TransportErrorKind::Unsupported { capability }))
        }
    }
}

/// Returns names that begin with a prefix and that nobody else makes: the clock, random bits, a number.
fn unique_names(prefix: &str, count: usize) -> Vec<ChannelId> {
    // The keys of a hasher are random; the ids tell the calls of one process apart.
    let call = next_msg_id();
    let random = RandomState::new().hash_one((std::process::id(), call));
    (0..count).map(|i| ChannelId(format!("{prefix}-{call:x}-{random:016x}-{i}"))).collect()
}
