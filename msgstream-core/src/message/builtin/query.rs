//! Queries, their answers, and statistics.

use super::{MsgBody, ProtoMsg};
use crate::message::proto::{SearchRequest, SearchResults, SegStatistics};
use crate::record::MsgType;

/// A query.
///
/// ```
/// use msgstream_core::{TsMsg, message::SearchMsg, message::proto::SearchRequest};
/// let search = SearchMsg::new(SearchRequest { collection_id: 42, ..Default::default() });
/// assert_eq!(search.collection_id(), 42);
/// ```
pub type SearchMsg = ProtoMsg<SearchRequest>;

/// What one node found for a query.
///
/// ```
/// use msgstream_core::message::{SearchResultMsg, proto::SearchResults};
/// let result = SearchResultMsg::new(SearchResults { request_id: 7, ..Default::default() });
/// assert_eq!(result.body().request_id, 7);
/// ```
pub type SearchResultMsg = ProtoMsg<SearchResults>;

/// Statistics of the segments on one node.
///
/// ```
/// use msgstream_core::message::{SegStatisticsMsg, proto::SegStatistics};
/// let statistics = SegStatisticsMsg::new(SegStatistics { peer_id: 3, ..Default::default() });
/// assert_eq!(statistics.body().peer_id, 3);
/// ```
pub type SegStatisticsMsg = ProtoMsg<SegStatistics>;

impl MsgBody for SearchRequest {
    const MSG_TYPE: MsgType = MsgType::SEARCH;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}

impl MsgBody for SearchResults {
    const MSG_TYPE: MsgType = MsgType::SEARCH_RESULT;

    has_base!();

    fn collection_id(&self) -> i64 {
        self.collection_id
    }
}

impl MsgBody for SegStatistics {
    const MSG_TYPE: MsgType = MsgType::SEG_STATISTICS;

    has_base!();
}
