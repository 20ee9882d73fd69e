//! Parts of a message, and how a message is split into them.

use bytes::Bytes;
use msgstream_core::record::{Header, MsgType, Position, Record, unreadable};

/// The header of a part. See [`Part`] for what is in it.
pub(super) const HEADER: &str = "ms-part";
/// The version of the header's format.
const VERSION: &str = "1";
/// The type of parts, which no message has: who reads without the layer doesn't take the first part of
/// a message for the message.
pub(super) const PART: MsgType = MsgType(0x6d73_7074);

/// Which message a part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    /// Random, of the writer that splits. A writer finishes one message before it begins the next.
    pub(super) writer: u128,
    /// Counts the messages that the writer splits.
    pub(super) message: u64,
}

/// What the header of a part says, as text: `1;WRITER;MESSAGE;INDEX;COUNT;TOTAL`, and on the last one
/// `;FIRST;TYPE`, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: Id,
    /// Its index among the parts.
    pub(super) index: u32,
    /// The number of parts.
    pub(super) count: u32,
    /// The length of the whole payload, in bytes.
    pub(super) total: usize,
    /// What only the last part says.
    pub(super) last: Option<Last>,
}

/// What the last part of a message says. It is written once all others are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// Where the first part stands.
    pub(super) first: Position,
    /// The type of the message.
    pub(super) msg_type: MsgType,
}

impl Part {
    /// Returns the part that a record is; `None` if it isn't one.
    ///
    /// # Errors
    /// Fails with the reason why nothing can be made of it.
    pub(super) fn of(record: &Record) -> Result<Option<Self>, String> {
        let meta = record.meta.msg_type;
        // What passes unsplit, and what has another reason for being unreadable.
        if record.extra.is_empty() || meta == MsgType::TIME_TICK || meta == MsgType::UNREADABLE {
            return Ok(None);
        }
        let Some(header) = record.header(HEADER) else { return Ok(None) };
        let text = String::from_utf8_lossy(header);
        let part = (meta == PART).then(|| Self::parse(&text)).flatten();
        part.map(Some).ok_or_else(|| {
            format!("its header `{HEADER}` isn't that of a part of a message: `{}`", shown(&text))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix(VERSION)?.strip_prefix(';')?.split(';');
        let mut next = || fields.next();
        let writer = u128::from_str_radix(next()?, 16).ok()?;
        let id = Id { writer, message: next()?.parse().ok()? };
        let (index, count) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let total = next()?.parse().ok()?;
        let last = match (next(), next(), next()) {
            (None, ..) => None,
            (Some(first), Some(msg_type), None) => {
                let (first, msg_type) = (first.parse().ok()?, MsgType(msg_type.parse().ok()?));
                Some(Last { first, msg_type })
            }
            _ => return None,
        };
        // One part alone is never written, and only the last one is as long as the text above.
        let fits = count > 1 && index < count && last.is_some() == (index == count - 1);
        fits.then_some(Self { id, index, count, total, last })
    }

    fn header(&self) -> Header {
        let Self { id: Id { writer, message }, index, count, total, last } = self;
        let mut text = format!("{VERSION};{writer:032x};{message};{index};{count};{total}");
        if let Some(Last { first, msg_type }) = last {
            text.push_str(&format!(";{first};{msg_type}"));
        }
        Header::new(HEADER, text)
    }
}

/// As much of a text as an error can show.
fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}

/// Returns the largest record that a part of a record can be: the last one, with all headers, and the
/// whole payload.
pub(super) fn largest(record: &Record) -> Record {
    let id = Id { writer: u128::MAX, message: u64::MAX };
    let last = Some(Last { first: Position::MAX, msg_type: MsgType(u32::MAX) });
    let total = record.payload.len();
    let widest = Part { id, index: u32::MAX, count: u32::MAX, total, last };
    let mut part = record.clone();
    part.meta.msg_type = PART;
    part.extra.push(widest.header());
    part
}

/// Returns a part of a record other than its last one, which has none of its headers, without its payload.
pub(super) fn first(record: &Record) -> Record {
    let mut meta = record.meta.clone();
    meta.msg_type = PART;
    Record::new(meta, Bytes::new())
}

/// A message that is split.
#[derive(Debug)]
pub(super) struct Split {
    id: Id,
    record: Record,
    /// How long a part is, in bytes. The last one may be shorter.
    size: usize,
    count: u32,
}

impl Split {
    /// Splits a record into parts of a size; `None` if there would be too many.
    pub(super) fn new(id: Id, record: Record, size: usize) -> Option<Self> {
        let count = u32::try_from(record.payload.len().div_ceil(size.max(1))).ok()?;
        (count > 1).then_some(Self { id, record, size, count })
    }

    fn part(&self, index: u32, last: Option<Last>) -> (Header, Bytes) {
        let total = self.record.payload.len();
        let part = Part { id: self.id, index, count: self.count, total, last };
        let from = index as usize * self.size;
        let to = from.saturating_add(self.size).min(total);
        (part.header(), self.record.payload.slice(from..to))
    }

