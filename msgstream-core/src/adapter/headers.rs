//! Encodes metadata as headers.

use std::borrow::Cow;
use std::error::Error;
use std::str::FromStr;

use bytes::Bytes;
use prost::Message as _;

use crate::message::DecodeError;
use crate::message::proto::MsgHeader;
use crate::record::{Header, Headers, KEY_HEADER, Meta, Record, Stamp};
use crate::record::{MsgType, MsgTypeNames, Timestamp};

pub(super) const MSG_TYPE: &str = "msg_type";
pub(super) const MSG_ID: &str = "msg_id";
pub(super) const TIMESTAMP: &str = "timestamp";
pub(super) const VCHANNEL: &str = "vchannel";
pub(super) const COLLECTION_ID: &str = "collection_id";

/// The header of everything that Milvus' streaming nodes write. Their format isn't supported: its
/// time isn't where ours is, and it includes messages that were rolled back.
const STREAMING: &str = "_v";

/// Returns whether a header of this name means something to readers, so that a copy of another
/// record's headers must not have it.
pub(crate) fn is_reserved(name: &str) -> bool {
    [MSG_TYPE, MSG_ID, TIMESTAMP, VCHANNEL, COLLECTION_ID, STREAMING, Stamp::HEADER].contains(&name)
}

/// Returns the headers of a record: five for its metadata, a sixth if a session stamped it, then its
/// extra headers in their order.
///
/// The values of the metadata are text. The value of an extra header may be any bytes.
///
/// ```
/// use msgstream_core::record::{Meta, Record};
/// use msgstream_core::adapter::{decode_headers, encode_headers};
/// use msgstream_core::{MsgType, MsgTypeNames, Timestamp};
///
/// let names = MsgTypeNames::default();
/// let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "");
/// let headers: Vec<_> = encode_headers(&record, &names).collect();
/// assert_eq!(headers[0], ("msg_type", b"Insert".as_slice().into()));
///
/// let read = headers.iter().map(|(name, value)| (*name, &**value));
/// let (meta, extra) = decode_headers(read, &record.payload, &names)?;
/// assert_eq!((meta, extra), (record.meta, record.extra));
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
pub fn encode_headers<'a>(
    record: &'a Record,
    names: &'a MsgTypeNames,
) -> impl Iterator<Item = (&'a str, Cow<'a, [u8]>)> {
    let meta = &record.meta;
    let of_meta = [
        (MSG_TYPE, names.name(meta.msg_type)),
        (MSG_ID, meta.msg_id.to_string().into()),
        (TIMESTAMP, meta.timestamp.to_string().into()),
        (VCHANNEL, meta.vchannel.as_deref().unwrap_or_default().into()),
        (COLLECTION_ID, meta.collection_id.to_string().into()),
    ];
    let of_meta = of_meta.into_iter().map(|(name, value)| (name, into_bytes(value)));
    let stamp = meta.stamp.as_ref().map(|s| (Stamp::HEADER, into_bytes(s.to_string().into())));
    let extra = record.extra.iter().map(|h| (&*h.name, Cow::Borrowed(&*h.value)));
    of_meta.chain(stamp).chain(extra)
}

/// Returns the key of a record, and its other headers, for brokers that have a place for keys.
///
/// ```
/// use msgstream_core::MsgTypeNames;
/// use msgstream_core::adapter::encode_with_key;
/// use msgstream_core::record::Record;
/// let (names, record) = (MsgTypeNames::default(), Record::default().with_key("ann"));
/// let (key, headers) = encode_with_key(&record, &names);
/// assert_eq!(key.unwrap(), "ann");
/// assert_eq!(headers.count(), 5);
/// ```
pub fn encode_with_key<'r: 'n, 'n>(
    record: &'r Record,
    names: &'n MsgTypeNames,
) -> (Option<&'r Bytes>, impl Iterator<Item = (&'n str, Cow<'n, [u8]>)>) {
    let mut is_passed = false;
    let headers = encode_headers(record, names).filter(move |(name, _)| {
        // Another one of this name is a header like any other.
        let is_key = !is_passed && *name == KEY_HEADER;
        is_passed |= is_key;
        !is_key
    });
    (record.key(), headers)
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Decodes the metadata and the extra headers of a record that was read.
///
/// If all five headers are there, they are the metadata. Else the type, the id and the time come from
/// the beginning of the payload, which all built-in messages share, except that a header with the
/// type, the virtual channel or the collection counts more. If a name is repeated, the first one is
/// the metadata, and the others are extra headers. Names may be bytes.
///
/// ```
/// use msgstream_core::adapter::decode_headers;
/// use msgstream_core::message::TimeTickMsg;
/// use msgstream_core::{MsgType, MsgTypeNames, Timestamp, TsMsg};
///
/// // Without headers, the payload says what it is.
/// let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)));
/// let none: [(&str, &[u8]); 0] = [];
/// let (meta, _) = decode_headers(none, &tick.to_record().payload, &MsgTypeNames::default())?;
/// assert_eq!((meta.msg_type, meta.timestamp), (MsgType::TIME_TICK, Timestamp(5)));
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
///
/// # Errors
/// Fails with [`DecodeError::Header`] if metadata can't be read, with [`DecodeError::HeaderName`] if
/// a name isn't UTF-8, with [`DecodeError::Unreadable`] if there is a header `_v`, by which Milvus'
/// streaming nodes mark a format of their own, and with [`DecodeError::Corrupt`] or
/// [`DecodeError::Inconsistent`] if the payload should have the metadata but doesn't.
pub fn decode_headers<'a, N: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, &'a [u8])>,
    payload: &Bytes,
    names: &MsgTypeNames,
) -> Result<(Meta, Headers), DecodeError> {
    let mut found = Found::default();
    let mut stamp = None;
    let mut extra = Headers::new();
    for (name, value) in headers {
        let name = name.as_ref();
        if let Some(place) = found.place(name) {
            *place = Some(value);
        } else if let Some(read) = read_stamp(name, value).filter(|_| stamp.is_none()) {
            stamp = Some(read);
        } else if name == STREAMING.as_bytes() {
            let reason = format!(
                "it has the header `{STREAMING}`: it is in the format of Milvus' streaming nodes, which isn't supported"
            );
            return Err(DecodeError::Unreadable { reason });
        } else {
            let name = str::from_utf8(name).map_err(|source| DecodeError::HeaderName {
                name: String::from_utf8_lossy(name).into_owned(),
                source,
            })?;
            extra.push(Header::new(name, Bytes::copy_from_slice(value)));
        }
    }
    Ok((Meta { stamp, ..found.meta(payload, names)? }, extra))
}

