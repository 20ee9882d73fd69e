//! Views of the built-in messages, which borrow from the record instead of copying it.
//!
//! A view has the fields of the protobuf struct that it is named after, without the strings, lists and
//! maps of its own: for programs that need a few of them. [`MsgPack::decode`](crate::MsgPack::decode)
//! and [`FromRecord::from_record`](super::FromRecord::from_record) read a view wherever they read the
//! message. They check the whole record, and accept and refuse the same ones for the same reasons.
//! Afterwards nothing can fail.
//!
//! ```
//! use msgstream_core::MsgPack;
//! use msgstream_core::message::view::InsertView;
//!
//! fn bytes(pack: &MsgPack) -> Result<usize, msgstream_core::Error> {
//!     let mut bytes = 0;
//!     for insert in pack.decode::<InsertView>() {
//!         bytes += insert?.value.row_data.iter().map(|row| row.value.len()).sum::<usize>();
//!     }
//!     Ok(bytes)
//! }
//! # assert_eq!(bytes(&MsgPack::default())?, 0);
//! # Ok::<(), msgstream_core::Error>(())
//! ```
//!
//! A view lives as long as its pack. Decode the message itself to keep it longer or to send it.

#[macro_use]
mod field;
#[macro_use]
mod message;
mod base;
mod cluster;
mod data;
mod query;
mod repeated;
mod schema;
mod tick;
mod wire;

pub use self::base::{MsgBaseView, ReplicateInfoView};
pub use self::cluster::{DataNodeTtView, ReplicateView};
pub use self::data::{BlobView, DeleteView, IdFieldView, IdsView, InsertView};
pub use self::query::{SearchResultView, SearchView, SegStatisticsView};
pub use self::repeated::{Repeated, RepeatedIter};
pub use self::schema::{
    CreateCollectionView, CreatePartitionView, DropCollectionView, DropPartitionView,
};
pub use self::tick::{TimeSyncView, TimeTickView};
