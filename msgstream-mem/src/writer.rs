//! Writing.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportErrorKind,
};
use tokio::task::coop;

use crate::client::Attached;
use crate::compact::compact;

/// Appends at once: nothing is ever in flight, and a batch is stored whole or not at all.
#[derive(Debug)]
pub(crate) struct MemWriter {
    at: Attached,
    /// Why it accepts nothing more.
    ended: Option<TransportErrorKind>,
}

impl MemWriter {
    pub(crate) const fn new(at: Attached) -> Self {
        Self { at, ended: None }
    }

    fn check_open(&self) -> Result<(), TransportErrorKind> {
        self.at.handle.check_open()?;
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn check_sizes(&self, records: &[Record]) -> Result<(), TransportErrorKind> {
        let Some(limit) = self.at.handle.instance.config.max_payload else {
            return Ok(());
        };
        match records.iter().map(|r| r.payload.len()).find(|bytes| *bytes > limit) {
            Some(bytes) => Err(TransportErrorKind::TooLarge { bytes, limit }),
            None => Ok(()),
        }
    }

    fn append(&self, mut records: Vec<Record>) -> Result<Range<u64>, TransportErrorKind> {
        self.check_open()?;
        self.check_sizes(&records)?;
        let config = self.at.handle.instance.config;
        if config.retention_bytes.is_some() {
            compact(&mut records);
        }
        let now = unix_ms();
        let range = self.at.with_log(|log| {
            let range = log.append(records, now);
            if let Some(keep) = config.retention_bytes {
                log.retain(keep);
            }
            Ok(range)
        })?;
        self.at.channel.changed.notify_waiters();
        Ok(range)
    }
}

/// Returns the wall clock in milliseconds; a time before 1970 counts as 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl ChannelWriter for MemWriter {
    async fn ready(&mut self) -> Result<()> {
        // Never waits, but lets others run: a loop of writes would keep its thread for itself.
        coop::consume_budget().await;
        self.check_open().map_err(|kind| self.at.error("ready", kind))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.check_sizes(records).map_err(|kind| self.at.error("check", kind))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        Receipt::ready(match self.append(records) {
            Ok(range) => Outcome::stored(range.map(Position::new).collect()),
            Err(kind) => {
                self.ended.get_or_insert(TransportErrorKind::Poisoned);
                Outcome::partial(Vec::new(), Fate::NotStored, self.at.error("submit", kind))
            }
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.ended = Some(TransportErrorKind::Closed);
        Ok(())
    }
}
