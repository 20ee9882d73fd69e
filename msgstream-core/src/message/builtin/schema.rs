//! Collections and partitions.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{
    CreateCollectionRequest, CreatePartitionRequest, DropCollectionRequest, DropPartitionRequest,
};
use crate::record::MsgType;

/// A collection begins.
pub type CreateCollectionMsg = ProtoMsg<CreateCollectionRequest>;

/// A collection ends.
pub type DropCollectionMsg = ProtoMsg<DropCollectionRequest>;

/// A partition begins.
pub type CreatePartitionMsg = ProtoMsg<CreatePartitionRequest>;

/// A partition ends.
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
