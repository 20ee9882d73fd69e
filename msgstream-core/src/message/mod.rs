//! Messages: a program's own types, the built-in messages, packs of them, and how they are encoded.

mod builtin;
mod convert;
mod dispatcher;
mod error;
mod event;
mod hash;
mod id;
mod pack;
pub mod proto;
mod serde_msg;
mod ts_msg;
pub mod view;

pub use self::builtin::{
    CreateCollectionMsg, CreatePartitionMsg, DataNodeTtMsg, DeleteMsg, DropCollectionMsg,
    DropPartitionMsg, InsertMsg, MsgBody, ProtoMsg, ReplicateMsg, SearchMsg, SearchResultMsg,
    SegStatisticsMsg, TimeSyncMsg, TimeTickMsg,
};
pub use self::convert::{Decode, FromRecord, IntoPack, Received};
pub use self::dispatcher::UnmarshalDispatcher;
pub use self::error::{DecodeError, UndecodableRecord};
pub use self::event::{Codec, EncodeError, Event, EventMsg, Json, Proto};
pub use self::hash::{hash_i64, hash_str};
pub use self::id::{next_msg_id, next_msg_ids};
pub use self::pack::{Decoded, Message, MsgPack, StoredMessage};
pub use self::serde_msg::{SerdeBody, SerdeMsg};
pub use self::ts_msg::{REPLICATE_ID, TsMsg, Unmarshal};
