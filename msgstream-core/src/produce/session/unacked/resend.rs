//! A compact copy of a batch, from which it can be sent again.

use std::sync::Arc;

use bytes::Bytes;

use crate::record::{Headers, Meta, Record};
use crate::record::{MsgType, Timestamp};

/// The records of a batch, without the session's stamp, and with what neighbours share stored once.
/// Every message is copied here and hardly any is sent again, so little is stored for each.
pub(super) struct ResendBuffer {
    records: Vec<Rest>,
    /// The virtual channels: one for each run of neighbours that share one, by the run's first
    /// record.
    vchannels: Vec<(usize, Option<Arc<str>>)>,
    /// The extra headers of the records that have some, by the record.
    extra: Vec<(usize, Headers)>,
    /// The buffers that payloads share, and the one in which the last payload was.
    buffers: Vec<Bytes>,
    buffer: usize,
}

/// The part of a record that isn't shared: one cache line.
struct Rest {
    msg_type: MsgType,
    msg_id: i64,
    timestamp: Timestamp,
    collection_id: i64,
    payload: Payload,
}

enum Payload {
    /// Bytes of a buffer.
    Shared {
        buffer: usize,
        from: usize,
        len: usize,
    },
    Own(Bytes),
}

impl ResendBuffer {
    /// Creates a buffer for this many records, whose payloads may be in these buffers.
    pub(super) fn new(records: usize, buffers: Vec<Bytes>) -> Self {
        let records = Vec::with_capacity(records);
        Self { records, vchannels: Vec::new(), extra: Vec::new(), buffers, buffer: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a record.
    pub(super) fn push(&mut self, record: &Record) {
        let Record { meta, extra, payload, .. } = record;
        let goes_on = |(_, last): &(usize, Option<Arc<str>>)| match (last, &meta.vchannel) {
            (Some(last), Some(vchannel)) => Arc::ptr_eq(last, vchannel),
            (last, vchannel) => last.is_none() && vchannel.is_none(),
        };
        if !self.vchannels.last().is_some_and(goes_on) {
            self.vchannels.push((self.len(), meta.vchannel.clone()));
        }
        if !extra.is_empty() {
            self.extra.push((self.len(), extra.clone()));
        }
        let payload = self.payload(payload);
        self.records.push(Rest {
            msg_type: meta.msg_type,
            msg_id: meta.msg_id,
            timestamp: meta.timestamp,
            collection_id: meta.collection_id,
            payload,
        });
    }

    /// Locates a payload. Payloads are in the buffers in order, so it is in the last one or the
    /// next.
    fn payload(&mut self, payload: &Bytes) -> Payload {
        for buffer in [self.buffer, self.buffer + 1] {
            if let Some(from) = self.buffers.get(buffer).and_then(|all| place(all, payload)) {
                self.buffer = buffer;
                return Payload::Shared { buffer, from, len: payload.len() };
            }
        }
        Payload::Own(payload.clone())
    }

    /// Rebuilds the records from an index on, without stamps.
    pub(super) fn again(&self, from: usize) -> impl Iterator<Item = Record> {
        self.records.iter().enumerate().skip(from).map(|(at, rest)| {
            let mut meta = Meta::new(rest.msg_type, rest.timestamp);
            (meta.msg_id, meta.collection_id) = (rest.msg_id, rest.collection_id);
            meta.vchannel = self.vchannel(at).cloned();
            let payload = match &rest.payload {
                Payload::Shared { buffer, from, len } => {
                    self.buffers[*buffer].slice(*from..*from + *len)
                }
                Payload::Own(payload) => payload.clone(),
            };
            let mut record = Record::new(meta, payload);
            if let Ok(found) = self.extra.binary_search_by_key(&at, |(of, _)| *of) {
                record.extra = self.extra[found].1.clone();
            }
            record
        })
    }

    fn vchannel(&self, at: usize) -> Option<&Arc<str>> {
        let runs = self.vchannels.partition_point(|(first, _)| *first <= at);
        self.vchannels[..runs].last()?.1.as_ref()
    }

    /// Returns how many of the first records take a sequence number.
    pub(super) fn messages(&self, first: usize) -> u64 {
        (0..first).filter(|at| !self.is_tick(*at)).count() as u64
    }

    /// Returns whether the record at an index takes no sequence number.
    pub(super) fn is_tick(&self, at: usize) -> bool {
        self.records.get(at).is_some_and(|record| record.msg_type == MsgType::TIME_TICK)
    }
}

/// Returns where in a buffer a payload is. Both are alive and immutable, so the same address has
/// the same bytes.
fn place(buffer: &Bytes, payload: &Bytes) -> Option<usize> {
    let from = payload.as_ptr().addr().checked_sub(buffer.as_ptr().addr())?;
    (from + payload.len() <= buffer.len()).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_a_payload_in_a_buffer_is_stored() {
        let buffers = ["abcd", "efg"].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let mut resend = ResendBuffer::new(4, buffers.to_vec());
        let payloads = [buffers[0].slice(1..3), "own".into(), buffers[1].slice(..2), "efg".into()];
        for payload in payloads {
            resend.push(&Record::new(Meta::default(), payload));
        }
        let places = resend.records.iter().map(|rest| match &rest.payload {
            Payload::Shared { buffer, from, len } => Some((*buffer, *from, *len)),
            Payload::Own(_) => None,
        });
        assert_eq!(places.collect::<Vec<_>>(), [Some((0, 1, 2)), None, Some((1, 0, 2)), None]);
    }
}
