//! Where a stream stands: everything needed to go on exactly where a pack ended.

use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::message::Timestamp;
use crate::session::ProducerState;
use crate::transport::{Incarnation, Position};

/// Where a [`TtMsgStream`](crate::TtMsgStream) stands after a pack.
///
/// It is a value: cheap to clone, and serialisable, so that it can be stored together with what
/// the packs led to. Resuming from it gives the packs that would have followed.
///
/// ```
/// use msgstream_core::checkpoint::Checkpoint;
/// let stored = serde_json::to_string(&Checkpoint::default())?;
/// assert_eq!(serde_json::from_str::<Checkpoint>(&stored)?, Checkpoint::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The end of the last pack; `None` before the first.
    pub frontier: Option<Timestamp>,
    /// One mark per channel. A persistent map: a pack shares what it didn't change with the packs
    /// before and after it.
    pub channels: OrdMap<Arc<str>, Mark>,
}

/// Where one channel stands in a [`Checkpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// Where reading goes on: the first record before `cut` that belongs to a later pack, else
    /// `cut`. A subscription may be acknowledged up to here, and no further.
    pub resume: Position,
    /// The floor just before `resume`.
    pub floor: Option<Timestamp>,
    /// The first tick at or after the frontier; `None` on a channel that had none while it
    /// was idle.
    pub cut: Option<Position>,
    /// Where the channel's producers stand at `cut`.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub producers: OrdMap<Arc<str>, ProducerState>,
    /// Where records from `resume` to `cut` were left out, as duplicates or void.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub dropped: Vector<Position>,
    /// Set on a channel that is idle: from this position on its floor is at least the
    /// checkpoint's frontier, though no tick says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Position>,
    /// The life of the channel that the positions belong to, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}
