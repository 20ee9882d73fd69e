//! What can be said when a channel is created, and when a reader is opened.

use std::collections::BTreeMap;

use super::Start;
use crate::record::Incarnation;

/// How a channel is created, for [`Transport::create_with`](super::Transport::create_with).
///
/// ```
/// use msgstream_core::transport::CreateOptions;
/// let options = CreateOptions::new().with_property("owner", "billing");
/// assert_eq!(options.properties["owner"], "billing");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Properties that travel with the channel. None unless set.
    pub properties: BTreeMap<String, String>,
}

impl CreateOptions {
    /// Returns options with nothing set.
    #[must_use]
    pub const fn new() -> Self {
        Self { properties: BTreeMap::new() }
    }

    /// Adds a property.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

impl From<BTreeMap<String, String>> for CreateOptions {
    /// Returns options with these properties.
    fn from(properties: BTreeMap<String, String>) -> Self {
        Self { properties }
    }
}

/// How a reader is opened, for [`Transport::reader_with`](super::Transport::reader_with).
///
/// ```
/// use msgstream_core::record::Incarnation;
/// use msgstream_core::transport::{ReaderOptions, Start};
/// let options = ReaderOptions::new(Start::Latest).with_incarnation(Incarnation(7));
/// assert_eq!(options.incarnation, Some(Incarnation(7)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderOptions {
    /// Where it begins.
    pub start: Start,
    /// The incarnation that the channel must have; `None` is any.
    pub incarnation: Option<Incarnation>,
}

impl ReaderOptions {
    /// Returns the options of a reader that begins here, on any incarnation.
    #[must_use]
    pub const fn new(start: Start) -> Self {
        Self { start, incarnation: None }
    }

    /// Sets the incarnation that the channel must have.
    #[must_use]
    pub fn with_incarnation(mut self, incarnation: impl Into<Option<Incarnation>>) -> Self {
        self.incarnation = incarnation.into();
        self
    }
}
