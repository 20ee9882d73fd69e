//! Control records: what a session writes beside messages and ticks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::record::MsgType;
use crate::record::is_producer_id;
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
        let parts: Vec<_> = text.split(';').collect();
        let [producer, epoch, kind, value] = parts[..] else { return Err(StampError(())) };
        if !is_producer_id(producer) {
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::record::Meta;
    use crate::record::Timestamp;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            any::<u64>().prop_map(|nonce| Kind::Fence { nonce }),
            any::<u64>().prop_map(|last| Kind::Base { last }),
            Just(Kind::Goodbye),
        ]
    }

    #[test]
    fn control_is_on_ticks_alone_and_whole() {
        let control: Control = "p;7;bye;".parse().unwrap();
        let written = |msg_type| {
            let mut record = Record::new(Meta::new(msg_type, Timestamp(3)), Vec::new());
            control.write(&mut record);
            record
        };
        let tick = written(MsgType::TIME_TICK);
        assert_eq!(Control::read(&tick), Some((control.clone(), Position::new(7))));
        assert_eq!(Control::read(&written(MsgType::INSERT)), None);
        for text in ["p;7;bye;1", "p;7;bye", ";7;bye;", "p;;bye;", "p;7;base;", "p;7;x;1"] {
            assert!(text.parse::<Control>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fence_without_an_epoch_begins_the_one_of_its_position() {
        let mut record = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(3)), Vec::new());
        record.position = Position::new(40);
        record.extra.push(Header::new(Stamp::HEADER, "p;;fence;9"));
        assert_eq!(Control::read(&record).map(|read| read.1), Some(Position::new(40)));
    }

    proptest! {
        #[test]
        fn control_is_read_as_it_was_written(
            producer in "[A-Za-z0-9._-]{1,64}",
            words: [u64; 3],
            home: bool,
            kind in kinds(),
        ) {
            let at_home = home && matches!(kind, Kind::Fence { .. });
            let epoch = (!at_home).then(|| Position::from_words(words));
            let control = Control { producer: producer.into(), epoch, kind };
            prop_assert_eq!(control.to_string().parse(), Ok(control.clone()));
            prop_assert!(control.to_string().parse::<Stamp>().is_err());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "p;[0-9:]{0,5};(fence|base|bye|x)?;[0-9]{0,3}") {
            if let Ok(control) = text.parse::<Control>() {
                prop_assert_eq!(control.to_string().parse::<Control>(), Ok(control));
            }
        }
    }
}
