//! What the reader of a virtual channel gets of its physical one.

use std::sync::Arc;

use msgstream_core::MsgType;
use msgstream_core::adapter::SessionPart;
use msgstream_core::record::{Record, unreadable};

use crate::planted::{Bug, planted};
use crate::{Common, Placement};

/// The records that belong to a virtual channel.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) vchannel: Arc<str>,
    messages: Messages,
}

/// Which messages without a virtual channel belong to this one.
#[derive(Debug)]
enum Messages {
    All,
    None,
    OfCollection(i64),
}

impl View {
    pub(crate) fn new(placement: &Placement, vchannel: &str) -> Self {
        let messages = match placement.common {
            Common::All => Messages::All,
            Common::None => Messages::None,
            Common::Collection => {
                placement.collection(vchannel).map_or(Messages::None, Messages::OfCollection)
            }
        };
        Self { vchannel: vchannel.into(), messages }
    }

    /// Returns a record as readers of the virtual channel get it, if it is theirs.
    pub(crate) fn take(&self, record: &Record) -> Option<Record> {
        match &record.meta.vchannel {
            Some(of) if **of == *self.vchannel => self.own(record),
            Some(_) if planted(Bug::ForeignTick) && record.meta.msg_type == MsgType::TIME_TICK => {
                self.own(record)
            }
            Some(_) => None,
            None => self.common(record),
        }
    }

    /// Returns a record that names the virtual channel.
    fn own(&self, record: &Record) -> Option<Record> {
        let mut own = record.clone();
        if record.meta.msg_type == MsgType::TIME_TICK {
            // Here it is no part's tick, but the channel's.
            own.meta.vchannel = None;
        }
        self.judge_numbers(own)
    }

    /// Returns a record that names no virtual channel, if it is for this one, too.
    fn common(&self, record: &Record) -> Option<Record> {
        let theirs = match record.meta.msg_type {
            MsgType::TIME_TICK | MsgType::UNREADABLE => true,
            _ => match self.messages {
                Messages::All => true,
                Messages::None => false,
                Messages::OfCollection(id) => record.meta.collection_id == id,
            },
        };
        if theirs { self.judge_numbers(record.clone()) } else { None }
    }

    /// Takes the numbers out of what a session wrote to the whole channel: other channels have messages
    /// that they count. A message can't be distinguished from its copies then. A base has nothing else
    /// to say, and would keep a silent channel from becoming idle: a session writes one to its home
    /// channel each time it confirms.
    fn judge_numbers(&self, mut record: Record) -> Option<Record> {
        let part = SessionPart::of(&record);
        if part == SessionPart::None || !SessionPart::is_foreign(&record, &self.vchannel) {
            return Some(record);
        }
        match part {
            SessionPart::Base => None,
            SessionPart::Message => {
                let reason = format!(
                    "a session on the whole channel numbered it, so its copies aren't known on `{}`: open the session on the virtual channel, or read the whole one",
                    self.vchannel
                );
                Some(unreadable(record.position, reason, record.extra, record.payload))
            }
            _ => {
                SessionPart::forget_number(&mut record);
                Some(record)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::Timestamp;
    use msgstream_core::record::{Header, Meta, SENT_HEADER, Stamp};

    use super::*;

    fn record(msg_type: MsgType, vchannel: Option<&str>, session: &str) -> Record {
        let mut record = Record::new(Meta::new(msg_type, Timestamp(7)), "payload");
        record.meta.vchannel = vchannel.map(Into::into);
        record.meta.stamp = session.parse().ok();
        if record.meta.stamp.is_none() && !session.is_empty() {
            record.extra.push(Header::new(Stamp::HEADER, session.to_owned()));
        }
        record
    }

    /// Makes a tick one that 9 was sent ahead of.
    fn ahead(mut tick: Record) -> Record {
        tick.extra.push(Header::new(SENT_HEADER, "9"));
        tick
    }

    /// What a reader gets, as type, virtual channel and session.
    fn taken(view: &View, record: &Record) -> Option<(MsgType, Option<String>, String)> {
        let taken = view.take(record)?;
        let header = taken.header(Stamp::HEADER).map(|h| str::from_utf8(h).unwrap().to_owned());
        let sent = taken.header(SENT_HEADER).map(|sent| str::from_utf8(sent).unwrap());
        let sent = sent.map_or_else(String::new, |sent| format!(" {sent}"));
        let stamp = taken.meta.stamp.as_ref().map(|stamp| format!("{stamp}{sent}"));
        let session = stamp.or(header).unwrap_or_default();
        Some((taken.meta.msg_type, taken.meta.vchannel.map(|v| v.to_string()), session))
    }

    #[test]
    fn each_record_is_for_those_it_names_and_ticks_without_one_for_all() {
        let [tick, insert, bad] = [MsgType::TIME_TICK, MsgType::INSERT, MsgType::UNREADABLE];
        let view = View::new(&Placement::hash(1, "p"), "a");
        let whole = |what, session: &str| Some((what, None, session.to_owned()));
        for (record, wanted) in [
            (record(insert, Some("a"), ""), Some((insert, Some("a".to_owned()), String::new()))),
            (record(insert, Some("b"), ""), None),
            (record(tick, Some("b"), ""), None),
            (record(tick, Some("a"), "p/a;1;7"), whole(tick, "p/a;1;7")),
            (record(tick, None, ""), whole(tick, "")),
            (record(bad, None, ""), whole(bad, "")),
            (record(insert, None, ""), whole(insert, "")),
            // What the whole channel's sessions count isn't all here.
            (record(tick, None, "p;1;7"), whole(tick, "p;1;0")),
            (ahead(record(tick, None, "p;1;7")), whole(tick, "p;1;0")),
            (ahead(record(tick, Some("a"), "p/a;1;7")), whole(tick, "p/a;1;7 9")),
            (record(tick, None, "p;1;base;7"), None),
            (record(tick, None, "p;1;fence;7"), whole(tick, "p;1;fence;7")),
            (record(tick, Some("a"), "p/a;1;base;7"), whole(tick, "p/a;1;base;7")),
            (record(insert, Some("a"), "p;1;7"), whole(bad, "")),
        ] {
            assert_eq!(taken(&view, &record), wanted, "{record:?}");
        }
    }

    #[test]
    fn messages_without_a_virtual_channel_go_by_collection_or_to_none() {
        let mut ddl = record(MsgType(100), None, "");
        ddl.meta.collection_id = 42;
        let takes = |placement: &Placement, name| View::new(placement, name).take(&ddl).is_some();
        let milvus = Placement::milvus();
        let found = ["dml_0_42v0", "dml_0_42v1", "dml_0_4v0"].map(|name| takes(&milvus, name));
        assert_eq!(found, [true, true, false]);
        let none = Placement::hash(1, "p").with_common(Common::None);
        assert!(!takes(&none, "a"));
    }
}
