//! Messages that create and drop collections and partitions.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{
    CreateCollectionRequest, CreatePartitionRequest, DropCollectionRequest, DropPartitionRequest,
};
use crate::record::MsgType;

/// Creates a collection.
///
/// ```
/// use msgstream_core::message::{CreateCollectionMsg, proto::CreateCollectionRequest};
/// use msgstream_core::TsMsg;
/// let request = CreateCollectionRequest { collection_id: 42, ..Default::default() };
/// assert_eq!(CreateCollectionMsg::new(request).collection_id(), 42);
/// ```
pub type CreateCollectionMsg = ProtoMsg<CreateCollectionRequest>;

/// Drops a collection.
///
/// ```
/// use msgstream_core::message::{DropCollectionMsg, proto::DropCollectionRequest};
/// use msgstream_core::TsMsg;
/// let request = DropCollectionRequest { collection_id: 42, ..Default::default() };
/// assert_eq!(DropCollectionMsg::new(request).collection_id(), 42);
/// ```
pub type DropCollectionMsg = ProtoMsg<DropCollectionRequest>;

/// Creates a partition.
///
/// ```
/// use msgstream_core::message::{CreatePartitionMsg, proto::CreatePartitionRequest};
/// use msgstream_core::TsMsg;
/// let request = CreatePartitionRequest { collection_id: 42, ..Default::default() };
/// assert_eq!(CreatePartitionMsg::new(request).collection_id(), 42);
/// ```
pub type CreatePartitionMsg = ProtoMsg<CreatePartitionRequest>;

/// Drops a partition.
///
/// ```
/// use msgstream_core::message::{DropPartitionMsg, proto::DropPartitionRequest};
/// use msgstream_core::TsMsg;
/// let request = DropPartitionRequest { collection_id: 42, ..Default::default() };
/// assert_eq!(DropPartitionMsg::new(request).collection_id(), 42);
/// ```
pub type DropPartitionMsg = ProtoMsg<DropPartitionRequest>;

impl MsgBody for CreateCollectionRequest {
    const MSG_TYPE: MsgType = MsgType::CREATE_COLLECTION;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}

impl MsgBody for DropCollectionRequest {
    const MSG_TYPE: MsgType = MsgType::DROP_COLLECTION;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}

impl MsgBody for CreatePartitionRequest {
    const MSG_TYPE: MsgType = MsgType::CREATE_PARTITION;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}

impl MsgBody for DropPartitionRequest {
    const MSG_TYPE: MsgType = MsgType::DROP_PARTITION;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}
