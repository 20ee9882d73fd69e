//! The key of a record.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::{Header, Record};

/// The extra header that holds a record's key, see [`Record::with_key`].
///
/// Brokers that have a place for keys keep it there, where other programs find it, and not in a header.
///
/// ```
/// use msgstream_core::record::{KEY_HEADER, Record};
/// let record = Record::default().with_key("ann");
/// assert_eq!(record.header(KEY_HEADER).unwrap(), "ann");
/// ```
pub const KEY_HEADER: &str = "ms-key";

/// The name, shared by all records: many may have a key.
static NAME: LazyLock<Arc<str>> = LazyLock::new(|| KEY_HEADER.into());

/// Returns the header of a key.
pub(crate) fn key_header(key: impl Into<Bytes>) -> Header {
    Header::new(Arc::clone(&NAME), key)
}

impl Record {
    /// Sets the key: any bytes, by which other programs choose a partition, or compact the log.
    ///
    /// It means nothing to this library, which keeps it with the record: in the extra header
    /// [`KEY_HEADER`], so that records without one are no larger, and at the broker in the place
    /// that other programs read keys from.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// let record = Record::default().with_key("ann").with_key("bob");
    /// assert_eq!(record.key().unwrap(), "bob");
    /// ```
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        let key = key.into();
        match self.extra.iter_mut().find(|header| &*header.name == KEY_HEADER) {
            Some(header) => header.value = key,
            None => self.extra.push(key_header(key)),
        }
        self
    }

    /// Returns the key; `None` if it has none. An empty key is one.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// assert_eq!(Record::default().key(), None);
    /// assert_eq!(Record::default().with_key("").key().unwrap(), "");
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&Bytes> {
        self.header(KEY_HEADER)
    }
}
