//! Options of creating a channel and of opening a reader.

use std::collections::BTreeMap;

use super::Start;
use crate::record::Incarnation;

/// Options of a new channel, for [`Transport::create_with`](super::Transport::create_with).
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
    ///
    /// ```
    /// use msgstream_core::transport::CreateOptions;
    /// assert!(CreateOptions::new().properties.is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { properties: BTreeMap::new() }
    }

    /// Adds a property.
    ///
    /// ```
    /// use msgstream_core::transport::CreateOptions;
    /// let options = CreateOptions::new().with_property("owner", "billing");
    /// assert_eq!(options.properties.len(), 1);
    /// ```
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

/// Options of a reader, for [`Transport::reader_with`](super::Transport::reader_with).
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
    /// Where the reader begins.
    pub start: Start,
    /// The incarnation that the channel must have; `None` for any.
    pub incarnation: Option<Incarnation>,
}

impl ReaderOptions {
    /// Returns the options of a reader that begins here, on any incarnation.
    ///
    /// ```
    /// use msgstream_core::transport::{ReaderOptions, Start};
    /// assert_eq!(ReaderOptions::new(Start::Earliest).incarnation, None);
    /// ```
    #[must_use]
    pub const fn new(start: Start) -> Self {
        Self { start, incarnation: None }
    }

    /// Sets the incarnation that the channel must have.
    ///
    /// ```
    /// use msgstream_core::transport::{ReaderOptions, Start, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let incarnation = broker.describe("orders").await?.incarnation;
    /// let options = ReaderOptions::new(Start::Earliest).with_incarnation(incarnation);
    /// let reader = broker.reader_with("orders", options).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_incarnation(mut self, incarnation: impl Into<Option<Incarnation>>) -> Self {
        self.incarnation = incarnation.into();
        self
    }
}
