//! Measures headers without writing them.

use std::fmt::{self, Write as _};

use super::headers::{COLLECTION_ID, MSG_ID, MSG_TYPE, TIMESTAMP, VCHANNEL};
use crate::record::MsgTypeNames;
use crate::record::{Record, Stamp};

/// How many headers a record has, and how large they are. See [`headers_size`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadersSize {
    /// The number of headers.
    pub count: usize,
    /// The size of their names and values together, in bytes.
    pub bytes: usize,
}

impl HeadersSize {
    fn add(&mut self, name: &str, value: usize) {
        self.count += 1;
        self.bytes += name.len() + value;
    }
}

/// Returns how many headers [`encode_headers`](super::encode_headers) returns, and how large they
/// are, to check limits before a record is written. It doesn't allocate.
///
/// ```
/// use msgstream_core::record::{Meta, Record};
/// use msgstream_core::adapter::headers_size;
/// use msgstream_core::{MsgType, MsgTypeNames, Timestamp};
///
/// let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "");
/// let size = headers_size(&record, &MsgTypeNames::default());
/// let headers = [("msg_type", "Insert"), ("msg_id", "0"), ("timestamp", "7"), ("vchannel", ""), ("collection_id", "0")];
/// assert_eq!(size.count, headers.len());
/// let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
/// assert_eq!(size.bytes, bytes);
/// ```
#[must_use]
pub fn headers_size(record: &Record, names: &MsgTypeNames) -> HeadersSize {
    let meta = &record.meta;
    let mut size = HeadersSize::default();
    size.add(MSG_TYPE, names.name(meta.msg_type).len());
    size.add(MSG_ID, signed(meta.msg_id));
    size.add(TIMESTAMP, digits(meta.timestamp.0));
    size.add(VCHANNEL, meta.vchannel.as_deref().map_or(0, str::len));
    size.add(COLLECTION_ID, signed(meta.collection_id));
    if let Some(Stamp { origin, seq }) = &meta.stamp {
        let epoch = written(origin.epoch);
        size.add(Stamp::HEADER, origin.producer.len() + 1 + epoch + 1 + digits(*seq));
    }
    for header in &record.extra {
        size.add(&header.name, header.value.len());
    }
    size
}

fn signed(number: i64) -> usize {
    usize::from(number < 0) + digits(number.unsigned_abs())
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Returns how many bytes a value takes as text.
fn written(value: impl fmt::Display) -> usize {
    struct Count(usize);

    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }

    let mut count = Count(0);
    // Counting can't fail.
    let _ = write!(count, "{value}");
    count.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::adapter::encode_headers;
    use crate::record::{Header, Meta, Origin, Position};
    use crate::record::{MsgType, Timestamp};

    proptest! {
        #[test]
        fn it_is_the_size_of_what_is_written(
            (msg_type, msg_id, timestamp, collection_id) in any::<(u32, i64, u64, i64)>(),
            vchannel in prop::option::of("\\PC{1,9}"),
            stamp in prop::option::of(("[a-z]{1,9}", any::<[u64; 3]>(), any::<u64>())),
            extra in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..9)), 0..4),
        ) {
            let mut meta = Meta::new(MsgType(msg_type), Timestamp(timestamp));
            (meta.msg_id, meta.collection_id) = (msg_id, collection_id);
            meta.vchannel = vchannel.map(Into::into);
            meta.stamp = stamp.map(|(producer, words, seq)| {
                let (producer, epoch) = (producer.into(), Position::from_words(words));
                Stamp { origin: Arc::new(Origin { producer, epoch }), seq }
            });
            let mut record = Record::new(meta, "payload");
            record.extra = extra.into_iter().map(|(name, value)| Header::new(name, value)).collect();
            let names = MsgTypeNames::default();
            let mut expected = HeadersSize::default();
            for (name, value) in encode_headers(&record, &names) {
                expected.add(name, value.len());
            }
            prop_assert_eq!(headers_size(&record, &names), expected);
        }
    }
}
