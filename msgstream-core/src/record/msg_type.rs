//! Message types by number, and their names in record headers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a message, as a number.
///
/// The set of types is open: a program may use numbers of its own, see
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
    /// The type of a record whose metadata can't be read.
    UNREADABLE = 0;
    /// Creates a collection.
    CREATE_COLLECTION = 100;
    /// Drops a collection.
    DROP_COLLECTION = 101;
    /// Creates a partition.
    CREATE_PARTITION = 200;
    /// Drops a partition.
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
    /// A time tick: the promise that no message at or before its timestamp follows on this channel.
    TIME_TICK = 1200;
    /// The merged progress of several producers.
    TIME_SYNC = 1201;
    /// How far a data node has read a channel.
    DATA_NODE_TT = 1208;
    /// A mark in a channel that is replicated from another cluster.
    REPLICATE = 1212;
}

impl fmt::Display for MsgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A table of the names of message types, which the record header `msg_type` carries.
///
/// A type without a name is written as its decimal number, and a decimal number is read as a type.
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
    /// Returns a table without names: every type is written as its number.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// assert_eq!(MsgTypeNames::empty().name(MsgType::INSERT), "400");
    /// ```
    #[must_use]
    pub const fn empty() -> Self {
        Self { names: BTreeMap::new(), types: BTreeMap::new() }
    }

    /// Returns the table of Milvus 2.x, for channels that are shared with a running Milvus.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// assert_eq!(MsgTypeNames::milvus_2x().name(MsgType(501)), "SearchResult");
    /// ```
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

    /// Adds a name. It replaces earlier entries with the same number or the same name.
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

    /// Returns the name of a type, or its decimal number if it has none.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// let names = MsgTypeNames::default();
    /// assert_eq!(names.name(MsgType::INSERT), "Insert");
    /// assert_eq!(names.name(MsgType(70_001)), "70001");
    /// ```
    #[must_use]
    pub fn name(&self, msg_type: MsgType) -> Cow<'_, str> {
        match self.names.get(&msg_type) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(msg_type.0.to_string()),
        }
    }

    /// Returns the types that have names, in the order of their numbers.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// let names = MsgTypeNames::empty().with(MsgType(70_001), "Price");
    /// assert!(names.iter().eq([(MsgType(70_001), "Price")]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (MsgType, &str)> {
        self.names.iter().map(|(msg_type, name)| (*msg_type, &**name))
    }

    /// Returns the type of a name or of a decimal number; `None` if the text is neither.
    ///
    /// ```
    /// use msgstream_core::{MsgType, MsgTypeNames};
    /// let names = MsgTypeNames::default();
    /// assert_eq!(names.parse("Delete"), Some(MsgType::DELETE));
    /// assert_eq!(names.parse("Deleted"), None);
    /// ```
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<MsgType> {
        self.types.get(name).copied().or_else(|| name.parse().ok().map(MsgType))
    }
}

/// Returns the names of the design document.
impl Default for MsgTypeNames {
    fn default() -> Self {
        Self::shared_and(&[(1000, "SearchResult"), (1100, "SegStatistics"), (1201, "TimeSync")])
    }
}

#[cfg(test)]
mod tests;
