//! Messages that create and drop collections and partitions.

use super::Repeated;
use crate::message::proto::{
    CreateCollectionRequest, CreatePartitionRequest, DropCollectionRequest, DropPartitionRequest,
};

view! {
    /// Borrows a [`CreateCollectionMsg`](crate::message::CreateCollectionMsg).
    CreateCollectionView<'a> of CreateCollectionRequest {
        /// The database, by name.
        2 db_name: &'a str,
        /// The collection, by name.
        3 collection_name: &'a str,
        /// The first partition, by name.
        4 partition_name: &'a str,
        /// The database.
        5 db_id: i64,
        /// The collection.
        6 collection_id: i64,
        /// The first partition.
        7 partition_id: i64,
        /// The collection's schema, encoded, passed on as it is.
        8 schema: &'a [u8],
        /// The virtual channels.
        9 virtual_channel_names: Repeated<'a, &'a str>,
        /// The channels that they are on.
        10 physical_channel_names: Repeated<'a, &'a str>,
        /// The partitions.
        11 partition_ids: Repeated<'a, i64>,
        /// The partitions, by name.
        12 partition_names: Repeated<'a, &'a str>,
        /// The schema in its newer form, an encoded CollectionSchema, passed on as it is.
        13 collection_schema: Option<&'a [u8]>,
    }
}

view! {
    /// Borrows a [`DropCollectionMsg`](crate::message::DropCollectionMsg).
    DropCollectionView<'a> of DropCollectionRequest {
        /// The database, by name.
        2 db_name: &'a str,
        /// The collection, by name.
        3 collection_name: &'a str,
        /// The database.
        4 db_id: i64,
        /// The collection.
        5 collection_id: i64,
    }
}

view! {
    /// Borrows a [`CreatePartitionMsg`](crate::message::CreatePartitionMsg).
    CreatePartitionView<'a> of CreatePartitionRequest {
        /// The database, by name.
        2 db_name: &'a str,
        /// The collection, by name.
        3 collection_name: &'a str,
        /// The partition, by name.
        4 partition_name: &'a str,
        /// The database.
        5 db_id: i64,
        /// The collection.
        6 collection_id: i64,
        /// The partition.
        7 partition_id: i64,
    }
}

view! {
    /// Borrows a [`DropPartitionMsg`](crate::message::DropPartitionMsg).
    DropPartitionView<'a> of DropPartitionRequest {
        /// The database, by name.
        2 db_name: &'a str,
        /// The collection, by name.
        3 collection_name: &'a str,
        /// The partition, by name.
        4 partition_name: &'a str,
        /// The database.
        5 db_id: i64,
        /// The collection.
        6 collection_id: i64,
        /// The partition.
        7 partition_id: i64,
    }
}
