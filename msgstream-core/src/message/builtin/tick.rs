//! Time ticks and merged progress.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{MsgBase, TimeSync, TimeTick};
use crate::record::{MsgType, Timestamp};

/// A time tick: the promise that no message at or before its timestamp follows on its channel.
///
/// ```
/// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
/// assert_eq!(TimeTickMsg::new(Timestamp(5)).end_ts(), Timestamp(5));
/// ```
pub type TimeTickMsg = ProtoMsg<TimeTick>;

/// The merged progress of several producers.
///
/// ```
/// use msgstream_core::{Timestamp, TsMsg, message::TimeSyncMsg};
/// assert_eq!(TimeSyncMsg::new(Timestamp(5)).end_ts(), Timestamp(5));
/// ```
pub type TimeSyncMsg = ProtoMsg<TimeSync>;

impl From<Timestamp> for TimeTick {
    fn from(ts: Timestamp) -> Self {
        Self { base: Some(MsgBase::new(MsgType::TIME_TICK, ts)) }
    }
}

impl MsgBody for TimeTick {
    const MSG_TYPE: MsgType = MsgType::TIME_TICK;

    has_base!();
}

impl From<Timestamp> for TimeSync {
    fn from(ts: Timestamp) -> Self {
        Self { base: Some(MsgBase::new(MsgType::TIME_SYNC, ts)), peers: Vec::new() }
    }
}

impl MsgBody for TimeSync {
    const MSG_TYPE: MsgType = MsgType::TIME_SYNC;

    has_base!();
}
