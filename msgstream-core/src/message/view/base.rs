//! What every message begins with.

use std::collections::BTreeMap;

use crate::record::Meta;

view! {
    /// Borrows a [`MsgBase`](crate::message::proto::MsgBase).
    MsgBaseView<'a> {
        /// The number of the message's type.
        1 msg_type: u32,
        /// The message's id.
        2 msg_id: i64,
        /// The message's time; of rows, the greatest of theirs.
        3 timestamp: u64,
        /// Who sent it.
        4 source_id: i64,
        /// Who it is for.
        5 target_id: i64,
        /// Free text by name.
        6 properties: BTreeMap<&'a str, &'a str>,
        /// Set on a message that another cluster wrote first.
        7 replicate_info: Option<ReplicateInfoView<'a>>,
    }
}

view! {
    /// Borrows a [`ReplicateInfo`](crate::message::proto::ReplicateInfo).
    ReplicateInfoView<'a> {
        /// The message was replicated.
        1 is_replicate: bool,
        /// Its time in the cluster that it comes from.
        2 msg_timestamp: u64,
        /// The name of the replication.
        3 replicate_id: &'a str,
    }
}

nested!(<'a> MsgBaseView<'a>);
nested!(<'a> ReplicateInfoView<'a>);

impl MsgBaseView<'_> {
    /// Returns the base of a message that has none, from its record's metadata.
    pub(super) fn of(meta: &Meta) -> Self {
        Self {
            msg_type: meta.msg_type.0,
            msg_id: meta.msg_id,
            timestamp: meta.timestamp.0,
            ..Self::default()
        }
    }
}
