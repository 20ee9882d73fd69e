//! Which records of one channel count, in the channel's own order: [`ChannelFilter`].

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::{Control, Dedup, ProducerLimits, ProducerState, TooMany, Verdict};
use crate::record::{MsgType, Record, Stamp, Timestamp, is_end, sent_ahead};

/// Judges the records of one channel as a [`Consumer`](crate::Consumer) does: which messages and
/// ticks count, which are copies of others or void, and which messages are late.
///
/// It is for programs that need a channel as it is, in its own order and up to its last record, such
/// as one that copies it: packs have their messages in the order of time, and nothing after the last
/// tick. Every record goes through it, in order, from the position that reading began at.
///
/// It remembers producers as long as the default [`ProducerLimits`] say.
///
/// ```
/// use msgstream_core::consume::{ChannelFilter, Judgement};
/// use msgstream_core::record::{Meta, Record};
/// use msgstream_core::{MsgType, Timestamp};
///
/// let record = |msg_type, ts| Record::new(Meta::new(msg_type, Timestamp(ts)), "");
/// let mut filter = ChannelFilter::default();
/// let on_time = filter.judge(&record(MsgType::INSERT, 4))?;
/// assert_eq!(on_time, Judgement::Message { late: false });
/// assert_eq!(filter.judge(&record(MsgType::TIME_TICK, 5))?, Judgement::Tick);
///
/// // Another process goes on with the records that follow.
/// let mut filter = ChannelFilter::resume(&filter.state());
/// assert_eq!(filter.judge(&record(MsgType::INSERT, 5))?, Judgement::Message { late: true });
/// # Ok::<(), msgstream_core::consume::TooManyProducers>(())
/// ```
#[derive(Debug, Default)]
pub struct ChannelFilter {
    dedup: Dedup,
    watermark: Option<Timestamp>,
    ended: bool,
    limits: ProducerLimits,
}

/// What a record is, as [`ChannelFilter::judge`] returns it.
///
/// ```
/// use msgstream_core::consume::{ChannelFilter, Judgement};
/// use msgstream_core::record::{Header, Meta, Record, Stamp};
/// use msgstream_core::{MsgType, Timestamp};
///
/// let mut fence = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp::MIN), "");
/// fence.extra.push(Header::new(Stamp::HEADER, "billing;;fence;1"));
/// assert_eq!(ChannelFilter::default().judge(&fence)?, Judgement::Control);
/// # Ok::<(), msgstream_core::consume::TooManyProducers>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Judgement {
    /// A message that counts.
    Message {
        /// If true, its time isn't after the channel's watermark.
        late: bool,
    },
    /// A tick that raises the watermark. Consumers refuse one at [`Timestamp::MAX`].
    Tick,
    /// The channel's end.
    End,
    /// A tick that repeats an old one or goes back, which has no effect.
    RepeatedTick,
    /// A tick or an end of a virtual channel that is a part of this channel, which has no effect on
    /// the rest of it.
    PrivateTick,
    /// A session's record that is neither a message nor a tick: a fence, a base or a goodbye.
    Control,
    /// A copy of a message that counted before.
    Duplicate,
    /// A message before which another one is missing. Both come again.
    Gap,
    /// A message or a tick of an epoch that was fenced before it: void.
    Void,
    /// A record after the channel's end.
    AfterEnd,
}

/// The state of a [`ChannelFilter`] between two records. It can be saved as it is.
///
/// ```
/// use msgstream_core::consume::FilterState;
/// let saved = serde_json::to_string(&FilterState::default())?;
/// assert_eq!(serde_json::from_str::<FilterState>(&saved)?, FilterState::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FilterState {
    /// The channel's watermark.
    pub watermark: Option<Timestamp>,
    /// Whether the channel's end was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// The state of the channel's producers.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub producers: OrdMap<Arc<str>, ProducerState>,
}

/// The error of a channel with more producers than are remembered.
///
/// ```
/// use msgstream_core::consume::{ProducerLimits, TooManyProducers};
/// let error = TooManyProducers { limit: ProducerLimits::default().max };
/// assert!(error.to_string().starts_with("the channel has more than 10000 producers"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel has more than {limit} producers with sessions: close those that are done")]
pub struct TooManyProducers {
    /// How many producers are remembered.
    pub limit: usize,
}

impl ChannelFilter {
    /// Returns a filter that goes on behind the last record that another one judged.
    #[must_use]
    pub fn resume(state: &FilterState) -> Self {
        let mut dedup = Dedup::resume(state.producers.clone(), imbl::Vector::new());
        dedup.touch_unheard();
        let (watermark, ended) = (state.watermark, state.ended);
        Self { dedup, watermark, ended, limits: ProducerLimits::default() }
    }

    /// Judges the channel's next record.
    ///
    /// # Errors
    /// Fails with [`TooManyProducers`]. The record isn't judged then.
    pub fn judge(&mut self, record: &Record) -> Result<Judgement, TooManyProducers> {
        if self.ended {
            return Ok(Judgement::AfterEnd);
        }
        let limit = self.limits.max;
        let judged = match &record.meta.stamp {
            Some(stamp) => self.judge_stamped(record, stamp),
            None => match Control::read(record) {
                Some((control, epoch)) => {
                    self.dedup.control(&control, epoch, limit).map(|()| Some(Judgement::Control))
                }
                None => Ok(None),
            },
        };
        let judged = judged.map_err(|TooMany| TooManyProducers { limit })?;
        Ok(judged.unwrap_or_else(|| self.accept(record)))
    }

    /// Returns whether the channel's end was judged: nothing that follows counts.
    ///
    /// ```
    /// # use msgstream_core::consume::ChannelFilter;
    /// assert!(!ChannelFilter::default().has_ended());
    /// ```
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns the state behind the last record that was judged.
    #[must_use]
    pub fn state(&self) -> FilterState {
        let producers = self.dedup.at_head_unheard();
        FilterState { watermark: self.watermark, ended: self.ended, producers }
    }

    /// Judges a record by its session's stamp; `None` if it is accepted.
    fn judge_stamped(
        &mut self,
        record: &Record,
        stamp: &Stamp,
    ) -> Result<Option<Judgement>, TooMany> {
        let max = self.limits.max;
        let verdict = match record.meta.msg_type {
            MsgType::TIME_TICK => {
                let exact = sent_ahead(record, stamp.seq).is_none();
                self.dedup.tick(stamp, exact, max)?
            }
            _ => self.dedup.message(stamp, max)?,
        };
        Ok(match verdict {
            Verdict::Accepted => None,
            Verdict::Duplicate => Some(Judgement::Duplicate),
            Verdict::Gap => Some(Judgement::Gap),
            Verdict::Fenced => Some(Judgement::Void),
        })
    }

    fn accept(&mut self, record: &Record) -> Judgement {
        let ts = record.meta.timestamp;
        let rises = Some(ts) > self.watermark;
        if record.meta.msg_type != MsgType::TIME_TICK {
            // An unreadable record has no time that it could be late by.
            let late = !rises && record.meta.msg_type != MsgType::UNREADABLE;
            return Judgement::Message { late };
        }
        if !record.is_tick() {
            return Judgement::PrivateTick;
        }
        if rises {
            let before = self.watermark.replace(ts);
            self.dedup.ticked(record.position, before, ts, &self.limits);
            self.dedup.settle(record.position);
        }
        self.ended = is_end(record);
        match (self.ended, rises) {
            (true, _) => Judgement::End,
            (false, true) => Judgement::Tick,
            (false, false) => Judgement::RepeatedTick,
        }
    }
}

#[cfg(test)]
mod tests;
