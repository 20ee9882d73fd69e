//! Keys of messages: text as it is, other bytes in base64, as the protocol marks them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::{append_field, field_len};

const KEY: u32 = 2;
const IS_BASE64: u32 = 6;
/// Of the field that says so: its number and its value, in bytes.
const MARK: usize = 2;

/// Returns a key as text, and whether it is base64.
fn text(key: &[u8]) -> (Cow<'_, str>, bool) {
    match str::from_utf8(key) {
        Ok(text) => (text.into(), false),
        Err(_) => (STANDARD.encode(key).into(), true),
    }
}

/// Returns how long the fields of a message with the key are, in bytes.
pub(super) fn encoded_len(key: &[u8]) -> usize {
    let (text, is_base64) = text(key);
    field_len(text.len()) + if is_base64 { MARK } else { 0 }
}

/// Appends the fields of a message with the key.
pub(super) fn append(key: &[u8], buffer: &mut Vec<u8>) {
    let (text, is_base64) = text(key);
    append_field(KEY, text.as_bytes(), buffer);
    if is_base64 {
        encode_key(IS_BASE64, WireType::Varint, buffer);
        encode_varint(1, buffer);
    }
}

/// Returns the key that a message has. One that is said to be base64 and isn't, is taken as it stands.
pub(super) fn read(text: Option<Bytes>, is_base64: Option<bool>) -> Option<Bytes> {
    let text = text?;
    let decoded = is_base64.unwrap_or_default().then(|| STANDARD.decode(&text).ok()).flatten();
    // A copy, for the text shares its memory with the whole entry.
    Some(decoded.map_or_else(|| Bytes::copy_from_slice(&text), Bytes::from))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use pulsar::message::proto::SingleMessageMetadata;

    use super::*;

    #[test]
    fn the_protocol_says_which_keys_are_base64() {
        for (key, text, is_base64) in
            [(&b"ann"[..], "ann", None), (b"", "", None), (b"\xff\x00", "/wA=", Some(true))]
        {
            let mut fields = Vec::new();
            append(key, &mut fields);
            assert_eq!(fields.len(), encoded_len(key));
            // The one field that every message has.
            fields.extend([0x18, 0]);
            let read = SingleMessageMetadata::decode(&*fields).unwrap_or_default();
            assert_eq!(read.partition_key.as_deref(), Some(text));
            assert_eq!(read.partition_key_b64_encoded, is_base64);
            let back = super::read(read.partition_key.map(Bytes::from), is_base64);
            assert_eq!(back.as_deref(), Some(key));
        }
    }

    #[test]
    fn what_is_no_base64_is_kept_as_it_is() {
        assert_eq!(read(Some("a key".into()), Some(true)).as_deref(), Some(&b"a key"[..]));
        assert_eq!(read(None, Some(true)), None);
    }
}
