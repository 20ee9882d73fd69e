//! The configuration, from a URL or a program.

use msgstream_core::registry::{ConnectError, Url, parse_options};
use serde::Deserialize;

/// The limits of an instance. `None` keeps the limit of an instance that exists already; a new one has
/// no limit.
///
/// ```
/// use msgstream_mem::MemConfig;
/// let config = MemConfig::default().with_retention_bytes(64 << 20).with_max_payload(1 << 20);
/// assert_eq!(config.retention_bytes, Some(64 << 20));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemConfig {
    /// How much each channel keeps, in bytes, counted as
    /// [`Record::footprint`](msgstream_core::record::Record::footprint). What exceeds it is dropped,
    /// the oldest records first; the newest record always stays.
    pub retention_bytes: Option<u64>,
    /// The limit to the payload of a record, in bytes.
    pub max_payload: Option<usize>,
}

impl MemConfig {
    /// Reads the options of a URL.
    ///
    /// # Errors
    /// Fails with [`ConnectError`] if an option is unknown or has an invalid value.
    pub fn from_url(url: &Url) -> Result<Self, ConnectError> {
        parse_options(url)
    }

    /// Sets the retention, in bytes for each channel.
    #[must_use]
    pub const fn with_retention_bytes(mut self, bytes: u64) -> Self {
        self.retention_bytes = Some(bytes);
        self
    }

    /// Sets the limit to a payload, in bytes.
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }
}
