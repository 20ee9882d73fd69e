//! Messages: timestamps, types, packs, and the built-in messages.

mod builtin;
mod error;
mod id;
mod msg_type;
mod pack;
pub mod proto;
mod serde_msg;
mod timestamp;
mod ts_msg;

pub use self::builtin::{
    CreateCollectionMsg, CreatePartitionMsg, DataNodeTtMsg, DeleteMsg, DropCollectionMsg,
    DropPartitionMsg, InsertMsg, MsgBody, ProtoMsg, ReplicateMsg, SearchMsg, SearchResultMsg,
    SegStatisticsMsg, TimeSyncMsg, TimeTickMsg,
};
pub use self::error::DecodeError;
pub use self::id::{next_msg_id, next_msg_ids};
pub use self::msg_type::{MsgType, MsgTypeNames};
pub use self::pack::{Decoded, Message, MsgPack, StoredMessage};
pub use self::serde_msg::{SerdeBody, SerdeMsg};
pub use self::timestamp::{Timestamp, TimestampError};
pub use self::ts_msg::{TsMsg, Unmarshal};
