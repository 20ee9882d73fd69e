//! Messages that are fetched one at a time, because the client library may be unable to parse them.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::{Limit, TransportErrorKind};

use super::NatsReader;
use crate::admin::ApiError;
use crate::client::Slot;
use crate::raw;

/// How many messages are fetched alone after one that the library can't parse: there may be more,
/// and opening a connection again costs as much.
const CALM: usize = 4;

impl NatsReader {
    /// Fetches messages one at a time, until enough in a row can be parsed by the client library.
    pub(super) async fn fetch(&mut self, limit: Limit) -> Result<(), Failure> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let (mut next, mut alone, mut is_apart) = (self.next, self.alone, self.is_apart);
        while alone > 0 && records.len() < limit.records.max(1) && bytes < limit.bytes.max(1) {
            let message = match self.handle.message_at(&self.stream, next).await {
                Ok(Some(message)) => message,
                // It was deleted, or is still to come.
                Ok(None) => {
                    alone = 0;
                    break;
                }
                Err(ApiError::NoAnswer(denied))
                    if matches!(denied.kind, TransportErrorKind::Denied { .. }) =>
                {
                    // Mostly the message is one that can be read, or is still to come, and the
                    // connection was just lost. So the prefetch has another try at it.
                    let is_first = self.forbidden.replace(next) != Some(next);
                    if !is_first && self.handle.stream_info(&self.stream).await?.end() > next {
                        return Err(denied);
                    }
                    alone = 0;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let (record, is_read) = raw::record(message, &self.names);
            alone = if is_read { alone - 1 } else { CALM };
            is_apart |= !is_read;
            bytes += record.footprint();
            next += 1;
            records.push(record);
        }
        if !records.is_empty() {
            // After they were fetched: they are of this stream, if it is still the one.
            let found = self.handle.stream_info(&self.stream).await?.incarnation();
            if found != self.incarnation {
                let expected = self.incarnation;
                return Err(TransportErrorKind::WrongIncarnation { expected, found }.into());
            }
        }
        if is_apart && !self.is_apart {
            tracing::warn!(
                channel = self.channel,
                from = self.next,
                "the channel has messages that make the client library end the connection; the reader uses a connection of its own from now on"
            );
            self.slot = Slot::apart();
        }
        (self.next, self.alone, self.is_apart, self.is_last) = (next, alone, is_apart, false);
        self.ready.extend(records);
        Ok(())
    }
}
