//! Time ticks and merged progress.

use super::Repeated;
use crate::message::proto::{PeerProgress, TimeSync, TimeTick};

view! {
    /// Borrows a [`TimeTickMsg`](crate::message::TimeTickMsg).
    TimeTickView<'a> of TimeTick {}
}

view! {
    /// Borrows a [`TimeSyncMsg`](crate::message::TimeSyncMsg).
    TimeSyncView<'a> of TimeSync {
        /// Each producer's own progress.
        2 peers: Repeated<'a, PeerProgress>,
    }
}

fields!(<'a> PeerProgress { 1 peer_id 2 timestamp });
