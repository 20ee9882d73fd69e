//! Splits an entry into checksum, metadata and messages.

use bytes::{Buf as _, Bytes};
use crc::{CRC_32_ISCSI, Crc, Table};
use prost::Message as _;

/// Precedes the checksum, if there is one.
const CHECKSUM_MARK: u16 = 0x0e01;
const CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// The fields of an entry's metadata that a reader needs. Text is kept as bytes; the reader decides
/// what to do about text that isn't UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(message, repeated, tag = "4")]
    pub(crate) properties: Vec<Property>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) partition_key: Option<Bytes>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) compression: Option<i32>,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) uncompressed_size: Option<u32>,
    #[prost(int32, optional, tag = "11")]
    pub(crate) num_messages_in_batch: Option<i32>,
    #[prost(bytes = "bytes", repeated, tag = "13")]
    pub(crate) encryption_keys: Vec<Bytes>,
    #[prost(bool, optional, tag = "17")]
    pub(crate) partition_key_b64_encoded: Option<bool>,
    #[prost(int32, optional, tag = "27")]
    pub(crate) num_chunks_from_msg: Option<i32>,
    #[prost(int32, optional, tag = "29")]
    pub(crate) chunk_id: Option<i32>,
}

/// The same of a message in a batch.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SingleMetadata {
    #[prost(message, repeated, tag = "1")]
    pub(crate) properties: Vec<Property>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) partition_key: Option<Bytes>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) payload_size: Option<i32>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) compacted_out: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) partition_key_b64_encoded: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Property {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

/// An entry as it came.
#[derive(Debug)]
pub(crate) enum Payload {
    Sound {
        metadata: Metadata,
        data: Bytes,
    },
    /// Nothing that is in it can be relied on.
    Damaged {
        reason: String,
        /// All that can be shown.
        whole: Bytes,
    },
}

impl Payload {
    /// Parses an entry. It can't fail: a damaged entry is one, too.
    pub(crate) fn parse(entry: Bytes) -> Self {
        match Self::split(entry.clone()) {
            Ok((metadata, data)) => Self::Sound { metadata, data },
            Err(reason) => Self::Damaged { reason, whole: entry },
        }
    }

    fn split(mut entry: Bytes) -> Result<(Metadata, Bytes), String> {
        if entry.starts_with(&CHECKSUM_MARK.to_be_bytes()) {
            entry.advance(2);
            let told = entry.try_get_u32().map_err(|_| "it breaks off before its checksum")?;
            if CHECKSUM.checksum(&entry) != told {
                return Err("its checksum is wrong".to_owned());
            }
        }
        let length = entry.try_get_u32().map_err(|_| "it breaks off before its metadata")?;
        let length = length as usize;
        if length > entry.len() {
            return Err("it breaks off in its metadata".to_owned());
        }
        let metadata = Metadata::decode(entry.split_to(length))
            .map_err(|error| format!("its metadata can't be decoded: {error}"))?;
        Ok((metadata, entry))
    }

    /// Returns how many messages the broker counts it as, `None` if that can't be known.
    pub(crate) fn messages(&self) -> Option<i64> {
        match self {
            Self::Sound { metadata, .. } => {
                Some(metadata.num_messages_in_batch.unwrap_or(1).max(1).into())
            }
            Self::Damaged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;
    use pulsar::message::{Codec, Message};
    use pulsar::proto::{KeyValue, MessageMetadata};
    use tokio_util::codec::Encoder as _;

    use super::*;

    /// An entry as the plain client writes it.
    fn entry() -> Vec<u8> {
        let property = KeyValue { key: "key".to_owned(), value: "value".to_owned() };
        let metadata = MessageMetadata {
            properties: vec![property],
            num_messages_in_batch: Some(2),
            ..MessageMetadata::default()
        };
        let payload = pulsar::Payload { metadata, data: b"data".to_vec() };
        let mut frame = bytes::BytesMut::new();
        let message = Message { payload: Some(payload), ..crate::frames::ping() };
        Codec.encode(message, &mut frame).unwrap();
        let at = frame.windows(2).position(|part| part == CHECKSUM_MARK.to_be_bytes()).unwrap();
        frame[at..].to_vec()
    }

    fn damage(entry: Vec<u8>) -> String {
        match Payload::parse(entry.into()) {
            Payload::Damaged { reason, .. } => reason,
            sound @ Payload::Sound { .. } => panic!("{sound:?}"),
        }
    }

    #[test]
    fn an_entry_has_metadata_and_messages() {
        let with_checksum = entry();
        // Some programs write none.
        let without = with_checksum[6..].to_vec();
        for entry in [with_checksum, without] {
            let payload = Payload::parse(entry.into());
            assert_eq!(payload.messages(), Some(2));
            let Payload::Sound { metadata, data } = payload else { panic!("{payload:?}") };
            let property = Property { key: "key".into(), value: "value".into() };
            assert_eq!((metadata.properties, &*data), (vec![property], &b"data"[..]));
        }
    }

    #[test]
    fn a_bit_that_changed_is_noticed() {
        for at in 6..entry().len() {
            let mut entry = entry();
            entry[at] ^= 1;
            assert_eq!(damage(entry), "its checksum is wrong", "{at}");
        }
    }

    #[test]
    fn nonsense_is_damaged() {
        let metadata = [&1_u32.to_be_bytes()[..], b"\xff"].concat();
        assert!(damage(metadata).starts_with("its metadata can't be decoded: "));
        assert_eq!(damage(vec![0, 0, 0, 1]), "it breaks off in its metadata");
        assert_eq!(damage(Vec::new()), "it breaks off before its metadata");
        assert_eq!(damage(vec![0x0e, 0x01, 0]), "it breaks off before its checksum");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken(entry in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Payload::Damaged { whole, .. } = Payload::parse(entry.clone().into()) {
                prop_assert_eq!(&*whole, &*entry);
            }
        }
    }
}
