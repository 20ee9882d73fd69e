//! How a session behaves.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::Timestamp;
use crate::record::is_producer_id;

/// Who produces, and what it does about failures.
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
    /// The home channel is nobody else's, and made where it is missing.
    pub(super) own_home: bool,
    pub(super) retry_for: Duration,
    pub(super) scan_since: Option<Timestamp>,
    pub(super) window_bytes: usize,
}

impl SessionConfig {
    /// Returns the configuration of a session of a producer. Its id is 1 to 64 letters, digits, `.`,
    /// `_` and `-`, and stays the same when the producer starts again; opening refuses any other.
    ///
    /// The home channel is where starters of the session meet. It is the id with `.home` after it,
    /// and is created if it is missing, unless [`with_home`](Self::with_home) names another one.
    ///
    /// A record is tried again for a minute, and 4 MiB may be in flight on each channel.
    #[must_use]
    pub fn new(producer: impl Into<Arc<str>>) -> Self {
        let producer = producer.into();
        let home = format!("{producer}.home").into();
        let retry_for = Duration::from_secs(60);
        Self { producer, home, own_home: true, retry_for, scan_since: None, window_bytes: 4 << 20 }
    }

    /// Sets the home channel, which has to be there: always the same one. One of its own, without
    /// messages, is best: it stays small, so that opening and confirming read little. It must not be
    /// deleted while there are records of the session elsewhere.
    #[must_use]
    pub fn with_home(mut self, channel: impl Into<Arc<str>>) -> Self {
        (self.home, self.own_home) = (channel.into(), false);
        self
    }

    /// Refuses what no session can be opened with.
    pub(super) fn check(&self) -> Result<()> {
        let refused = if !is_producer_id(&self.producer) {
            let id = self.producer.escape_debug();
            format!(
                "`{id}` can't be a producer's id: it must be 1 to 64 letters, digits, `.`, `_`, `-`"
            )
        } else if self.window_bytes == 0 {
            "with 0 bytes in flight a session can't write: allow more".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Config { reason: refused })
    }

    /// How long a record is tried again after its first failure, before the session gives up; and
    /// how long opening may take.
    ///
    /// It must be shorter than consumers remember a producer, see
    /// [`ProducerLimits`](super::ProducerLimits): what is sent again later is delivered again.
    #[must_use]
    pub const fn with_retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// A wall-clock time since when the producer surely wrote a tick or a base on each channel that
    /// was acknowledged: opening reads the channels from there, not from their beginning. A base is
    /// written at each opening, and with messages that are a minute or more after the last tick or
    /// base. So it may be two minutes before the last message that the producer is known to have
    /// written.
    ///
    /// It is a promise. Where nothing is found, or what is found is void, opening reads from the
    /// beginning all the same; but where only a late copy of an older tick is there, it tells a
    /// number that is too low. Without a time, or where the transport can't seek by one, opening
    /// reads from the beginning. The home channel it always does.
    #[must_use]
    pub const fn with_scan_since(mut self, since: Timestamp) -> Self {
        self.scan_since = Some(since);
        self
    }

    /// How many bytes may be in flight on each channel, counted as
    /// [`Record::footprint`](crate::record::Record::footprint). They are kept until they are
    /// acknowledged, to be sent again. A batch may exceed it. With 0, opening is refused.
    #[must_use]
    pub const fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// The producer's id.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// The home channel.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.home
    }
}
