//! Buffers of a log's own.

use std::iter;

use bytes::{Bytes, BytesMut};
use msgstream_core::record::Record;

/// The payloads of neighbours share buffers of about this size.
const SHARED: usize = 64 << 10;

/// Moves the bytes of the records into buffers that hold nothing else.
///
/// What was handed over may be a few bytes of a large buffer, and would keep all of it. A bounded
/// log copies, so that its bound holds for the memory too: give or take one shared buffer.
pub(crate) fn compact(records: &mut [Record]) {
    let mut rest = records;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |record: &&Record| {
            bytes += slices(record).map(Bytes::len).sum::<usize>();
            bytes <= SHARED
        };
        // A record that is larger has a buffer for itself.
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, after) = rest.split_at_mut(count);
        copy_together(group);
        rest = after;
    }
}

fn copy_together(group: &mut [Record]) {
    let bytes = group.iter().flat_map(slices).map(Bytes::len).sum();
    let mut buffer = BytesMut::with_capacity(bytes);
    for slice in group.iter().flat_map(slices) {
        buffer.extend_from_slice(slice);
    }
    let mut buffer = buffer.freeze();
    for record in group {
        let headers = record.extra.iter_mut().map(|h| &mut h.value);
        for slice in iter::once(&mut record.payload).chain(headers) {
            *slice = buffer.split_to(slice.len());
        }
    }
}

fn slices(record: &Record) -> impl Iterator<Item = &Bytes> {
    iter::once(&record.payload).chain(record.extra.iter().map(|h| &h.value))
}

#[cfg(test)]
mod tests {
    use msgstream_core::record::{Header, Meta};
    use proptest::prelude::*;

    use super::*;

    fn record(payload: Bytes, headers: Vec<Bytes>) -> Record {
        let mut record = Record::new(Meta::default(), payload);
        record.extra = headers.into_iter().map(|value| Header::new("h", value)).collect();
        record
    }

    #[test]
    fn a_slice_lets_go_of_its_large_buffer() {
        let large = Bytes::from(vec![7; 1 << 20]);
        let mut records = [record(large.slice(5..9), vec![large.slice(..2)])];
        compact(&mut records);
        assert!(large.is_unique());
        assert_eq!(records[0].payload, [7; 4].as_slice());
        assert_eq!(records[0].extra[0].value, [7; 2].as_slice());
    }

    #[test]
    fn one_record_keeps_no_more_than_its_group() {
        let mut records = vec![record(Bytes::from(vec![1; 20 << 10]), vec![]); 10];
        compact(&mut records);
        // Three fit into one shared buffer, so the fourth record begins another.
        let starts: Vec<_> = records.iter().map(|r| r.payload.as_ptr() as usize).collect();
        assert_eq!(starts[1] - starts[0], 20 << 10);
        assert_eq!(starts[2] - starts[1], 20 << 10);
        let first = records.remove(0).payload;
        records.drain(..2);
        assert!(first.is_unique(), "the group has three members");
    }

    proptest! {
        #[test]
        fn contents_stay(
            all in prop::collection::vec(
                (0..90_000usize, prop::collection::vec(0..100usize, 0..3)), 0..8)
        ) {
            let bytes = |seed: usize, len: usize| {
                Bytes::from_iter((0..len).map(|i| (seed * 31 + i) as u8))
            };
            let mut records: Vec<_> = all.iter().enumerate().map(|(seed, (len, headers))| {
                let headers = headers.iter().map(|len| bytes(seed + 100, *len)).collect();
                record(bytes(seed, *len), headers)
            }).collect();
            let before = records.clone();
            compact(&mut records);
            prop_assert_eq!(before, records);
        }
    }
}
