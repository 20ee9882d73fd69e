//! What is known of a channel.

use std::collections::BTreeMap;

use crate::record::{Incarnation, Position};

/// What [`Transport::describe`](super::Transport::describe) returns.
///
/// ```
/// use msgstream_core::transport::{Transport, TransportExt};
/// use msgstream_core::record::Record;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// # broker.create("orders").await?;
/// broker.writer("orders").await?.submit(vec![Record::default()]).await;
/// let info = broker.describe("orders").await?;
/// assert!(info.first.is_some_and(|first| first < info.end));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Which incarnation of the channel this is; [`Incarnation::UNKNOWN`] if the broker doesn't know,
    /// as always if the capability `incarnations` is false.
    pub incarnation: Incarnation,
    /// No record before this position is left; the first that is left may stand later. `None` if it
    /// is known that no record is left.
    pub first: Option<Position>,
    /// The earliest position that the next record may have: greater than every record's.
    pub end: Position,
    /// How many records the channel holds, time ticks among them. `None` if the broker doesn't know it
    /// exactly.
    pub records: Option<u64>,
    /// The properties that the channel was created with.
    pub properties: BTreeMap<String, String>,
    /// The channel that this one is a part of, if it is a virtual channel; `None` for any other.
    pub physical: Option<String>,
}

impl ChannelInfo {
    /// Returns the description of a channel. For those who write a transport.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use msgstream_core::record::{Incarnation, Position};
    /// use msgstream_core::transport::ChannelInfo;
    /// let info = ChannelInfo::new(Incarnation(7), None, Position::new(0), BTreeMap::new());
    /// assert_eq!(info.incarnation, Incarnation(7));
    /// ```
    #[must_use]
    pub const fn new(
        incarnation: Incarnation,
        first: Option<Position>,
        end: Position,
        properties: BTreeMap<String, String>,
    ) -> Self {
        Self { incarnation, first, end, records: None, properties, physical: None }
    }

    /// Sets the number of records.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use msgstream_core::record::{Incarnation, Position};
    /// use msgstream_core::transport::ChannelInfo;
    /// let first = Some(Position::new(2));
    /// let info = ChannelInfo::new(Incarnation(7), first, Position::new(5), BTreeMap::new());
    /// assert_eq!(info.with_records(3).records, Some(3));
    /// ```
    #[must_use]
    pub fn with_records(mut self, records: u64) -> Self {
        self.records = Some(records);
        self
    }

    /// Sets the channel that this one is a part of. Its records are a part of that channel's, so
    /// their number and the properties of the whole are removed.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use msgstream_core::record::{Incarnation, Position};
    /// use msgstream_core::transport::ChannelInfo;
    /// let whole = ChannelInfo::new(Incarnation(7), None, Position::new(0), BTreeMap::new());
    /// let part = whole.with_records(3).as_part_of("dml_3");
    /// assert_eq!((part.physical.as_deref(), part.records), (Some("dml_3"), None));
    /// ```
    #[must_use]
    pub fn as_part_of(mut self, physical: impl Into<String>) -> Self {
        (self.records, self.properties) = (None, BTreeMap::new());
        self.physical = Some(physical.into());
        self
    }
}
