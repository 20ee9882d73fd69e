//! Messages in parts, as the rules have them.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use msgstream_core::MsgType;
use msgstream_core::record::Record;

/// Returns the records that are left if those of a channel with messages in parts are joined: a last
/// part, with all others before it, is the message.
pub(super) fn joined(records: Vec<Record>) -> Vec<Record> {
    let mut parts: BTreeMap<String, BTreeMap<usize, Bytes>> = BTreeMap::new();
    let mut whole = Vec::new();
    for mut record in records {
        let Some(header) = record.header("ms-part") else {
            whole.push(record);
            continue;
        };
        let text = String::from_utf8_lossy(header).into_owned();
        let fields: Vec<_> = text.split(';').collect();
        let [_, writer, message, index, count, _, last @ ..] = &fields[..] else { continue };
        let id = format!("{writer};{message}");
        let of_message = parts.entry(id).or_default();
        of_message.insert(number(index), record.payload.clone());
        if let [_, msg_type] = last
            && of_message.len() == number::<usize>(count)
        {
            record.payload = of_message.values().flat_map(|part| part.iter().copied()).collect();
            record.meta.msg_type = MsgType(number(msg_type));
            record.extra.retain(|header| &*header.name != "ms-part");
            whole.push(record);
        }
    }
    whole
}

fn number<N: FromStr + Default>(text: &str) -> N {
    text.parse().unwrap_or_default()
}
