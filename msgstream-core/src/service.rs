//! Channels with an owner: the Message Stream Service.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::message::next_msg_id;
use crate::transport::{Transport, TransportError, TransportErrorKind};

/// How many channels are created, deleted or described at a time.
const AT_A_TIME: usize = 16;

const ROLE: &str = "ms-owner-role";
const ADDRESS: &str = "ms-owner-address";
const DESCRIPTION: &str = "ms-owner-description";

/// Creates, destroys and describes channels. A channel's owner is stored with the channel, so
/// that any process finds it.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::service::{
///     CreateChannelsRequest, MessageStreamService, OwnerDescription, ServiceError,
/// };
/// use msgstream_core::transport::Transport;
///
/// async fn two_channels(transport: Arc<dyn Transport>) -> Result<(), ServiceError> {
///     let service = MessageStreamService::new(transport);
///     let owner = OwnerDescription {
///         role: "ingest".to_owned(),
///         address: "10.0.0.7:9000".to_owned(),
///         description_text: "rows of the orders table".to_owned(),
///     };
///     let request = CreateChannelsRequest { owner: owner.clone(), ..CreateChannelsRequest::of(2) };
///     let ids = service.create_channels(request).await?;
///     let described = service.describe_channels(&ids).await?;
///     assert_eq!(described[0].owner, Some(owner));
///     service.destroy_channels(&ids).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct MessageStreamService {
    transport: Arc<dyn Transport>,
}

/// Which channels to create, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChannelsRequest {
    /// Whose they are.
    pub owner: OwnerDescription,
    /// How many.
    pub num_channels: usize,
    /// What their names begin with.
    pub prefix: String,
}

impl CreateChannelsRequest {
    /// So many channels, of an owner who gives no description, with names that begin with
    /// `channel`.
    #[must_use]
    pub fn of(num_channels: usize) -> Self {
        Self { owner: OwnerDescription::default(), num_channels, prefix: "channel".to_owned() }
    }
}

/// Who owns a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerDescription {
    /// What the owner does.
    pub role: String,
    /// Where it is reached.
    pub address: String,
    /// Free text.
    pub description_text: String,
}

impl OwnerDescription {
    fn to_properties(&self) -> BTreeMap<String, String> {
        [(ROLE, &self.role), (ADDRESS, &self.address), (DESCRIPTION, &self.description_text)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    fn from_properties(properties: &BTreeMap<String, String>) -> Option<Self> {
        let get = |name| properties.get(name).cloned();
        // A broker may not keep an empty property.
        let some = get(ROLE).or_else(|| get(ADDRESS)).or_else(|| get(DESCRIPTION));
        some.map(|_| Self {
            role: get(ROLE).unwrap_or_default(),
            address: get(ADDRESS).unwrap_or_default(),
            description_text: get(DESCRIPTION).unwrap_or_default(),
        })
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
    /// The name, as streams take it.
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

/// What is known of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelDescription {
    /// The channel.
    pub id: ChannelId,
    /// Whose it is; `None` where it was made without a service.
    pub owner: Option<OwnerDescription>,
}

/// Why the service couldn't do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The transport can't do it, or not now. Nothing has changed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Not all channels were created, so those that were are destroyed again.
    #[error(
        "channel `{channel}` can't be created, so the others were destroyed again; {}",
        left_over(left)
    )]
    Create {
        /// The first channel that failed.
        channel: ChannelId,
        /// Channels that are there, or may be: they couldn't be destroyed again.
        left: Vec<ChannelId>,
        /// Why the channel was not created.
        source: TransportError,
    },
    /// Channels are still there, or were not there at all. All others are destroyed.
    #[error("{} of the channels can't be destroyed, `{channel}` first; all others are", failed.len() + 1)]
    Destroy {
        /// The first channel that failed.
        channel: ChannelId,
        /// Why.
        source: TransportError,
        /// The further ones that failed, and why.
        failed: Vec<(ChannelId, TransportError)>,
    },
}

