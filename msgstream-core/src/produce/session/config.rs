//! The configuration of a session.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::Timestamp;
use crate::record::is_producer_id;

/// Configures the session of a producer: its id, its home channel, and how it handles failures.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::produce::SessionConfig;
/// let config = SessionConfig::new("billing-3").with_retry_for(Duration::from_secs(20));
/// assert_eq!((config.producer(), config.home()), ("billing-3", "billing-3.home"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    pub(super) producer: Arc<str>,
    pub(super) home: Arc<str>,
    /// The home channel is the producer's own, and created if it is missing.
    pub(super) own_home: bool,
    pub(super) retry_for: Duration,
    pub(super) scan_since: Option<Timestamp>,
    pub(super) window_bytes: usize,
}

impl SessionConfig {
    /// Returns the configuration of a session of this producer. Its id is 1 to 64 letters, digits,
    /// `.`, `_` and `-`, and stays the same when the producer restarts. Opening refuses any other.
    ///
    /// The home channel decides which of two sessions of a producer is the newer one. It is the id
    /// with `.home` after it, and is created if it is missing, unless
    /// [`with_home`](Self::with_home) names another one.
    ///
    /// A record is sent again for up to a minute, and 4 MiB may be in flight on each channel.
    ///
    /// ```
    /// # use msgstream_core::produce::SessionConfig;
    /// let config = SessionConfig::new("billing-3");
    /// assert_eq!(config.home(), "billing-3.home");
    /// ```
    #[must_use]
    pub fn new(producer: impl Into<Arc<str>>) -> Self {
        let producer = producer.into();
        let home = format!("{producer}.home").into();
        let retry_for = Duration::from_secs(60);
        let window_bytes = 4 << 20;
        Self { producer, home, own_home: true, retry_for, scan_since: None, window_bytes }
    }

    /// Sets the home channel, which must exist. Use the same one at every start. A channel without
    /// messages is best: it stays small, so opening and confirming read little. It must not be
    /// deleted while other channels have records of the producer.
    ///
    /// ```
    /// # use msgstream_core::produce::SessionConfig;
    ///
    /// let config = SessionConfig::new("billing-3").with_home("billing.home");
    /// assert_eq!(config.home(), "billing.home");
    /// ```
    #[must_use]
    pub fn with_home(mut self, channel: impl Into<Arc<str>>) -> Self {
        (self.home, self.own_home) = (channel.into(), false);
        self
    }

    /// Checks the producer's id and the window.
    pub(super) fn check(&self) -> Result<()> {
        let refused = if !is_producer_id(&self.producer) {
            let id = self.producer.escape_debug();
            format!("`{id}` is not a producer id: use 1 to 64 letters, digits, `.`, `_`, `-`")
        } else if self.window_bytes == 0 {
            "the session's window is 0 bytes, so it can't write: set `window_bytes` to more"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Config { reason: refused })
    }

    /// Sets for how long a record is sent again after its first failure before the session gives
    /// up, and how long opening may take. One minute unless set.
    ///
    /// It must be shorter than consumers remember a producer, see
    /// [`ProducerLimits`](crate::consume::ProducerLimits): what is sent again later than that is
    /// delivered twice.
    ///
    /// ```
    /// # use msgstream_core::produce::SessionConfig;
    ///
    /// let config = SessionConfig::new("billing-3").with_retry_for(std::time::Duration::from_secs(20));
    /// ```
    #[must_use]
    pub const fn with_retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// Sets a wall-clock time from which opening reads the channels, instead of from their
    /// beginning.
    ///
    /// Since that time, an exact tick or a base of the producer must have been acknowledged on each
    /// channel: a tick that no message after it was sent ahead of. A base is written at each
    /// opening, and with messages that are a minute or more after the last exact tick or base. So
    /// the time may be two minutes before the last message that the
    /// producer is known to have written.
    ///
    /// Opening relies on this promise. If it finds nothing, or nothing valid, it reads from the
    /// beginning all the same; but if only a late copy of an older tick is there, it returns a
    /// sequence number that is too low. It also reads from the beginning if the transport can't
    /// seek by time. The home channel is always read from its beginning.
    ///
    /// ```
    /// # use msgstream_core::produce::SessionConfig;
    ///
    /// # use msgstream_core::Timestamp;
    /// let two_minutes_before_the_last_message = Timestamp::from_unix_millis(1_700_000_000_000)?;
    /// let config = SessionConfig::new("billing-3").with_scan_since(two_minutes_before_the_last_message);
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub const fn with_scan_since(mut self, since: Timestamp) -> Self {
        self.scan_since = Some(since);
        self
    }

    /// Sets how many bytes may be in flight on each channel, counted as
    /// [`Record::footprint`](crate::record::Record::footprint). They are kept in memory until they
    /// are acknowledged, to be sent again. A single batch may exceed the window. Opening refuses 0.
    ///
    /// ```
    /// # use msgstream_core::produce::SessionConfig;
    ///
    /// let config = SessionConfig::new("billing-3").with_window_bytes(16 << 20);
    /// ```
    #[must_use]
    pub const fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// Returns the producer's id.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// Returns the home channel.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.home
    }
}
