//! Decides which records of sessions are accepted.

use super::Merge;
use super::channel::Channel;
use crate::dedup::Control;
use crate::dedup::{TooMany, Verdict};
use crate::error::{Error, Result};
use crate::record::MsgType;
use crate::record::{Record, Stamp, sent_ahead};

impl Merge {
    /// Returns whether a record is accepted: all without a stamp are, and each of the others once.
    #[inline]
    pub(super) fn admit(&mut self, channel: &mut Channel, record: &Record) -> Result<bool> {
        match &record.meta.stamp {
            None if record.extra.is_empty() => Ok(true),
            None => self.admit_control(channel, record),
            Some(stamp) => self.admit_stamped(channel, record, stamp),
        }
    }

    fn admit_stamped(
        &mut self,
        channel: &mut Channel,
        record: &Record,
        stamp: &Stamp,
    ) -> Result<bool> {
        let position = record.position;
        if channel.is_replay(position) {
            return Ok(!channel.dedup.left_out(position));
        }
        if channel.taken == Some(position) {
            return Ok(true);
        }
        let max = self.config.producer_limits.max;
        let judged = if record.meta.msg_type == MsgType::TIME_TICK {
            channel.dedup.tick(stamp, sent_ahead(record, stamp.seq).is_none(), max)
        } else {
            channel.dedup.message(stamp, max)
        };
        match judged.map_err(|TooMany| self.too_many(channel, record))? {
            Verdict::Accepted => {
                channel.taken = Some(position);
                self.note_missing(channel, &stamp.origin.producer);
                return Ok(true);
            }
            Verdict::Duplicate => self.counts.duplicates += 1,
            Verdict::Gap => self.counts.gaps += 1,
            Verdict::Fenced => self.counts.fenced += 1,
        }
        channel.dedup.leave_out(position);
        Ok(false)
    }

    fn admit_control(&mut self, channel: &mut Channel, record: &Record) -> Result<bool> {
        let Some((control, epoch)) = Control::read(record) else { return Ok(true) };
        self.counts.control += 1;
        if !channel.is_replay(record.position) {
            let max = self.config.producer_limits.max;
            let noted = channel.dedup.control(&control, epoch, max);
            noted.map_err(|TooMany| self.too_many(channel, record))?;
            self.note_missing(channel, &control.producer);
        }
        Ok(false)
    }

    /// Counts messages that their producer knows to be stored and that aren't in the channel.
    fn note_missing(&mut self, channel: &mut Channel, producer: &str) {
        let missing = channel.dedup.take_missing();
        if missing > 0 {
            self.counts.missing = self.counts.missing.saturating_add(missing);
            tracing::error!(
                channel = &*channel.name,
                producer,
                missing,
                "messages that were acknowledged are not in the channel"
            );
        }
    }

    fn too_many(&self, channel: &Channel, record: &Record) -> Error {
        Error::TooManyProducers {
            channel: channel.name.to_string(),
            position: record.position,
            limit: self.config.producer_limits.max,
        }
    }
}
