//! What is kept of the records of a batch, to send them again.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::{MsgType, Timestamp};
use crate::transport::{Headers, Meta, Record};

/// The records of a batch, but for the session's stamp and what neighbours share: every message is
/// kept, and hardly any is sent again, so there is to be little to write and to count for each.
pub(super) struct Kept {
    records: Vec<Rest>,
    /// The virtual channels: one for each run of neighbours that share one, by the run's first
    /// record.
    vchannels: Vec<(usize, Option<Arc<str>>)>,
}

/// What a record has of its own.
struct Rest {
    msg_type: MsgType,
    msg_id: i64,
    timestamp: Timestamp,
    collection_id: i64,
    extra: Headers,
    payload: Bytes,
}

impl Kept {
    pub(super) fn with_capacity(records: usize) -> Self {
        Self { records: Vec::with_capacity(records), vchannels: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// Keeps another record.
    pub(super) fn push(&mut self, record: &Record) {
        let Record { meta, extra, payload, .. } = record;
        let goes_on = |(_, last): &(usize, Option<Arc<str>>)| match (last, &meta.vchannel) {
            (Some(last), Some(vchannel)) => Arc::ptr_eq(last, vchannel),
            (last, vchannel) => last.is_none() && vchannel.is_none(),
        };
        if !self.vchannels.last().is_some_and(goes_on) {
            self.vchannels.push((self.len(), meta.vchannel.clone()));
        }
        self.records.push(Rest {
            msg_type: meta.msg_type,
            msg_id: meta.msg_id,
            timestamp: meta.timestamp,
            collection_id: meta.collection_id,
            extra: extra.clone(),
            payload: payload.clone(),
        });
    }

    /// The records from an index on, as they were but without stamps.
    pub(super) fn again(&self, from: usize) -> impl Iterator<Item = Record> {
        self.records.iter().enumerate().skip(from).map(|(at, rest)| {
            let mut meta = Meta::new(rest.msg_type, rest.timestamp);
            (meta.msg_id, meta.collection_id) = (rest.msg_id, rest.collection_id);
            meta.vchannel = self.vchannel(at).cloned();
            let mut record = Record::new(meta, rest.payload.clone());
            record.extra = rest.extra.clone();
            record
        })
    }

    fn vchannel(&self, at: usize) -> Option<&Arc<str>> {
        let runs = self.vchannels.partition_point(|(first, _)| *first <= at);
        self.vchannels[..runs].last()?.1.as_ref()
    }

    /// How many of the first records take a number.
    pub(super) fn messages(&self, first: usize) -> u64 {
        (0..first).filter(|at| !self.is_tick(*at)).count() as u64
    }

    /// Whether the record at an index takes no number.
    pub(super) fn is_tick(&self, at: usize) -> bool {
        self.records[at].msg_type == MsgType::TIME_TICK
    }
}
