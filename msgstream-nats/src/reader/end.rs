//! Whether there is nothing more to read.

use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{ReadBatch, TransportErrorKind};
use tokio::time::{Instant, timeout};

use super::NatsReader;
use crate::admin::ApiError;
use crate::error::lost;

/// How long the end of a stream counts as seen while the consumer reports that it is idle.
const END: Duration = Duration::from_secs(10);

impl NatsReader {
    /// Asks the server whether everything was read, for a short time, because records wait for the
    /// answer. If none comes, the next read finds out.
    pub(super) async fn is_at_end(&mut self) -> bool {
        let asked = self.handle.stream_info(&self.stream);
        let Ok(Ok(info)) = timeout(self.handle.timeout() / 4, asked).await else { return false };
        let is_end = info.check(self.incarnation, self.next).is_ok() && info.end() == self.next;
        if is_end {
            self.end = Some((self.next, Instant::now()));
        }
        is_end
    }

    /// Returns an empty batch, after nothing came since a time, with whether the end is reached.
    pub(super) async fn look_for_end(&mut self, since: Instant) -> Result<ReadBatch, Failure> {
        let is_near = |(next, seen): (u64, Instant)| next == self.next && seen.elapsed() < END;
        let is_quiet =
            self.prefetch.as_ref().is_some_and(|prefetch| prefetch.is_quiet_since(since));
        let caught_up = (is_quiet && self.end.is_some_and(is_near)) || self.ask_for_end().await?;
        Ok(ReadBatch::new(Vec::new(), Position::new(self.next), caught_up))
    }

    /// Asks the server whether the end is reached. The stream's leader answers: a consumer on another
    /// server may lag behind it.
    async fn ask_for_end(&mut self) -> Result<bool, Failure> {
        let info = self.handle.stream_info(&self.stream).await?;
        info.check(self.incarnation, self.next)?;
        if info.end() != self.next {
            match self.handle.message_from(&self.stream, self.next).await {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(false),
                Err(ApiError::NoAnswer(Failure {
                    kind: TransportErrorKind::Denied { .. },
                    ..
                })) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
            let Some(prefetch) = &mut self.prefetch else { return Err(lost().into()) };
            if prefetch.peek()?.is_some() {
                return Ok(false);
            }
            // Nothing is left up to that end, so what stood there was deleted, if not by retention
            // or a trim.
            self.handle.stream_info(&self.stream).await?.check(self.incarnation, self.next)?;
            self.next = info.end();
        }
        self.end = Some((self.next, Instant::now()));
        Ok(true)
    }
}
