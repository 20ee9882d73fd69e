//! The built-in messages.

mod data;
mod proto_msg;
mod query;
mod schema;
mod tick;

pub use self::data::{DeleteMsg, InsertMsg};
pub use self::proto_msg::{MsgBody, ProtoMsg};
pub use self::query::{SearchMsg, SearchResultMsg, SegStatisticsMsg};
pub use self::schema::{CreateCollectionMsg, CreatePartitionMsg, DropCollectionMsg};
pub use self::tick::{TimeSyncMsg, TimeTickMsg};
