//! [`ConsumerMetrics`]: what a consumer is doing, as metrics.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Label, SharedString, gauge};
use msgstream_core::consume::ConsumerStatus;
use msgstream_core::merge::{ChannelState, ChannelStatus, MergeCounts};
use msgstream_core::{Consumer, MsgPack, Result, Timestamp};
use tokio::select;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::attribute::{CONSUMER, DESTINATION, STATE};
use crate::counts::Counts;
use crate::metric as m;

const STATES: [ChannelState; 5] = [
    ChannelState::Blocking,
    ChannelState::Ahead,
    ChannelState::Paused,
    ChannelState::Idle,
    ChannelState::Ended,
];

/// Records the status of a consumer as metrics.
///
/// [`record`](Self::record) does so once; [`next_pack`](Self::next_pack) as often as asked, and
/// while the consumer waits, too, which is when it matters. Each consumer that is opened needs one of
/// its own.
///
/// ```
/// use std::time::Duration;
/// use msgstream_observe::ConsumerMetrics;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::{Consumer, Producer, Timestamp};
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().open().await?;
/// # producer.end(Timestamp(5)).await?;
/// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
/// let mut metrics = ConsumerMetrics::new("billing").every(Duration::from_secs(5));
/// while let Some(pack) = metrics.next_pack(&mut packs).await? {
///     println!("{} messages", pack.msgs.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ConsumerMetrics {
    name: SharedString,
    every: Duration,
    due: Option<Interval>,
    counts: Counts,
}

impl ConsumerMetrics {
    /// Returns the metrics of a consumer. The name, which distinguishes it from others in the
    /// process, is the attribute `msgstream.consumer.name`.
    ///
    /// ```
    /// let metrics = msgstream_observe::ConsumerMetrics::new("billing");
    /// ```
    pub fn new(name: impl Into<SharedString>) -> Self {
        let name = name.into();
        let counts = Counts::new(Label::new(CONSUMER, name.clone()));
        Self { name, every: Duration::from_secs(1), due: None, counts }
    }

    /// Sets how often [`next_pack`](Self::next_pack) records the status: every second unless set, and at
    /// most every millisecond. What it costs grows with the number of channels.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_observe::ConsumerMetrics;
    /// let metrics = ConsumerMetrics::new("billing").every(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn every(mut self, period: Duration) -> Self {
        (self.every, self.due) = (period, None);
        self
    }

    /// Records a status. Counters grow by what the consumer counted since the last one.
    ///
    /// After a [`seek`](Consumer::seek) the consumer counts from 0 again: record its status then,
    /// so that this is noticed.
    ///
    /// ```
    /// # use msgstream_core::Consumer;
    /// # use msgstream_observe::ConsumerMetrics;
    /// # fn example(consumer: &Consumer, metrics: &mut ConsumerMetrics) {
    /// metrics.record(&consumer.status());
    /// # }
    /// ```
    pub fn record(&mut self, status: &ConsumerStatus) {
        let merge = &status.merge;
        let labels = || vec![Label::new(CONSUMER, self.name.clone())];
        if let Some(frontier) = merge.frontier {
            gauge!(m::FRONTIER, labels()).set(seconds(frontier));
        }
        gauge!(m::SINCE_PACK, labels()).set(status.since_pack);
        gauge!(m::BUFFERED_SIZE, labels()).set(merge.bytes as f64);
        gauge!(m::BUDGET, labels()).set(merge.budget as f64);
        let silent: HashMap<_, _> = status.blocking.iter().map(|(of, time)| (of, *time)).collect();
        let outages = status.outages.iter().map(|outage| (&outage.channel, outage.since));
        let outages: HashMap<_, _> = outages.collect();
        for channel in &merge.channels {
            let of_channel = |times: &HashMap<_, Duration>| times.get(&channel.channel).copied();
            let blocking = of_channel(&silent).unwrap_or_default();
            self.record_channel(channel, blocking, of_channel(&outages).unwrap_or_default());
        }
        self.counts.add(of_merge(&merge.counts));
    }

    fn record_channel(&self, channel: &ChannelStatus, blocking: Duration, outage: Duration) {
        let name = &channel.channel;
        let labels =
            || vec![Label::new(CONSUMER, self.name.clone()), Label::new(DESTINATION, name.clone())];
        for state in STATES {
            let mut labels = labels();
            labels.push(Label::new(STATE, state.to_string()));
            gauge!(m::CHANNEL_STATE, labels).set(f64::from(u8::from(state == channel.state)));
        }
        if let Some(watermark) = channel.watermark {
            gauge!(m::WATERMARK, labels()).set(seconds(watermark));
        }
        if let Some(lag) = channel.lag_ms {
            gauge!(m::LAG, labels()).set(Duration::from_millis(lag));
        }
        gauge!(m::BLOCKING, labels()).set(blocking);
        gauge!(m::OUTAGE, labels()).set(outage);
        gauge!(m::CHANNEL_BUFFERED, labels()).set(channel.buffered as f64);
        gauge!(m::CHANNEL_BUFFERED_SIZE, labels()).set(channel.bytes as f64);
        gauge!(m::PRODUCERS, labels()).set(channel.producers as f64);
    }

    /// Returns the consumer's next pack, as [`Consumer::next_pack`] does. Meanwhile it records the
    /// status whenever it is due.
    ///
    /// # Errors
    /// The consumer's.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn next_pack<C>(&mut self, consumer: &mut Consumer<C>) -> Result<Option<MsgPack>> {
        let every = self.every;
        loop {
            let due = self.due.get_or_insert_with(|| {
                let mut due = interval(every.max(Duration::from_millis(1)));
                due.set_missed_tick_behavior(MissedTickBehavior::Delay);
                due
            });
            select! {
                biased;
                _ = due.tick() => self.record(&consumer.status()),
                pack = consumer.next_pack() => {
                    if !matches!(pack, Ok(Some(_))) {
                        self.record(&consumer.status());
                    }
                    return pack;
                }
            }
        }
    }
}

fn seconds(ts: Timestamp) -> f64 {
    ts.physical_ms() as f64 / 1_000.0
}

const fn of_merge(counts: &MergeCounts) -> [(&'static str, u64); 20] {
    [
        (m::PACKS, counts.packs),
        (m::MESSAGES, counts.delivered),
        (m::LATE, counts.late),
        (m::DROPPED_LATE, counts.dropped_late),
        (m::BEFORE_JOIN, counts.before_join),
        (m::REPLAYED, counts.replayed),
        (m::REPEATED_TICKS, counts.repeated_ticks),
        (m::IGNORED_TICKS, counts.ignored_ticks),
        (m::AFTER_END, counts.after_end),
        (m::DUPLICATES, counts.duplicates),
        (m::GAPS, counts.gaps),
        (m::CONSUMER_FENCED, counts.fenced),
        (m::CONTROL, counts.control),
        (m::MISSING, counts.missing),
        (m::IDLED, counts.idled),
        (m::REJOINED, counts.rejoined),
        (m::EVICTIONS, counts.evictions),
        (m::EVICTED_BEFORE_TICKS, counts.evicted_before_ticks),
        (m::REFUSED_WINDOWS, counts.refused_windows),
        (m::PAUSED, counts.paused),
    ]
}
