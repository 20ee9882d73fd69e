//! Queries, their answers, and statistics.

use super::Repeated;
use crate::message::proto::{SearchRequest, SearchResults, SegStatistics, SegmentStats};

view! {
    /// Borrows a [`SearchMsg`](crate::message::SearchMsg).
    SearchView<'a> of SearchRequest {
        /// The query's id, which its results carry too.
        2 request_id: i64,
        /// The channel that the results go to.
        3 result_channel: &'a str,
        /// The database.
        4 db_id: i64,
        /// The collection.
        5 collection_id: i64,
        /// The partitions to look in; none means all.
        6 partition_ids: Repeated<'a, i64>,
        /// The query, as the program encodes it.
        7 query: &'a [u8],
    }
}

view! {
    /// Borrows a [`SearchResultMsg`](crate::message::SearchResultMsg).
    SearchResultView<'a> of SearchResults {
        /// The query's id.
        2 request_id: i64,
        /// The channel that the query asked for.
        3 result_channel: &'a str,
        /// The collection.
        4 collection_id: i64,
        /// 0 where the query succeeded.
        5 error_code: i32,
        /// Why it failed.
        6 reason: &'a str,
        /// The hits, as the program encodes them.
        7 hits: Repeated<'a, &'a [u8]>,
    }
}

view! {
    /// Borrows a [`SegStatisticsMsg`](crate::message::SegStatisticsMsg).
    SegStatisticsView<'a> of SegStatistics {
        /// The node.
        2 peer_id: i64,
        /// One entry a segment.
        3 segments: Repeated<'a, SegmentStats>,
    }
}

fields!(<'a> SegmentStats { 1 segment_id 2 memory_bytes 3 num_rows 4 recently_modified });
