//! Packs to lines. Runs on a thread of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use msgstream::MsgPack;
use msgstream::message::SerdeMsg;
use tokio::sync::mpsc::Receiver;

use super::line::Line;
use super::tally::Tally;
use super::verify::Seen;
use crate::error::Result;
use crate::output::Lines;
use crate::row::Row;
use crate::time::Time;

/// Takes the packs that were consumed: counts, writes, and keeps hashes for the verification.
pub(crate) struct Sink {
    pub(crate) output: Option<Lines>,
    pub(crate) seen: Option<Seen>,
    /// Rows are seen here, and not in the output file afterwards.
    pub(crate) rows_seen: bool,
    pub(crate) tally: Arc<Tally>,
    pub(crate) ids: IdSet,
}

impl Sink {
    /// Takes packs until no more come, and returns what it saw of them.
    pub(crate) fn run(mut self, packs: &mut Receiver<MsgPack>) -> Result<Option<Seen>> {
        loop {
            // What is written is flushed before a wait.
            let next = match packs.try_recv() {
                Ok(pack) => Some(pack),
                Err(_) => {
                    self.output.as_mut().map_or(Ok(()), Lines::flush)?;
                    packs.blocking_recv()
                }
            };
            match next {
                Some(pack) => self.take(&pack)?,
                None => return Ok(self.seen),
            }
        }
    }

    fn take(&mut self, pack: &MsgPack) -> Result<()> {
        let (begin, end) = (pack.begin_ts.map(Time), Time(pack.end_ts));
        if let Some(seen) = &mut self.seen {
            seen.interval(pack.begin_ts, pack.end_ts);
        }
        for message in pack.msgs.iter().filter_map(|message| message.stored()) {
            let row: SerdeMsg<Row> = message.decode_as().map_err(msgstream::Error::from)?;
            let line = Line {
                begin,
                end,
                channel: &message.channel,
                ts: Time(message.record.meta.timestamp),
                late: message.late,
                row: &row.value().0,
            };
            if let Some(output) = &mut self.output {
                output.json(&line)?;
            }
            if let Some(seen) = self.seen.as_mut().filter(|_| self.rows_seen) {
                seen.line(&line)?;
            }
            if !self.ids.insert(message.record.meta.msg_id) {
                self.tally.duplicates.fetch_add(1, Relaxed);
            }
            self.tally.delivered.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

/// A set of ids that mostly follow one another: a bit for each.
#[derive(Debug, Default)]
pub(crate) struct IdSet(HashMap<i64, u64>);

impl IdSet {
    /// Whether the id is new.
    fn insert(&mut self, id: i64) -> bool {
        let word = self.0.entry(id >> 6).or_default();
        let bit = 1 << (id & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once() {
        let mut ids = IdSet::default();
        let all = [0, 1, 63, 64, -1, -64, i64::MAX, i64::MIN];
        assert!(all.iter().all(|id| ids.insert(*id)));
        assert!(!all.iter().any(|id| ids.insert(*id)));
    }
}
