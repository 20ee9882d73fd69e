//! What is known of a pack that isn't stored as a whole.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::record::Position;
use crate::transport::{Fate, Outcome, TransportError, TransportErrorKind};

/// What became of the records of one channel.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChannelOutcome {
    /// The channel.
    pub channel: Arc<str>,
    /// The positions of the records that are stored: the first ones, in the order of the pack.
    pub stored: Vec<Position>,
    /// What became of the rest, `None` where there is none.
    pub rest: Option<Rest>,
}

/// The records of one channel that are not known to be stored: those after the stored ones.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rest {
    /// How many they are.
    pub records: usize,
    /// What is known of them.
    pub fate: Fate,
    /// Why.
    pub error: TransportError,
}

impl ChannelOutcome {
    pub(crate) fn new(channel: Arc<str>, submitted: usize, outcome: Outcome) -> Self {
        let missing = submitted.saturating_sub(outcome.stored.len());
        let rest = match outcome.rest {
            Some((fate, error)) => Some(Rest { records: missing, fate, error }),
            None if missing == 0 => None,
            // An adapter that forgot records must not make them look stored.
            None => {
                let reason = format!("{missing} of {submitted} records have no position");
                let error = TransportError::new("submit", TransportErrorKind::Protocol { reason })
                    .on(&*channel);
                Some(Rest { records: missing, fate: Fate::Unknown, error })
            }
        };
        Self { channel, stored: outcome.stored, rest }
    }
}

/// Not every record of a pack is stored: what is, what isn't and what may be, for each channel.
///
/// Send again what is not stored. What has an unknown fate may be there: sending it again may
/// repeat it, leaving it out may lose it. The writers of failed channels take nothing more:
/// create the producers again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProduceError {
    /// One outcome for each channel that got messages, in the order of the channels' indexes; at
    /// least one has a rest.
    pub channels: Arc<[ChannelOutcome]>,
}

impl ProduceError {
    /// The channels that failed, and what became of their records.
    pub fn failed(&self) -> impl Iterator<Item = (&ChannelOutcome, &Rest)> {
        self.channels.iter().filter_map(|c| c.rest.as_ref().map(|rest| (c, rest)))
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} channels failed", self.failed().count(), self.channels.len())?;
        for (outcome, rest) in self.failed() {
            let fate = match rest.fate {
                Fate::NotStored => "are not stored",
                Fate::Unknown => "may be stored",
            };
            let (channel, stored, records) = (&outcome.channel, outcome.stored.len(), rest.records);
            write!(f, "; of channel `{channel}` {stored} records are stored, {records} {fate}")?;
        }
        f.write_str(
            ": create the producers again, and send again what isn't stored; a session knows what is",
        )
    }
}

/// The source is the first failed channel's error.
impl StdError for ProduceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.failed().next().map(|(_, rest)| &rest.error as &(dyn StdError + 'static))
    }
}
