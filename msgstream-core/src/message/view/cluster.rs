//! Messages between nodes and between clusters.

use super::Repeated;
use crate::message::proto::{DataNodeTt, Replicate, SegmentRows};

view! {
    /// Borrows a [`DataNodeTtMsg`](crate::message::DataNodeTtMsg).
    DataNodeTtView<'a> of DataNodeTt {
        /// The channel.
        2 channel_name: &'a str,
        /// Everything up to here is done.
        3 timestamp: u64,
        /// What the channel's segments hold.
        4 segments_stats: Repeated<'a, SegmentRows>,
    }
}

fields!(<'a> SegmentRows { 1 segment_id 2 num_rows });

view! {
    /// Borrows a [`ReplicateMsg`](crate::message::ReplicateMsg).
    ReplicateView<'a> of Replicate {
        /// The replication ends here.
        2 is_end: bool,
        /// It is about the whole cluster.
        3 is_cluster: bool,
        /// The database, by name.
        4 database: &'a str,
        /// The collection, by name.
        5 collection: &'a str,
    }
}
