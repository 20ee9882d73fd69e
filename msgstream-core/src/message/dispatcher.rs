//! Decodes records to messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::message::{
    CreateCollectionMsg, CreatePartitionMsg, DataNodeTtMsg, DecodeError, DeleteMsg,
    DropCollectionMsg, DropPartitionMsg, InsertMsg, ReplicateMsg, SearchMsg, SearchResultMsg,
    SegStatisticsMsg, TimeSyncMsg, TimeTickMsg, TsMsg, Unmarshal,
};
use crate::record::MsgType;
use crate::record::Record;
use crate::record::unreadable_reason;

type Template = Arc<dyn Fn(&Record) -> Result<Box<dyn TsMsg>, DecodeError> + Send + Sync>;

/// Decodes records by their type.
///
/// It knows the built-in messages, and a program adds its own. See
/// [`EventMsg`](crate::message::EventMsg), [`SerdeMsg`](crate::message::SerdeMsg),
/// [`MsgBody`](crate::message::MsgBody) and [`TsMsg`] for ways to define them.
///
/// ```
/// use msgstream_core::message::TimeTickMsg;
/// use msgstream_core::{DecodeError, MsgType, Timestamp, TsMsg, UnmarshalDispatcher};
///
/// let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)));
/// let mut record = tick.to_record();
///
/// let dispatcher = UnmarshalDispatcher::new();
/// let read = dispatcher.unmarshal(&record)?;
/// assert!(read.downcast_ref::<TimeTickMsg>().is_some());
///
/// record.meta.msg_type = MsgType(70_001);
/// assert!(matches!(dispatcher.unmarshal(&record), Err(DecodeError::UnknownType { .. })));
/// # Ok::<(), DecodeError>(())
/// ```
#[derive(Clone)]
pub struct UnmarshalDispatcher {
    templates: BTreeMap<MsgType, Template>,
}

impl UnmarshalDispatcher {
    /// Returns a dispatcher that knows the seven types of the design document: inserts, deletes,
    /// searches, search results, segment statistics, time ticks and time syncs.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher};
    /// assert!(UnmarshalDispatcher::new().knows(MsgType::INSERT));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let mut dispatcher = Self::empty();
        dispatcher
            .add_msg_template::<InsertMsg>()
            .add_msg_template::<DeleteMsg>()
            .add_msg_template::<SearchMsg>()
            .add_msg_template::<SearchResultMsg>()
            .add_msg_template::<SegStatisticsMsg>()
            .add_msg_template::<TimeTickMsg>()
            .add_msg_template::<TimeSyncMsg>();
        dispatcher
    }

    /// Returns a dispatcher for channels that are shared with a running Milvus 2.x: inserts, deletes,
    /// time ticks, the messages that create and drop collections and partitions, and the progress of
    /// data nodes and of replications.
    ///
    /// Use it with [`MsgTypeNames::milvus_2x`](crate::MsgTypeNames::milvus_2x). Searches, their results
    /// and statistics are other structs in Milvus, so this dispatcher doesn't know them.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher};
    /// assert!(UnmarshalDispatcher::milvus_2x().knows(MsgType::CREATE_COLLECTION));
    /// ```
    #[must_use]
    pub fn milvus_2x() -> Self {
        let mut dispatcher = Self::empty();
        dispatcher
            .add_msg_template::<InsertMsg>()
            .add_msg_template::<DeleteMsg>()
            .add_msg_template::<TimeTickMsg>()
            .add_msg_template::<CreateCollectionMsg>()
            .add_msg_template::<DropCollectionMsg>()
            .add_msg_template::<CreatePartitionMsg>()
            .add_msg_template::<DropPartitionMsg>()
            .add_msg_template::<DataNodeTtMsg>()
            .add_msg_template::<ReplicateMsg>();
        dispatcher
    }

    /// Returns a dispatcher that knows no type.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher};
    /// assert!(!UnmarshalDispatcher::empty().knows(MsgType::INSERT));
    /// ```
    #[must_use]
    pub const fn empty() -> Self {
        Self { templates: BTreeMap::new() }
    }

    /// Registers a message type under its own number. It replaces an earlier one with that number.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher, message::CreateCollectionMsg};
    /// let mut dispatcher = UnmarshalDispatcher::new();
    /// dispatcher.add_msg_template::<CreateCollectionMsg>();
    /// assert!(dispatcher.knows(MsgType::CREATE_COLLECTION));
    /// ```
    pub fn add_msg_template<M: Unmarshal>(&mut self) -> &mut Self {
        self.add_msg_template_as::<M>(M::MSG_TYPE)
    }

    /// Registers a message type under another number.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher, message::InsertMsg};
    /// let mut dispatcher = UnmarshalDispatcher::new();
    /// dispatcher.add_msg_template_as::<InsertMsg>(MsgType(404));
    /// ```
    pub fn add_msg_template_as<M: Unmarshal>(&mut self, msg_type: MsgType) -> &mut Self {
        self.add_msg_template_fn(msg_type, |record| Ok(Box::new(M::unmarshal(record)?)))
    }

    /// Registers a function that decodes a message type.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher, message::TimeTickMsg};
    /// let mut dispatcher = UnmarshalDispatcher::empty();
    /// dispatcher.add_msg_template_fn(MsgType::TIME_TICK, |record| {
    ///     Ok(Box::new(TimeTickMsg::new(record.meta.timestamp)))
    /// });
    /// ```
    pub fn add_msg_template_fn(
        &mut self,
        msg_type: MsgType,
        unmarshal: impl Fn(&Record) -> Result<Box<dyn TsMsg>, DecodeError> + Send + Sync + 'static,
    ) -> &mut Self {
        self.templates.insert(msg_type, Arc::new(unmarshal));
        self
    }

    /// Returns whether a message type is registered.
    ///
    /// ```
    /// use msgstream_core::{MsgType, UnmarshalDispatcher};
    /// assert!(!UnmarshalDispatcher::new().knows(MsgType(70_001)));
    /// ```
    #[must_use]
    pub fn knows(&self, msg_type: MsgType) -> bool {
        self.templates.contains_key(&msg_type)
    }

    /// Decodes a record.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, UnmarshalDispatcher, message::TimeTickMsg};
    /// let record = (&TimeTickMsg::new(Timestamp(5)) as &dyn TsMsg).to_record();
    /// let message = UnmarshalDispatcher::new().unmarshal(&record)?;
    /// assert_eq!(message.end_ts(), Timestamp(5));
    /// # Ok::<(), msgstream_core::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`DecodeError::UnknownType`] if the type isn't registered, with
    /// [`DecodeError::Unreadable`] if the record couldn't be read, and else with the error of the type's
    /// decoder.
    pub fn unmarshal(&self, record: &Record) -> Result<Box<dyn TsMsg>, DecodeError> {
        let msg_type = record.meta.msg_type;
        match self.templates.get(&msg_type) {
            Some(template) => template(record),
            None if msg_type == MsgType::UNREADABLE => {
                Err(DecodeError::Unreadable { reason: unreadable_reason(record) })
            }
            None => Err(DecodeError::UnknownType { msg_type }),
        }
    }
}

/// Returns the same as [`UnmarshalDispatcher::new`].
impl Default for UnmarshalDispatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for UnmarshalDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<_> = self.templates.keys().collect();
        f.debug_struct("UnmarshalDispatcher").field("types", &types).finish()
    }
}

#[cfg(test)]
mod tests;