fn left_over(left: &[ChannelId]) -> String {
    if left.is_empty() {
        return "none is left".to_owned();
    }
    let names: Vec<_> = left.iter().map(|id| format!("`{id}`")).collect();
    format!("but these may be left: {}", names.join(", "))
}

impl MessageStreamService {
    /// The service over a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Creates channels with names that no other call gives, in any process, and stores their
    /// owner with them. All are created, or none.
    ///
    /// # Errors
    /// [`ServiceError::Create`]; [`ServiceError::Transport`] with
    /// [`Unsupported`](TransportErrorKind::Unsupported) where the transport can't create channels
    /// or can't store properties.
    ///
    /// # Cancel safety
    /// After a cancelled call some channels may be there, under names that nobody got.
    pub async fn create_channels(
        &self,
        request: CreateChannelsRequest,
    ) -> Result<Vec<ChannelId>, ServiceError> {
        let can = self.transport.capabilities();
        need("create_channels", "create", can.create)?;
        need("create_channels", "properties", can.properties)?;
        let ids = unique_names(&request.prefix, request.num_channels);
        let properties = request.owner.to_properties();
        let mut made = Vec::new();
        for some in ids.chunks(AT_A_TIME) {
            let creates =
                some.iter().map(|id| self.transport.create_with(&id.0, properties.clone().into()));
            let mut failed = None;
            for (id, result) in some.iter().zip(join_all(creates).await) {
                // A channel whose creation wasn't answered may be there. One that was refused is
                // not, or is somebody else's.
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

    /// Deletes what was created, and gives what may be left.
    async fn undo(&self, made: &[ChannelId]) -> Vec<ChannelId> {
        let failed = self.delete_all(made).await.into_iter();
        let there = |error: &TransportError| *error.kind() != TransportErrorKind::NotFound;
        failed.filter(|(_, error)| there(error)).map(|(id, _)| id).collect()
    }

    /// Destroys channels, with all that is in them. One that fails doesn't keep the others.
    ///
    /// # Errors
    /// [`ServiceError::Destroy`] names every channel that failed, such as one that isn't there;
    /// [`ServiceError::Transport`] with [`Unsupported`](TransportErrorKind::Unsupported) where the
    /// transport can't delete channels.
    ///
    /// # Cancel safety
    /// After a cancelled call some channels may be destroyed.
    pub async fn destroy_channels(&self, ids: &[ChannelId]) -> Result<(), ServiceError> {
        need("destroy_channels", "delete", self.transport.capabilities().delete)?;
        let mut failed = self.delete_all(ids).await.into_iter();
        match failed.next() {
            None => Ok(()),
            Some((channel, source)) => {
                Err(ServiceError::Destroy { channel, source, failed: failed.collect() })
            }
        }
    }

    /// Describes channels, in the order given.
    ///
    /// # Errors
    /// [`ServiceError::Transport`] for the first channel that fails, such as one that isn't there,
    /// and with [`Unsupported`](TransportErrorKind::Unsupported) where the transport can't store
    /// properties.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn describe_channels(
        &self,
        ids: &[ChannelId],
    ) -> Result<Vec<ChannelDescription>, ServiceError> {
        need("describe_channels", "properties", self.transport.capabilities().properties)?;
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

    /// Deletes channels, and gives those that failed.
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

fn need(
    operation: &'static str,
    capability: &'static str,
    there: bool,
) -> Result<(), TransportError> {
    if there {
        return Ok(());
    }
    Err(TransportError::new(operation, TransportErrorKind::Unsupported { capability }))
}

/// Names that begin with a prefix and that nobody else makes: the clock, random bits, a number.
fn unique_names(prefix: &str, count: usize) -> Vec<ChannelId> {
    // The keys of a hasher are random; the ids tell the calls of one process apart.
    let call = next_msg_id();
    let random = RandomState::new().hash_one((std::process::id(), call));
    (0..count).map(|i| ChannelId(format!("{prefix}-{call:x}-{random:016x}-{i}"))).collect()
}
