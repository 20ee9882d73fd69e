//! Whether a session is still the newest of its producer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::counts::Counts;
use super::retry::deadline;
use super::scan::Scan;
use super::shared::Shared;
use super::writer::QueueWriter;
use crate::error::{Error, Result};
use crate::record::{Origin, Position, Stamp};
use crate::transport::{ChannelWriter, TransportError, TransportErrorKind};

/// A session that was opened.
pub(crate) struct Session {
    origin: Arc<Origin>,
    retry_for: Duration,
    counts: Counts,
    home: Home,
    fenced: Option<Position>,
}

/// The home channel.
pub(super) struct Home {
    pub(super) shared: Arc<Shared>,
    pub(super) scan: Scan,
    /// The writer, if the session writes no messages there.
    pub(super) writer: Option<QueueWriter>,
}

impl Session {
    pub(super) const fn new(
        origin: Arc<Origin>,
        retry_for: Duration,
        counts: Counts,
        home: Home,
    ) -> Self {
        Self { origin, retry_for, counts, home, fenced: None }
    }

    /// Returns the session's stamp for records that are about to be written, so that their size is
    /// checked with it. Its number is the longest possible; the writer replaces it.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { origin: self.origin.clone(), seq: u64::MAX }
    }

    /// # Errors
    /// [`Error::Fenced`] once confirming found a newer epoch.
    pub(crate) fn alive(&self) -> Result<()> {
        let Some(by) = self.fenced else { return Ok(()) };
        let Origin { producer, epoch } = &*self.origin;
        Err(Error::Fenced { producer: producer.to_string(), epoch: *epoch, by })
    }

    /// Checks that no newer epoch began before everything that was acknowledged so far.
    ///
    /// This writes a base to the home channel and reads up to it. The end of the log that a reader
    /// or the broker reports may be outdated; a record that was just appended is after all others.
    pub(crate) async fn confirm(&mut self) -> Result<()> {
        self.alive()?;
        let outcome = self.home.shared.mark().await;
        let channel = self.home.shared.lock().queue.channel().clone();
        let base = match (outcome.stored.first(), outcome.rest) {
            (Some(position), _) => *position,
            (None, Some(rest)) => return Err(rest.error.into()),
            (None, None) => return Ok(()),
        };
        let deadline = deadline(Instant::now(), self.retry_for);
        match timeout_at(deadline, self.home.scan.read_to(base, deadline)).await {
            Ok(read) => read?,
            Err(_) => {
                let kind = TransportErrorKind::TimedOut { after: self.retry_for };
                return Err(TransportError::new("confirm", kind).on(&*channel).into());
            }
        }
        self.fenced = self.home.scan.seen.newest().filter(|newest| *newest > self.origin.epoch);
        match self.fenced {
            Some(_) => self.counts.lock().fenced += 1,
            None => self.counts.lock().confirmed += 1,
        }
        self.alive()
    }

    /// Closes the writer of a home channel without messages.
    pub(crate) async fn close(&mut self) -> Result<()> {
        match &mut self.home.writer {
            Some(writer) => Ok(writer.close().await?),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("origin", &self.origin)
            .field("fenced", &self.fenced)
            .finish_non_exhaustive()
    }
}
