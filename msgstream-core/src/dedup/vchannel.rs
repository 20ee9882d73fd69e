//! Sequence numbers of a virtual channel, whose records are a part of another channel's.

use std::sync::Arc;

use super::{Control, Kind};
use crate::record::{Header, MsgType, Origin, Record, SENT_HEADER, Stamp, is_producer_id};

/// Returns the name under which a producer's records on a virtual channel are numbered.
pub(crate) fn numbered(producer: &str, vchannel: &str) -> Arc<str> {
    format!("{producer}/{vchannel}").into()
}

/// Returns the producer whose fences on the whole channel concern this one on a virtual channel;
/// `None` if this one isn't on a virtual channel.
pub(crate) fn whole(numbered: &str) -> Option<&str> {
    numbered.split_once('/').map(|(producer, _)| producer)
}

/// Returns whether a record's sequence number counts on this virtual channel.
fn is_of(numbered: &str, vchannel: &str) -> bool {
    numbered.split_once('/').is_some_and(|(_, name)| name == vchannel)
}

/// What a session says in a record, for those who put several channels into one.
///
/// ```
/// use msgstream_core::adapter::SessionPart;
/// use msgstream_core::record::{Meta, Record, Stamp};
/// use msgstream_core::{MsgType, Timestamp};
/// let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "");
/// record.meta.stamp = "billing;7;42".parse().ok();
/// assert_eq!(SessionPart::of(&record), SessionPart::Message);
/// SessionPart::number(&mut record, "orders-v0");
/// assert_eq!(record.meta.stamp.unwrap().to_string(), "billing/orders-v0;7;42");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionPart {
    /// No session wrote it.
    None,
    /// It is a message with a sequence number.
    Message,
    /// It is a tick with the last sequence number before it.
    Tick,
    /// It is the fence on the session's home channel, whose position is the epoch.
    Home,
    /// It announces the last sequence number before it.
    Base,
    /// It is another fence, or a goodbye.
    Control,
}

impl SessionPart {
    /// Returns what a session says in a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        match &record.meta.stamp {
            Some(_) if record.meta.msg_type == MsgType::TIME_TICK => Self::Tick,
            Some(_) => Self::Message,
            None => match Control::read(record) {
                Some((control, _)) if control.epoch.is_none() => Self::Home,
                Some((control, _)) if matches!(control.kind, Kind::Base { .. }) => Self::Base,
                Some(_) => Self::Control,
                None => Self::None,
            },
        }
    }

    /// Returns whether a session numbered the record, and did so on another channel than this virtual
    /// one.
    ///
    /// ```
    /// # use msgstream_core::adapter::SessionPart;
    /// # use msgstream_core::record::Record;
    /// let mut record = Record::default();
    /// record.meta.stamp = "billing;7;42".parse().ok();
    /// assert!(SessionPart::is_foreign(&record, "orders-v0"));
    /// SessionPart::number(&mut record, "orders-v0");
    /// assert!(!SessionPart::is_foreign(&record, "orders-v0"));
    /// ```
    #[must_use]
    pub fn is_foreign(record: &Record, vchannel: &str) -> bool {
        match &record.meta.stamp {
            Some(stamp) => !is_of(&stamp.origin.producer, vchannel),
            None => Control::read(record).is_some_and(|(c, _)| !is_of(&c.producer, vchannel)),
        }
    }

    /// Makes the sequence number in a record one of a virtual channel. Numbers of virtual channels are
    /// left as they are.
    pub fn number(record: &mut Record, vchannel: &str) {
        if let Some(stamp) = &mut record.meta.stamp {
            let Origin { producer, epoch } = &*stamp.origin;
            if whole(producer).is_none() {
                let producer = numbered(producer, vchannel);
                stamp.origin = Arc::new(Origin { producer, epoch: *epoch });
            }
        } else {
            change(record, |control| {
                if is_producer_id(&control.producer) {
                    control.producer = numbered(&control.producer, vchannel);
                }
            });
        }
    }

    /// Takes the sequence numbers out of a tick of the whole channel, for those who read a part of it:
    /// they miss the messages that it counts. What it says about the epoch stays.
    ///
    /// ```
    /// # use msgstream_core::adapter::SessionPart;
    /// # use msgstream_core::{MsgType, Timestamp, record::{Header, Meta, Record, SENT_HEADER}};
    /// let mut tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), "");
    /// tick.meta.stamp = "billing;7;42".parse().ok();
    /// tick.extra.push(Header::new(SENT_HEADER, "45"));
    /// SessionPart::forget_number(&mut tick);
    /// assert_eq!(tick.meta.stamp.unwrap().to_string(), "billing;7;0");
    /// assert!(tick.extra.is_empty());
    /// ```
    pub fn forget_number(record: &mut Record) {
        if let Some(stamp) = &mut record.meta.stamp {
            stamp.seq = 0;
            record.extra.retain(|header| &*header.name != SENT_HEADER);
        }
    }
}

/// Changes a control record.
fn change(record: &mut Record, how: impl FnOnce(&mut Control)) {
    let Some((mut control, _)) = Control::read(record) else { return };
    let was = control.clone();
    how(&mut control);
    if control != was
        && let Some(header) = record.extra.iter_mut().find(|h| &*h.name == Stamp::HEADER)
    {
        *header = Header::new(Stamp::HEADER, control.to_string());
    }
}

#[cfg(test)]
mod tests;
