//! The built-in messages.

/// The two methods of [`MsgBody`] that are the same for every built-in struct.
macro_rules! has_base {
    () => {
        fn base(&self) -> &Option<$crate::message::proto::MsgBase> {
            &self.base
        }

        fn base_mut(&mut self) -> &mut Option<$crate::message::proto::MsgBase> {
            &mut self.base
        }
    };
}

mod cluster;
mod data;
mod proto_msg;
mod query;
mod schema;
mod tick;

pub use self::cluster::{DataNodeTtMsg, ReplicateMsg};
pub use self::data::{DeleteMsg, InsertMsg};
pub(super) use self::data::{check_delete, check_insert};
pub use self::proto_msg::{MsgBody, ProtoMsg};
pub use self::query::{SearchMsg, SearchResultMsg, SegStatisticsMsg};
pub use self::schema::{
    CreateCollectionMsg, CreatePartitionMsg, DropCollectionMsg, DropPartitionMsg,
};
pub use self::tick::{TimeSyncMsg, TimeTickMsg};
