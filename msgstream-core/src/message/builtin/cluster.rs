//! Messages between nodes and between clusters.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{DataNodeTt, Replicate};
use crate::record::MsgType;

/// How far a data node has read a channel. Unlike a [`TimeTickMsg`](super::TimeTickMsg) it promises
/// nothing.
///
/// ```
/// use msgstream_core::message::{DataNodeTtMsg, proto::DataNodeTt};
/// use msgstream_core::{Timestamp, TsMsg};
/// let mut progress = DataNodeTtMsg::new(DataNodeTt::default());
/// progress.set_ts(Timestamp(5));
/// assert_eq!(progress.end_ts(), Timestamp(5));
/// ```
pub type DataNodeTtMsg = ProtoMsg<DataNodeTt>;

/// A mark in a channel that is replicated from another cluster.
///
/// ```
/// use msgstream_core::message::{ReplicateMsg, proto::Replicate};
/// use msgstream_core::{MsgType, TsMsg};
/// assert_eq!(ReplicateMsg::new(Replicate::default()).msg_type(), MsgType::REPLICATE);
/// ```
pub type ReplicateMsg = ProtoMsg<Replicate>;

impl MsgBody for DataNodeTt {
    const MSG_TYPE: MsgType = MsgType::DATA_NODE_TT;

    has_base!();
}

impl MsgBody for Replicate {
    const MSG_TYPE: MsgType = MsgType::REPLICATE;

    has_base!();
}