/// Parses a stamp. A header of that name that isn't a stamp is an extra header: sessions have other
/// uses for the name, and other programs may use it too.
fn read_stamp(name: &[u8], value: &[u8]) -> Option<Stamp> {
    (name == Stamp::HEADER.as_bytes()).then(|| str::from_utf8(value).ok()?.parse().ok())?
}

/// The headers that are metadata.
#[derive(Default)]
struct Found<'a> {
    msg_type: Option<&'a [u8]>,
    msg_id: Option<&'a [u8]>,
    timestamp: Option<&'a [u8]>,
    vchannel: Option<&'a [u8]>,
    collection_id: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    /// Returns the place of a header's value; `None` if it isn't metadata, or is there already.
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let places = [
            (MSG_TYPE, &mut self.msg_type),
            (MSG_ID, &mut self.msg_id),
            (TIMESTAMP, &mut self.timestamp),
            (VCHANNEL, &mut self.vchannel),
            (COLLECTION_ID, &mut self.collection_id),
        ];
        let found = places.into_iter().find(|(of, _)| name == of.as_bytes());
        found.map(|(_, place)| place).filter(|place| place.is_none())
    }

    fn meta(self, payload: &Bytes, names: &MsgTypeNames) -> Result<Meta, DecodeError> {
        let msg_type = self.msg_type.map(|name| parse_type(name, names)).transpose()?;
        let vchannel = self.vchannel.map(|v| text(VCHANNEL, v)).transpose()?;
        let collection_id = self.collection_id.map(|v| number(COLLECTION_ID, v)).transpose()?;

        let mut meta = match (msg_type, self.msg_id, self.timestamp, vchannel, collection_id) {
            (Some(msg_type), Some(msg_id), Some(timestamp), Some(_), Some(_)) => {
                let timestamp = Timestamp(number(TIMESTAMP, timestamp)?);
                Meta { msg_id: number(MSG_ID, msg_id)?, ..Meta::new(msg_type, timestamp) }
            }
            _ => meta_of_payload(payload, msg_type)?,
        };
        meta.vchannel = vchannel.filter(|v| !v.is_empty()).map(Into::into);
        meta.collection_id = collection_id.unwrap_or_default();
        Ok(meta)
    }
}

fn meta_of_payload(payload: &Bytes, msg_type: Option<MsgType>) -> Result<Meta, DecodeError> {
    let header = MsgHeader::decode(payload.as_ref()).map_err(DecodeError::corrupt)?;
    let base = header.base.ok_or_else(|| DecodeError::Inconsistent {
        reason: "its headers are incomplete, and its payload has no base to take the metadata from"
            .to_owned(),
    })?;
    let msg_type = msg_type.unwrap_or(MsgType(base.msg_type));
    Ok(Meta { msg_id: base.msg_id, ..Meta::new(msg_type, Timestamp(base.timestamp)) })
}

fn parse_type(name: &[u8], names: &MsgTypeNames) -> Result<MsgType, DecodeError> {
    let name = text(MSG_TYPE, name)?;
    names.parse(name).ok_or_else(|| DecodeError::Header {
        name: MSG_TYPE,
        reason: format!("no type is called `{name}`; add it to the `MsgTypeNames`"),
        source: None,
    })
}

fn number<N>(name: &'static str, value: &[u8]) -> Result<N, DecodeError>
where
    N: FromStr<Err: Error + Send + Sync + 'static> + TryFrom<u64>,
{
    // Each record has three of them, and nearly all are plain digits.
    if let Some(number) = digits(value).and_then(|number| N::try_from(number).ok()) {
        return Ok(number);
    }
    let value = text(name, value)?;
    value.parse().map_err(|error: N::Err| DecodeError::Header {
        name,
        reason: format!("`{value}` isn't a number of this kind"),
        source: Some(error.into()),
    })
}

/// Returns the number that up to 19 digits are, which always fits.
fn digits(value: &[u8]) -> Option<u64> {
    let few = (1..=19).contains(&value.len());
    few.then(|| {
        value.iter().try_fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + u64::from(digit))
        })
    })?
}

fn text<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(value).map_err(|error| DecodeError::Header {
        name,
        reason: "it isn't UTF-8".to_owned(),
        source: Some(error.into()),
    })
}

#[cfg(test)]
mod tests;
