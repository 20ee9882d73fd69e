//! A view accepts and refuses the same bytes as the message's own decoder, with the same values and
//! for the same reasons.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Debug;

use bytes::Bytes;
use msgstream_core::DecodeError;
use msgstream_core::message::proto::ids::IdField;
use msgstream_core::message::proto::*;
use msgstream_core::message::view::*;
use msgstream_core::message::{FromRecord, MsgBody, ProtoMsg};
use msgstream_core::record::{Meta, Record};
use msgstream_core::{MsgType, Timestamp};

/// What a value of a view is in the message.
trait Owned {
    type Owned;
    fn owned(self) -> Self::Owned;
}

/// Values that views have, too.
macro_rules! same {
    ($($type:ty)*) => {$(
        impl Owned for $type {
            type Owned = Self;
            fn owned(self) -> Self {
                self
            }
        }
    )*};
}

same!(bool u32 i32 u64 i64 PeerProgress SegmentRows SegmentStats);

impl Owned for &str {
    type Owned = String;
    fn owned(self) -> String {
        self.into()
    }
}

impl Owned for &[u8] {
    type Owned = Bytes;
    fn owned(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl<T: Owned> Owned for Option<T> {
    type Owned = Option<T::Owned>;
    fn owned(self) -> Self::Owned {
        self.map(Owned::owned)
    }
}

impl Owned for BTreeMap<&str, &str> {
    type Owned = BTreeMap<String, String>;
    fn owned(self) -> Self::Owned {
        self.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

impl<T: Owned> Owned for Repeated<'_, T>
where
    for<'r> &'r Self: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
{
    type Owned = Vec<T::Owned>;
    fn owned(self) -> Self::Owned {
        assert_eq!(self.into_iter().len(), self.len());
        let values: Vec<_> = self.into_iter().map(Owned::owned).collect();
        assert_eq!(values.len(), self.len());
        values
    }
}

/// Views, the structs that they borrow, and all fields.
macro_rules! views {
    ($($view:ident is $owned:ident { $($field:ident)* })*) => {$(
        impl Owned for $view<'_> {
            type Owned = $owned;
            fn owned(self) -> $owned {
                $owned { $($field: self.$field.owned(),)* }
            }
        }
    )*};
}

views! {
    MsgBaseView is MsgBase {
        msg_type msg_id timestamp source_id target_id properties replicate_info
    }
    ReplicateInfoView is ReplicateInfo { is_replicate msg_timestamp replicate_id }
    TimeTickView is TimeTick { base }
    TimeSyncView is TimeSync { base peers }
    DataNodeTtView is DataNodeTt { base channel_name timestamp segments_stats }
    ReplicateView is Replicate { base is_end is_cluster database collection }
    InsertView is InsertRequest {
        base shard_name db_name collection_name partition_name db_id collection_id partition_id
        segment_id timestamps row_ids row_data fields_data num_rows version namespace
    }
    BlobView is Blob { value }
    DeleteView is DeleteRequest {
        base shard_name db_name collection_name partition_name db_id collection_id partition_id
        int64_primary_keys timestamps num_rows primary_keys segment_id
    }
    IdsView is Ids { id_field }
    SearchView is SearchRequest {
        base request_id result_channel db_id collection_id partition_ids query
    }
    SearchResultView is SearchResults {
        base request_id result_channel collection_id error_code reason hits
    }
    SegStatisticsView is SegStatistics { base peer_id segments }
    CreateCollectionView is CreateCollectionRequest {
        base db_name collection_name partition_name db_id collection_id partition_id schema
        virtual_channel_names physical_channel_names partition_ids partition_names
        collection_schema
    }
    DropCollectionView is DropCollectionRequest {
        base db_name collection_name db_id collection_id
    }
    CreatePartitionView is CreatePartitionRequest {
        base db_name collection_name partition_name db_id collection_id partition_id
    }
    DropPartitionView is DropPartitionRequest {
        base db_name collection_name partition_name db_id collection_id partition_id
    }
}

impl Owned for IdFieldView<'_> {
    type Owned = IdField;
    fn owned(self) -> IdField {
        match self {
            Self::IntId(keys) => IdField::IntId(LongArray { data: keys.owned() }),
            Self::StrId(keys) => IdField::StrId(StringArray { data: keys.owned() }),
        }
    }
}

/// Compares all views with their messages. Returns how many were accepted.
pub(crate) fn compare_all(payload: &[u8]) -> usize {
    let mut meta = Meta::new(MsgType(1), Timestamp(7));
    meta.msg_id = 9;
    let record = Record::new(meta, Bytes::copy_from_slice(payload));
    let accepted = [
        compare::<InsertView, InsertRequest>(&record),
        compare::<DeleteView, DeleteRequest>(&record),
        compare::<SearchView, SearchRequest>(&record),
        compare::<SearchResultView, SearchResults>(&record),
        compare::<SegStatisticsView, SegStatistics>(&record),
        compare::<TimeTickView, TimeTick>(&record),
        compare::<TimeSyncView, TimeSync>(&record),
        compare::<CreateCollectionView, CreateCollectionRequest>(&record),
        compare::<DropCollectionView, DropCollectionRequest>(&record),
        compare::<CreatePartitionView, CreatePartitionRequest>(&record),
        compare::<DropPartitionView, DropPartitionRequest>(&record),
        compare::<DataNodeTtView, DataNodeTt>(&record),
        compare::<ReplicateView, Replicate>(&record),
    ];
    accepted.into_iter().filter(|accepted| *accepted).count()
}

fn compare<'a, V, B>(record: &'a Record) -> bool
where
    V: FromRecord<'a> + Owned<Owned = B> + Debug,
    B: MsgBody + PartialEq,
{
    assert_eq!(V::TYPE, B::MSG_TYPE);
    let reason = |error: DecodeError| (error.to_string(), error.source().map(ToString::to_string));
    let view = V::from_record(record).map(Owned::owned).map_err(reason);
    let message = ProtoMsg::<B>::from_record(record).map(ProtoMsg::into_body).map_err(reason);
    assert_eq!(view, message);
    view.is_ok()
}
