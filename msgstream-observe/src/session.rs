//! [`SessionMetrics`]: what a session has done, as metrics.

use metrics::{Label, SharedString};
use msgstream_core::produce::SessionCounts;

use crate::attribute::SESSION;
use crate::counts::Counts;
use crate::metric as m;

/// Records the counts of a session as metrics.
///
/// ```
/// use msgstream_core::{Producer, Timestamp, message::TimeSyncMsg, produce::SessionConfig};
/// use msgstream_observe::SessionMetrics;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let orders = Producer::builder(broker).channels(["orders"]).create_missing();
/// let mut producer = orders.session(SessionConfig::new("billing-3")).open().await?;
/// let mut metrics = SessionMetrics::new("billing-3");
/// producer.send(TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0])).await?;
/// metrics.record(&producer.counts());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SessionMetrics {
    counts: Counts,
}

impl SessionMetrics {
    /// Returns the metrics of the session of this producer: it is the attribute
    /// `msgstream.session.producer`.
    ///
    /// ```
    /// let metrics = msgstream_observe::SessionMetrics::new("billing-3");
    /// ```
    pub fn new(producer: impl Into<SharedString>) -> Self {
        Self { counts: Counts::new(Label::new(SESSION, producer.into())) }
    }

    /// Records counts. Counters grow by what was counted since the last time.
    ///
    /// ```
    /// # use msgstream_core::Producer;
    /// # use msgstream_core::produce::InSession;
    /// # use msgstream_observe::SessionMetrics;
    /// # fn example(producer: &Producer<InSession>, metrics: &mut SessionMetrics) {
    /// metrics.record(&producer.counts());
    /// # }
    /// ```
    pub fn record(&mut self, counts: &SessionCounts) {
        self.counts.add([
            (m::OPENED, counts.opened),
            (m::FENCES_SENT, counts.fences_sent),
            (m::SCANS_RESTARTED, counts.scans_restarted),
            (m::BASES_SENT, counts.bases_sent),
            (m::RESENT_BATCHES, counts.resent_batches),
            (m::RESENT_RECORDS, counts.resent_records),
            (m::UNKNOWN_RESOLVED, counts.unknown_resolved),
            (m::REOPENED_WRITERS, counts.reopened_writers),
            (m::HELD_BACK, counts.held_back),
            (m::OVERTAKEN_TICKS, counts.overtaken_ticks),
            (m::GAVE_UP, counts.gave_up),
            (m::CONFIRMED, counts.confirmed),
            (m::SESSION_FENCED, counts.fenced),
            (m::GOODBYES, counts.goodbyes),
        ]);
    }
}
