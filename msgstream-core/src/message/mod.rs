//! Messages: timestamps, types, packs, and the built-in messages.

mod error;
mod msg_type;
mod pack;
mod timestamp;
mod ts_msg;

pub use self::error::DecodeError;
pub use self::msg_type::{MsgType, MsgTypeNames};
pub use self::pack::{Decoded, Message, MsgPack, StoredMessage};
pub use self::timestamp::{Timestamp, TimestampError};
pub use self::ts_msg::{TsMsg, Unmarshal};
