//! Control records: what a session writes beside messages and ticks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::vchannel;
use crate::record::MsgType;
use crate::record::is_numbered;
use crate::record::{Header, Position, Record, Stamp, StampError};

/// A control record. For a reader that doesn't know sessions it is a time tick that repeats an old
/// one, which has no effect. The header of sessions has its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) producer: Arc<str>,
    /// `None` on the fence that begins an epoch on the home channel: the epoch is its own position.
    pub(crate) epoch: Option<Position>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Records of earlier epochs that follow are void. The nonce distinguishes several tries.
    Fence { nonce: u64 },
    /// The sequence number of the last message that was accepted.
    Base { last: u64 },
    /// The session was closed: everything is acknowledged, and nothing follows.
    Goodbye,
}

impl Control {
    /// Returns whether it is a fence of the whole channel that begins an epoch of a producer on a
    /// virtual channel, too.
    pub(crate) fn fences(&self, producer: &str) -> bool {
        matches!(self.kind, Kind::Fence { .. }) && vchannel::whole(producer) == Some(&self.producer)
    }

    /// Writes itself to a record's headers.
    pub(crate) fn write(&self, record: &mut Record) {
        record.extra.push(Header::new(Stamp::HEADER, self.to_string()));
    }

    /// Reads a control record and its epoch; `None` if the record is none.
    pub(crate) fn read(record: &Record) -> Option<(Self, Position)> {
        if record.extra.is_empty() || record.meta.msg_type != MsgType::TIME_TICK {
            return None;
        }
        let text = str::from_utf8(record.header(Stamp::HEADER)?).ok()?;
        let control: Self = text.parse().ok()?;
        let epoch = control.epoch.unwrap_or(record.position);
        Some((control, epoch))
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};", self.producer)?;
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}")?;
        }
        match self.kind {
            Kind::Fence { nonce } => write!(f, ";fence;{nonce}"),
            Kind::Base { last } => write!(f, ";base;{last}"),
            Kind::Goodbye => f.write_str(";bye;"),
        }
    }
}

impl FromStr for Control {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        // From the end: the name of a virtual channel may have any characters.
        let parts: Vec<_> = text.rsplitn(4, ';').collect();
        let [value, kind, epoch, producer] = parts[..] else { return Err(StampError(())) };
        if !is_numbered(producer) {
            return Err(StampError(()));
        }
        let number = || value.parse().map_err(|_| StampError(()));
        let kind = match kind {
            "fence" => Kind::Fence { nonce: number()? },
            "base" => Kind::Base { last: number()? },
            "bye" if value.is_empty() => Kind::Goodbye,
            _ => return Err(StampError(())),
        };
        let epoch = match (epoch, &kind) {
            ("", Kind::Fence { .. }) => None,
            (epoch, _) => Some(epoch.parse().map_err(|_| StampError(()))?),
        };
        Ok(Self { producer: producer.into(), epoch, kind })
    }
}

#[cfg(test)]
mod tests;
