//! Rows to insert and keys to delete.

use super::Repeated;
use super::field::Fields;
use super::wire::{Key, skip};
use crate::message::DecodeError;
use crate::message::builtin::{check_delete, check_insert};
use crate::message::proto::{DeleteRequest, InsertDataVersion, InsertRequest};

view! {
    /// Borrows an [`InsertMsg`](crate::message::InsertMsg).
    ///
    /// ```
    /// use msgstream_core::message::view::InsertView;
    /// use msgstream_core::message::{FromRecord, InsertMsg, proto::{Blob, InsertRequest}};
    /// use msgstream_core::TsMsg;
    ///
    /// let request = InsertRequest {
    ///     collection_name: "orders".into(),
    ///     row_ids: vec![1],
    ///     row_data: vec![Blob { value: "a row".into() }],
    ///     ..Default::default()
    /// };
    /// let record = (&InsertMsg::new(request) as &dyn TsMsg).to_record();
    ///
    /// let insert = InsertView::from_record(&record)?;
    /// assert_eq!(insert.collection_name, "orders");
    /// assert!(insert.row_data.iter().all(|row| row.value == b"a row"));
    /// # Ok::<(), msgstream_core::DecodeError>(())
    /// ```
    InsertView<'a> of InsertRequest, checked by InsertView::check {
        /// The virtual channel.
        2 shard_name: &'a str,
        /// The database, by name.
        3 db_name: &'a str,
        /// The collection, by name.
        4 collection_name: &'a str,
        /// The partition, by name.
        5 partition_name: &'a str,
        /// The database.
        6 db_id: i64,
        /// The collection.
        7 collection_id: i64,
        /// The partition.
        8 partition_id: i64,
        /// The segment.
        9 segment_id: i64,
        /// The time of each row.
        10 timestamps: Repeated<'a, u64>,
        /// The id of each row.
        11 row_ids: Repeated<'a, i64>,
        /// The rows, in a row-based request.
        12 row_data: Repeated<'a, BlobView<'a>>,
        /// The columns, in a column-based request: each an encoded FieldData.
        13 fields_data: Repeated<'a, &'a [u8]>,
        /// How many rows there are. Row-based requests may leave it at 0.
        14 num_rows: u64,
        /// Whether the rows are in row_data or in fields_data.
        15 version: i32,
        /// The namespace, where there is one.
        16 namespace: Option<&'a str>,
    }
}

view! {
    /// Borrows a [`Blob`](crate::message::proto::Blob).
    BlobView<'a> {
        /// The bytes.
        1 value: &'a [u8],
    }
}

view! {
    /// Borrows a [`DeleteMsg`](crate::message::DeleteMsg).
    DeleteView<'a> of DeleteRequest, checked by DeleteView::check {
        /// The virtual channel.
        2 shard_name: &'a str,
        /// The database, by name.
        3 db_name: &'a str,
        /// The collection, by name.
        4 collection_name: &'a str,
        /// The partition, by name.
        5 partition_name: &'a str,
        /// The database.
        6 db_id: i64,
        /// The collection.
        7 collection_id: i64,
        /// The partition.
        8 partition_id: i64,
        /// The keys in the old form, which counts where primary_keys is absent.
        9 int64_primary_keys: Repeated<'a, i64>,
        /// The time of each key.
        10 timestamps: Repeated<'a, u64>,
        /// How many keys there are.
        11 num_rows: i64,
        /// The keys.
        12 primary_keys: Option<IdsView<'a>>,
        /// The segment.
        13 segment_id: i64,
    }
}

/// Borrows [`Ids`](crate::message::proto::Ids).
#[derive(Clone, Debug, Default)]
pub struct IdsView<'a> {
    /// The kind.
    pub id_field: Option<IdFieldView<'a>>,
}

/// Borrows an [`IdField`](crate::message::proto::ids::IdField).
#[derive(Clone, Debug)]
pub enum IdFieldView<'a> {
    /// Numbers.
    IntId(Repeated<'a, i64>),
    /// Strings.
    StrId(Repeated<'a, &'a str>),
}

impl<'a> Fields<'a> for IdsView<'a> {
    fn merge_field(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        // Keys of one kind are merged, those of the other kind replace them.
        match (key.tag, &mut self.id_field) {
            (1, Some(IdFieldView::IntId(keys))) => keys.merge_array(key, input),
            (2, Some(IdFieldView::StrId(keys))) => keys.merge_array(key, input),
            (1, field) => {
                let mut keys = Repeated::default();
                keys.merge_array(key, input)?;
                *field = Some(IdFieldView::IntId(keys));
                Some(())
            }
            (2, field) => {
                let mut keys = Repeated::default();
                keys.merge_array(key, input)?;
                *field = Some(IdFieldView::StrId(keys));
                Some(())
            }
            _ => skip(key, input),
        }
    }
}

nested!(<'a> IdsView<'a>);

impl InsertView<'_> {
    /// Returns the number of rows: the greatest of `num_rows` and the lengths of the row timestamps, the
    /// row ids and the rows of a row-based request.
    #[must_use]
    pub fn rows(&self) -> usize {
        let lists = self.timestamps.len().max(self.row_ids.len()).max(self.row_based());
        usize::try_from(self.num_rows).unwrap_or(usize::MAX).max(lists)
    }

    fn row_based(&self) -> usize {
        match InsertDataVersion::try_from(self.version).unwrap_or_default() {
            InsertDataVersion::RowBased => self.row_data.len(),
            InsertDataVersion::ColumnBased => 0,
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        check_insert(self.num_rows, self.timestamps.len(), self.row_ids.len(), self.row_based())
    }
}

impl DeleteView<'_> {
    /// Returns the number of keys, in the new form or else in the old one.
    #[must_use]
    pub fn keys(&self) -> usize {
        match self.primary_keys.as_ref().map(|ids| &ids.id_field) {
            None => self.int64_primary_keys.len(),
            Some(None) => 0,
            Some(Some(IdFieldView::IntId(keys))) => keys.len(),
            Some(Some(IdFieldView::StrId(keys))) => keys.len(),
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        check_delete(self.num_rows, self.timestamps.len(), self.keys())
    }
}
