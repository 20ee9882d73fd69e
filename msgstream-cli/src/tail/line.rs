//! A message as a line of JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msgstream::message::proto::Envelope;
use msgstream::message::{SerdeBody as _, StoredMessage};
use msgstream::record::{KEY_HEADER, MsgTypeNames, Record, Stamp};
use msgstream::{MsgPack, MsgType};
use prost::Message as _;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::fields;
use super::filter::Filter;
use crate::row::Row;
use crate::time::Time;

/// A message, with its content as far as it is known.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    channel: &'a str,
    /// As `--from` takes it.
    position: String,
    ts: Time,
    r#type: String,
    id: i64,
    vchannel: Option<&'a str>,
    late: bool,
    #[serde(flatten)]
    key: Option<Key<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<&'a str, Cow<'a, str>>>,
    #[serde(flatten)]
    content: Content,
}

/// The key of a record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Key<'a> {
    #[serde(rename = "key")]
    Text(&'a str),
    KeyBase64(String),
}

impl<'a> Key<'a> {
    fn of(key: &'a [u8]) -> Self {
        str::from_utf8(key).map_or_else(|_| Self::KeyBase64(STANDARD.encode(key)), Self::Text)
    }
}

/// What is in a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    /// JSON, as it was written.
    Row(Box<RawValue>),
    /// A built-in message.
    Fields(Value),
    PayloadBase64(String),
}

/// A pack.
#[derive(Debug, Serialize)]
pub(super) struct PackLine<'a> {
    /// Where the pack before ended; the first one has no begin.
    begin: Option<Time>,
    end: Time,
    messages: Vec<Line<'a>>,
}

impl<'a> Line<'a> {
    pub(super) fn of(message: &'a StoredMessage, names: &MsgTypeNames) -> Self {
        let record = &message.record;
        Self {
            channel: &message.channel,
            position: record.position.to_string(),
            ts: Time(record.meta.timestamp),
            r#type: names.name(record.meta.msg_type).into_owned(),
            id: record.meta.msg_id,
            vchannel: record.meta.vchannel.as_deref(),
            late: message.late,
            key: record.key().map(|key| Key::of(key)),
            headers: None,
            content: Content::of(record),
        }
    }

    /// Adds the headers, if there are any: they tell what control records are.
    pub(super) fn with_headers(mut self, record: &'a Record) -> Self {
        let stamp = record.meta.stamp.as_ref().map(|s| (Stamp::HEADER, s.to_string().into()));
        let text = |value| String::from_utf8_lossy(value);
        // The first one of that name is shown as the key.
        let key = record.extra.iter().position(|header| &*header.name == KEY_HEADER);
        let others = record.extra.iter().enumerate().filter(|(at, _)| Some(*at) != key);
        let others = others.map(|(_, header)| (&*header.name, text(&header.value)));
        self.headers = Some(stamp.into_iter().chain(others).collect());
        self.headers.take_if(|headers| headers.is_empty());
        self
    }
}

impl<'a> PackLine<'a> {
    /// Returns a pack, but for so many messages that were shown before, and those that are filtered
    /// out.
    pub(super) fn of(
        pack: &'a MsgPack,
        before: usize,
        filter: &Filter,
        names: &MsgTypeNames,
    ) -> Self {
        let stored = pack.msgs.iter().skip(before).filter_map(|message| message.stored());
        let messages = stored.filter(|message| filter.takes(&message.record));
        Self {
            begin: pack.begin_ts.map(Time),
            end: Time(pack.end_ts),
            messages: messages.map(|message| Line::of(message, names)).collect(),
        }
    }
}

impl Content {
    fn of(record: &Record) -> Self {
        if let Some(fields) = fields(record) {
            return Self::Fields(fields);
        }
        match json(record) {
            Some(row) => Self::Row(row),
            None => Self::PayloadBase64(STANDARD.encode(&record.payload)),
        }
    }
}

/// Returns the JSON of an envelope, on one line.
fn json(record: &Record) -> Option<Box<RawValue>> {
    let envelope = Envelope::decode(record.payload.clone()).ok()?;
    // Other payloads may look like an envelope by chance.
    envelope.base.filter(|base| base.msg_type == record.meta.msg_type.0)?;
    let json = String::from_utf8(envelope.json.into()).ok()?;
    // JSON has no line ends but between its parts.
    let line = if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json };
    RawValue::from_string(line).ok()
}

/// Returns the names of the types: those of the library, and of rows.
pub(super) fn names() -> MsgTypeNames {
    MsgTypeNames::default().with(Row::MSG_TYPE, "Row").with(MsgType::UNREADABLE, "Unreadable")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream::message::{SerdeMsg, TimeTickMsg};
    use msgstream::record::{Header, Meta};
    use msgstream::{Timestamp, TsMsg};

    use super::*;

    fn line(record: Record, raw: bool) -> String {
        let message = StoredMessage::new("a".into(), record);
        let line = Line::of(&message, &names());
        let line = if raw { line.with_headers(&message.record) } else { line };
        serde_json::to_string(&line).unwrap()
    }

    fn record(message: impl TsMsg) -> Record {
        let message: &dyn TsMsg = &message;
        message.to_record()
    }

    #[test]
    fn content_is_a_row_fields_or_base64() {
        let ts = Timestamp::from_unix_millis(1_000).unwrap();
        let row = Row::of(&BTreeMap::from([("k", 1)])).unwrap();
        let row = record(SerdeMsg::new(ts, row).unwrap().with_msg_id(7).with_key("ann"));
        assert_eq!(
            line(row, true),
            r#"{"channel":"a","position":"0","ts":"1970-01-01T00:00:01Z","type":"Row","id":7,"vchannel":null,"late":false,"key":"ann","row":{"k":1}}"#
        );
        let mut tick = record(TimeTickMsg::new(ts));
        tick.extra.push(Header::new("ms-session", "p;1;bye;"));
        let tick = line(tick, true);
        assert!(
            tick.contains(r#""type":"TimeTick""#) && tick.contains(r#""fields":{"base":"#),
            "{tick}"
        );
        assert!(tick.contains(r#""headers":{"ms-session":"p;1;bye;"}"#), "{tick}");
        let other = Record::new(Meta::new(MsgType(70_001), ts), "\x01\x02");
        let keyed = line(other.clone().with_key(&b"\xff\x00"[..]), false);
        assert!(keyed.contains(r#""late":false,"key_base64":"/wA=","payload_base64":"#), "{keyed}");
        let other = line(other, false);
        assert!(
            other.ends_with(
                r#""type":"70001","id":0,"vchannel":null,"late":false,"payload_base64":"AQI="}"#
            ),
            "{other}"
        );
    }

    #[test]
    fn json_over_several_lines_becomes_one_line() {
        let base = Some(msgstream::message::proto::MsgBase::new(MsgType(70_001), Timestamp(1)));
        let envelope = Envelope { base, json: "{\n  \"a\": \"\\n\"\r\n}".into() };
        let record =
            Record::new(Meta::new(MsgType(70_001), Timestamp(1)), envelope.encode_to_vec());
        assert_eq!(json(&record).unwrap().get(), "{   \"a\": \"\\n\"  }");
    }
}
