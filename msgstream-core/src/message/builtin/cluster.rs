//! What nodes and clusters tell each other.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{DataNodeTt, Replicate};
use crate::record::MsgType;

/// How far a node is on a channel. It promises nothing: a [`TimeTickMsg`](super::TimeTickMsg) does.
pub type DataNodeTtMsg = ProtoMsg<DataNodeTt>;

/// A mark in what another cluster wrote first.
pub type ReplicateMsg = ProtoMsg<Replicate>;

impl MsgBody for DataNodeTt {
    const MSG_TYPE: MsgType = MsgType::DATA_NODE_TT;

    has_base!();
}

impl MsgBody for Replicate {
    const MSG_TYPE: MsgType = MsgType::REPLICATE;

    has_base!();
}
