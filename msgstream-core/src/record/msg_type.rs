//! Message types by number, and the names that stand for them in record headers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a message, as a number.
///
/// The type is open: a program may use any number of its own, see
/// [`UnmarshalDispatcher`](crate::UnmarshalDispatcher).
///
/// ```
/// use msgstream_core::MsgType;
/// const PRICE: MsgType = MsgType(70_001);
/// assert_ne!(PRICE, MsgType::INSERT);
/// ```
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MsgType(pub u32);

macro_rules! msg_types {
    ($($(#[$doc:meta])* $constant:ident = $number:literal;)*) => {
        impl MsgType {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*
        }
    };
}

msg_types! {
    /// No type: the record's metadata can't be read.
    UNREADABLE = 0;
    /// A collection begins.
    CREATE_COLLECTION = 100;
    /// A collection ends.
    DROP_COLLECTION = 101;
    /// A partition begins.
    CREATE_PARTITION = 200;
    /// A partition ends.
    DROP_PARTITION = 201;
    /// Rows to insert.
    INSERT = 400;
    /// Keys to delete.
    DELETE = 401;
    /// A query.
    SEARCH = 500;
    /// The answer to a query.
    SEARCH_RESULT = 1000;
    /// Statistics of segments.
    SEG_STATISTICS = 1100;
    /// A promise that nothing at or before its timestamp follows on this channel.
    TIME_TICK = 1200;
    /// The merged progress of several producers.
    TIME_SYNC = 1201;
    /// How far a node is on a channel.
    DATA_NODE_TT = 1208;
    /// A mark in what another cluster wrote first.
    REPLICATE = 1212;
}

impl fmt::Display for MsgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names of message types, as the record header `msg_type` carries them.
///
/// A type without a name goes by its decimal number, both ways.
///
/// ```
/// use msgstream_core::{MsgType, MsgTypeNames};
///
/// let names = MsgTypeNames::default();
/// assert_eq!(names.name(MsgType::TIME_TICK), "TimeTick");
/// assert_eq!(names.parse("Insert"), Some(MsgType::INSERT));
/// assert_eq!(names.name(MsgType(70_001)), "70001");
/// assert_eq!(names.parse("70001"), Some(MsgType(70_001)));
/// // Milvus 2.x moved three numbers of the design document.
/// assert_eq!(MsgTypeNames::milvus_2x().parse("SearchResult"), Some(MsgType(501)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsgTypeNames {
    names: BTreeMap<MsgType, Cow<'static, str>>,
    types: BTreeMap<Cow<'static, str>, MsgType>,
}

/// The names that the design document and Milvus 2.x share.
const SHARED: &[(u32, &str)] = &[
    (100, "CreateCollection"),
    (101, "DropCollection"),
    (106, "LoadCollection"),
    (107, "ReleaseCollection"),
    (200, "CreatePartition"),
    (201, "DropPartition"),
    (300, "CreateIndex"),
    (400, "Insert"),
    (401, "Delete"),
    (402, "Flush"),
    (404, "Upsert"),
    (405, "ManualFlush"),
    (408, "Import"),
    (500, "Search"),
    (1200, "TimeTick"),
    (1208, "DataNodeTt"),
    (1212, "Replicate"),
    (1801, "CreateDatabase"),
    (1802, "DropDatabase"),
];

impl MsgTypeNames {
    /// A table with no names: every type goes by its number.
    #[must_use]
    pub const fn empty() -> Self {
        Self { names: BTreeMap::new(), types: BTreeMap::new() }
    }

    /// The table of Milvus 2.x, for channels shared with a running Milvus.
    #[must_use]
    pub fn milvus_2x() -> Self {
        Self::shared_and(&[
            (501, "SearchResult"),
            (1201, "QueryNodeStats"),
            (1206, "SegmentStatistics"),
        ])
    }

    fn shared_and(more: &[(u32, &'static str)]) -> Self {
        let mut table = Self::empty();
        for (number, name) in SHARED.iter().chain(more) {
            table = table.with(MsgType(*number), *name);
        }
        table
    }

    /// The same table with one name more; an earlier use of the number or the name is replaced.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// let names = MsgTypeNames::default().with(MsgType(70_001), "Price");
    /// assert_eq!(names.name(MsgType(70_001)), "Price");
    /// ```
    #[must_use]
    pub fn with(mut self, msg_type: MsgType, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        if let Some(old) = self.names.insert(msg_type, name.clone()) {
            self.types.remove(&old);
        }
        if let Some(old) = self.types.insert(name, msg_type).filter(|t| *t != msg_type) {
            self.names.remove(&old);
        }
        self
    }

    /// The name of a type, else its decimal number.
    #[must_use]
    pub fn name(&self, msg_type: MsgType) -> Cow<'_, str> {
        match self.names.get(&msg_type) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(msg_type.0.to_string()),
        }
    }

    /// The type of a name or of a decimal number; `None` where it is neither.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<MsgType> {
        self.types.get(name).copied().or_else(|| name.parse().ok().map(MsgType))
    }
}

/// The design document's names.
impl Default for MsgTypeNames {
    fn default() -> Self {
        Self::shared_and(&[(1000, "SearchResult"), (1100, "SegStatistics"), (1201, "TimeSync")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_name_leaves_no_trace() {
        let names = MsgTypeNames::empty().with(MsgType(1), "a").with(MsgType(2), "a");
        assert_eq!(names.name(MsgType(1)), "1");
        assert_eq!(names.parse("a"), Some(MsgType(2)));
        let names = names.with(MsgType(2), "b");
        assert_eq!(names.parse("a"), None);
        assert_eq!(names.parse("b"), Some(MsgType(2)));
    }

    #[test]
    fn what_is_neither_name_nor_number_is_no_type() {
        let names = MsgTypeNames::default();
        for wrong in ["", "insert", "-1", "4294967296", " 400"] {
            assert_eq!(names.parse(wrong), None, "{wrong:?}");
        }
    }
}
