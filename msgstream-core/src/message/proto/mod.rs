//! The protobuf structs of the built-in messages.
//!
//! They are generated from the .proto files of this package. Fields of type `bytes` are
//! [`bytes::Bytes`] that share the memory of the payload that they were decoded from.

/// A module for each package of the .proto files, as the code in them takes it.
mod generated {
    include!("generated/msgstream.rs");

    pub(super) mod data {
        include!("generated/msgstream.data.rs");
    }
    pub(super) mod schema {
        include!("generated/msgstream.schema.rs");
    }
    pub(super) mod query {
        include!("generated/msgstream.query.rs");
    }
    pub(super) mod cluster {
        include!("generated/msgstream.cluster.rs");
    }
}

pub use self::generated::cluster::*;
pub use self::generated::data::*;
pub use self::generated::query::*;
pub use self::generated::schema::*;
pub use self::generated::{
    Envelope, MsgBase, MsgHeader, PeerProgress, ReplicateInfo, TimeSync, TimeTick,
};
use crate::record::Meta;
use crate::record::{MsgType, Timestamp};

impl MsgBase {
    /// Returns a base with a type and a time.
    ///
    /// ```
    /// use msgstream_core::{MsgType, Timestamp, message::proto::MsgBase};
    /// assert_eq!(MsgBase::new(MsgType::INSERT, Timestamp(7)).timestamp, 7);
    /// ```
    #[must_use]
    pub fn new(msg_type: MsgType, timestamp: Timestamp) -> Self {
        Self { msg_type: msg_type.0, timestamp: timestamp.0, ..Self::default() }
    }

    /// Returns the base of a message that has none, from its record's metadata.
    pub(crate) fn of(meta: &Meta) -> Self {
        Self { msg_id: meta.msg_id, ..Self::new(meta.msg_type, meta.timestamp) }
    }
}

impl InsertRequest {
    /// Returns the number of rows: the greatest of `num_rows` and the lengths of the row timestamps, the
    /// row ids and the rows of a row-based request.
    ///
    /// ```
    /// use msgstream_core::message::proto::InsertRequest;
    /// assert_eq!(InsertRequest { row_ids: vec![4, 5], ..Default::default() }.rows(), 2);
    /// ```
    #[must_use]
    pub fn rows(&self) -> usize {
        let row_data = match self.version() {
            InsertDataVersion::RowBased => self.row_data.len(),
            InsertDataVersion::ColumnBased => 0,
        };
        let lists = self.timestamps.len().max(self.row_ids.len()).max(row_data);
        usize::try_from(self.num_rows).unwrap_or(usize::MAX).max(lists)
    }
}

impl DeleteRequest {
    /// Returns the number of keys, in the new form or else in the old one.
    ///
    /// ```
    /// use msgstream_core::message::proto::DeleteRequest;
    /// assert_eq!(DeleteRequest { int64_primary_keys: vec![4], ..Default::default() }.keys(), 1);
    /// ```
    #[must_use]
    pub fn keys(&self) -> usize {
        match self.primary_keys.as_ref().map(|ids| &ids.id_field) {
            None => self.int64_primary_keys.len(),
            Some(None) => 0,
            Some(Some(ids::IdField::IntId(keys))) => keys.data.len(),
            Some(Some(ids::IdField::StrId(keys))) => keys.data.len(),
        }
    }
}