    /// Returns all parts but the last one. They have the message's metadata, so that its session and
    /// its virtual channel are known, but none of its headers.
    pub(super) fn firsts(&self) -> impl Iterator<Item = Record> {
        (0..self.count - 1).map(move |index| {
            let (header, payload) = self.part(index, None);
            let mut part = first(&self.record);
            part.payload = payload;
            part.extra.push(header);
            part
        })
    }

    /// Returns the last part, which makes a message of them.
    pub(super) fn last(self, first: Position) -> Record {
        let last = Last { first, msg_type: self.record.meta.msg_type };
        let (header, payload) = self.part(self.count - 1, Some(last));
        let mut part = self.record;
        (part.meta.msg_type, part.payload) = (PART, payload);
        part.extra.push(header);
        part
    }
}

/// Returns the message without its payload that a last part stands for.
pub(super) fn whole(part: &Record, last: Last) -> Record {
    let mut whole = part.clone();
    whole.meta.msg_type = last.msg_type;
    whole.payload = Bytes::new();
    whole.extra.retain(|header| &*header.name != HEADER);
    whole
}

/// Returns the unreadable record that stands for a part. With the message's time it is in the pack that
/// the message belongs to, and with its sequence number it leaves no gap in its session.
pub(super) fn unreadable_part(part: Record, reason: String) -> Record {
    let Record { position, meta, extra, payload, .. } = part;
    let mut record = unreadable(position, reason, extra, payload);
    record.meta = meta;
    record.meta.msg_type = MsgType::UNREADABLE;
    record
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::Timestamp;
    use msgstream_core::record::Meta;
    use proptest::prelude::*;

    use super::*;

    fn record(payload: Vec<u8>) -> Record {
        let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), payload);
        record.extra.push(Header::new("owner", "billing"));
        record
    }

    proptest! {
        #[test]
        fn parts_are_the_message_again(
            payload in prop::collection::vec(any::<u8>(), 2..200),
            size in 1_usize..199,
            (writer, message, words) in any::<(u128, u64, [u64; 3])>(),
        ) {
            prop_assume!(size < payload.len());
            let (id, first) = (Id { writer, message }, Position::from_words(words));
            let split = Split::new(id, record(payload.clone()), size).unwrap();
            let mut parts: Vec<_> = split.firsts().collect();
            parts.push(split.last(first));
            let mut joined = Vec::new();
            for (index, part) in (0..).zip(&parts) {
                let said = Part::of(part).unwrap().unwrap();
                prop_assert_eq!((said.id, said.index, said.total), (id, index, payload.len()));
                prop_assert_eq!(said.count as usize, parts.len());
                prop_assert_eq!(said.last.is_some(), index == said.count - 1);
                prop_assert!(part.payload.len() <= size && part.meta.msg_type == PART);
                let largest = largest(&record(payload.clone()));
                let headers = |record: &Record| record.footprint() - record.payload.len();
                prop_assert!(headers(part) <= headers(&largest));
                joined.extend_from_slice(&part.payload);
                if let Some(last) = said.last {
                    prop_assert_eq!(last.first, first);
                    let mut whole = whole(part, last);
                    whole.payload = joined.clone().into();
                    prop_assert_eq!(&whole, &record(payload.clone()));
                }
            }
        }

        #[test]
        fn any_header_is_a_part_or_has_a_reason(text in "(1;)?[0-9a-f;:]{0,40}|\\PC{0,40}") {
            let mut part = record(vec![1]);
            part.meta.msg_type = PART;
            part.extra.push(Header::new(HEADER, text));
            if let Ok(Some(part)) = Part::of(&part) {
                let written = part.header();
                let text = String::from_utf8(written.value.to_vec()).unwrap();
                prop_assert_eq!(Part::parse(&text), Some(part));
            }
        }
    }

    #[test]
    fn what_says_that_it_is_a_part_and_isnt_has_a_reason() {
        let good = "1;ff;3;0;2;10";
        let of = |msg_type: MsgType, text: &str| {
            let mut record = record(vec![1]);
            record.meta.msg_type = msg_type;
            record.extra.push(Header::new(HEADER, text.to_owned()));
            Part::of(&record)
        };
        assert!(of(PART, good).unwrap().is_some());
        assert!(of(PART, "1;ff;3;1;2;10;7:3;400").unwrap().is_some());
        // Another program's.
        assert!(of(MsgType::INSERT, good).unwrap_err().contains("1;ff;3;0;2;10"));
        for text in [
            "",
            "2;ff;3;0;2;10",
            "1;ff;3;0;2",
            "1;ff;3;0;2;10;7",
            "1;ff;3;0;2;10;7;400",
            "1;ff;3;1;2;10",
            "1;ff;3;1;2;10;7;400;1",
            "1;ff;3;2;2;10",
            "1;ff;3;0;1;10;7;400",
            "1;ff;3;0;0;10",
            "1;xx;3;0;2;10",
            "1;ff;3;0;2;-1",
        ] {
            assert!(of(PART, text).is_err(), "{text}");
        }
        // What the layer never splits, it doesn't look at.
        assert_eq!(of(MsgType::TIME_TICK, "x"), Ok(None));
        assert_eq!(of(MsgType::UNREADABLE, "x"), Ok(None));
    }
}
