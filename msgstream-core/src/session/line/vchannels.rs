//! The virtual channels of what is kept.

use std::sync::Arc;

use crate::transport::Record;

/// The virtual channels of the records of a batch that were sent: one for each run of neighbours
/// that share one, by the run's first record.
#[derive(Default)]
pub(super) struct Vchannels {
    runs: Vec<(usize, Option<Arc<str>>)>,
    /// How many records there are in the runs.
    upto: usize,
}

impl Vchannels {
    /// That of the record at an index: from the record itself when it is sent first.
    pub(super) fn take(&mut self, at: usize, record: &mut Record) -> Option<Arc<str>> {
        if at < self.upto {
            let runs = self.runs.partition_point(|(first, _)| *first <= at);
            return self.runs[..runs].last()?.1.clone();
        }
        self.upto = at + 1;
        let vchannel = record.meta.vchannel.take();
        let goes_on = |(_, last): &(usize, Option<Arc<str>>)| match (last, &vchannel) {
            (Some(last), Some(vchannel)) => Arc::ptr_eq(last, vchannel),
            (last, vchannel) => last.is_none() && vchannel.is_none(),
        };
        if !self.runs.last().is_some_and(goes_on) {
            self.runs.push((at, vchannel.clone()));
        }
        vchannel
    }
}
