//! Compares two messages.

use msgstream::message::StoredMessage;
use msgstream::record::{Header, Record, SENT_HEADER, Stamp};

/// Returns what differs first, but for positions and sessions; `None` if nothing does.
pub(super) fn difference(source: &StoredMessage, copy: &StoredMessage) -> Option<&'static str> {
    if source.channel != copy.channel {
        return Some("channel");
    }
    if source.late != copy.late {
        return Some("lateness");
    }
    let (a, b) = (&source.record.meta, &copy.record.meta);
    let same = [
        ("type", a.msg_type == b.msg_type),
        ("time", a.timestamp == b.timestamp),
        ("id", a.msg_id == b.msg_id),
        ("collection", a.collection_id == b.collection_id),
        ("virtual channel", a.vchannel == b.vchannel),
        ("payload", source.record.payload == copy.record.payload),
        ("headers", headers(&source.record) == headers(&copy.record)),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

/// Returns the headers in an order that doesn't depend on the transport.
fn headers(record: &Record) -> Vec<(&str, &[u8])> {
    let session = [Stamp::HEADER, SENT_HEADER];
    let others = record.extra.iter().filter(|header| !session.contains(&&*header.name));
    let mut headers: Vec<_> = others.map(|Header { name, value }| (&**name, &**value)).collect();
    headers.sort_unstable();
    headers
}

#[cfg(test)]
mod tests {
    use msgstream::record::Meta;
    use msgstream::{MsgType, Timestamp};

    use super::*;

    type Change = fn(&mut StoredMessage);

    fn message() -> StoredMessage {
        let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "payload");
        record.extra.extend([Header::new("a", "1"), Header::new("b", "2")]);
        StoredMessage::new("orders".into(), record)
    }

    #[test]
    fn each_part_counts_but_position_session_and_the_order_of_headers() {
        let changes: [(&str, Change); 9] = [
            ("channel", |m| m.channel = "others".into()),
            ("lateness", |m| m.late = true),
            ("type", |m| m.record.meta.msg_type = MsgType::DELETE),
            ("time", |m| m.record.meta.timestamp = Timestamp(8)),
            ("id", |m| m.record.meta.msg_id = 1),
            ("collection", |m| m.record.meta.collection_id = 1),
            ("virtual channel", |m| m.record.meta.vchannel = Some("v".into())),
            ("payload", |m| m.record.payload = "other".into()),
            ("headers", |m| m.record.extra[0].value = "3".into()),
        ];
        for (what, change) in changes {
            let mut other = message();
            change(&mut other);
            assert_eq!(difference(&message(), &other), Some(what));
        }
        let mut same = message();
        same.record.position = msgstream::record::Position::new(9);
        same.record.extra.reverse();
        same.record.extra.push(Header::new(Stamp::HEADER, "text"));
        same.record.meta.stamp = "p;1;1".parse().ok();
        assert_eq!(difference(&message(), &same), None);
    }
}
