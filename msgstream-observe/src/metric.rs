//! The metrics, by name.

use std::fmt;

use metrics::Unit;

use crate::attribute::{
    CAUGHT_UP, CONSUMER, DESTINATION, ERROR_TYPE, OPERATION, OPERATION_TYPE, SESSION, STATE,
    SUBSCRIPTION, SYSTEM,
};

/// The bounds of the buckets of `messaging.client.operation.duration` that the conventions advise, in
/// seconds. The first one is 5 ms, so brokers that are nearer need smaller ones.
///
/// ```
/// assert_eq!(msgstream_observe::DURATION_BUCKETS[0], 0.005);
/// ```
pub const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A metric that this crate records.
///
/// ```
/// use msgstream_observe::METRICS;
/// let sent = METRICS.iter().find(|metric| metric.name == "messaging.client.sent.messages");
/// assert_eq!(sent.unwrap().unit, "{message}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: MetricKind,
    /// The unit, as UCUM writes it.
    pub unit: &'static str,
    /// The names of its attributes. `error.type` is there only if the operation failed.
    pub attributes: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
}

/// The kind of a [`Metric`].
///
/// ```
/// assert_eq!(msgstream_observe::MetricKind::Histogram.to_string(), "histogram");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// A distribution of values.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

const OF_CLIENT: &[&str] = &[SYSTEM, DESTINATION, OPERATION];
const OF_CONSUMER: &[&str] = &[CONSUMER];
const OF_CHANNEL: &[&str] = &[CONSUMER, DESTINATION];

macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal $unit:literal $attributes:expr, $meaning:literal;)*) => {
        $(pub(crate) const $constant: &str = $name;)*

        /// All metrics, in the order of the table in `docs/observability.md`.
        ///
        /// ```
        /// for metric in msgstream_observe::METRICS {
        ///     println!("{} ({}, {}): {}", metric.name, metric.kind, metric.unit, metric.meaning);
        /// }
        /// ```
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: MetricKind::$kind,
            unit: $unit,
            attributes: $attributes,
            meaning: $meaning,
        }),*];
    };
}

metrics! {
    DURATION Histogram "messaging.client.operation.duration" "s"
        &[SYSTEM, DESTINATION, SUBSCRIPTION, OPERATION, OPERATION_TYPE, ERROR_TYPE],
        "How long an operation took. For `send` until the batch was acknowledged; for `receive`, which counts only if records came, with the wait for the first one.";
    SENT Counter "messaging.client.sent.messages" "{message}"
        &[SYSTEM, DESTINATION, OPERATION, ERROR_TYPE],
        "Records that were sent to the broker, time ticks and control records included. Those that aren't known to be stored have an `error.type`.";
    CONSUMED Counter "messaging.client.consumed.messages" "{message}" OF_CLIENT,
        "Records that were read, time ticks and control records included.";
    SENT_SIZE Counter "msgstream.client.sent.size" "By" OF_CLIENT,
        "The payloads of the records that were sent.";
    CONSUMED_SIZE Counter "msgstream.client.consumed.size" "By" OF_CLIENT,
        "The payloads of the records that were read.";
    IN_FLIGHT Gauge "msgstream.client.in_flight" "{message}" OF_CLIENT,
        "Records that were handed to a writer and whose receipts haven't resolved.";
    READS Counter "msgstream.client.reads" "{read}"
        &[SYSTEM, DESTINATION, OPERATION, CAUGHT_UP],
        "Reads that succeeded, with records or without, and whether they reached the end of the channel.";

    FRONTIER Gauge "msgstream.consumer.frontier" "s" OF_CONSUMER,
        "The end of the last pack, in seconds since 1970. Not there before the first pack.";
    SINCE_PACK Gauge "msgstream.consumer.since_pack" "s" OF_CONSUMER,
        "How long ago the last pack was returned, or the consumer was opened.";
    BUFFERED_SIZE Gauge "msgstream.consumer.buffered.size" "By" OF_CONSUMER,
        "What was read and is in no pack yet, as the budget counts it.";
    BUDGET Gauge "msgstream.consumer.budget" "By" OF_CONSUMER, "The memory budget.";
    PACKS Counter "msgstream.consumer.packs" "{pack}" OF_CONSUMER,
        "Packs that were formed, including empty ones.";
    MESSAGES Counter "msgstream.consumer.messages" "{message}" OF_CONSUMER, "Messages in packs.";
    LATE Counter "msgstream.consumer.late" "{record}" OF_CONSUMER,
        "Late records whose pack was formed.";
    DROPPED_LATE Counter "msgstream.consumer.dropped_late" "{record}" OF_CONSUMER,
        "Late records that were dropped.";
    BEFORE_JOIN Counter "msgstream.consumer.before_join" "{record}" OF_CONSUMER,
        "Records from before their channel joined, which are in no pack.";
    REPLAYED Counter "msgstream.consumer.replayed" "{record}" OF_CONSUMER,
        "Records of earlier packs that were read again after a resume.";
    REPEATED_TICKS Counter "msgstream.consumer.repeated_ticks" "{record}" OF_CONSUMER,
        "Ticks that repeated or went back, which has no effect.";
    IGNORED_TICKS Counter "msgstream.consumer.ignored_ticks" "{record}" OF_CONSUMER,
        "Ticks that were ignored on request.";
    AFTER_END Counter "msgstream.consumer.after_end" "{record}" OF_CONSUMER,
        "Records after their channel's end, which are in no pack.";
    DUPLICATES Counter "msgstream.consumer.duplicates" "{record}" OF_CONSUMER,
        "Records of sessions that were dropped as duplicates.";
    GAPS Counter "msgstream.consumer.gaps" "{record}" OF_CONSUMER,
        "Records of sessions that were dropped because an earlier one was missing; they come again.";
    CONSUMER_FENCED Counter "msgstream.consumer.fenced" "{record}" OF_CONSUMER,
        "Records of sessions that were dropped because their epoch isn't the newest.";
    CONTROL Counter "msgstream.consumer.control" "{record}" OF_CONSUMER,
        "Control records of sessions.";
    MISSING Counter "msgstream.consumer.missing" "{message}" OF_CONSUMER,
        "Messages that their producer knows to be stored and that were not in the channel. Must be 0.";
    IDLED Counter "msgstream.consumer.idled" "{event}" OF_CONSUMER,
        "Times that a channel became idle.";
    REJOINED Counter "msgstream.consumer.rejoined" "{event}" OF_CONSUMER,
        "Times that an idle channel continued.";
    EVICTIONS Counter "msgstream.consumer.evictions" "{event}" OF_CONSUMER,
        "Times that a channel's records were evicted for lack of memory, to be read again.";
    EVICTED_BEFORE_TICKS Counter "msgstream.consumer.evicted_before_ticks" "{event}" OF_CONSUMER,
        "How many of them went back to before a tick, to messages that were sent ahead of it.";
    REFUSED_WINDOWS Counter "msgstream.consumer.refused_windows" "{event}" OF_CONSUMER,
        "Times that one interval alone exceeded the budget.";
    PAUSED Counter "msgstream.consumer.paused" "{event}" OF_CONSUMER,
        "Times that a channel was paused because it was too far ahead.";
    CHANNEL_STATE Gauge "msgstream.consumer.channel.state" "1" &[CONSUMER, DESTINATION, STATE],
        "1 for the state that the channel is in, 0 for the others: `blocking`, `ahead`, `paused`, `idle`, `ended`.";
    WATERMARK Gauge "msgstream.consumer.channel.watermark" "s" OF_CHANNEL,
        "The channel's greatest tick, in seconds since 1970. Not there before the first tick.";
    LAG Gauge "msgstream.consumer.channel.lag" "s" OF_CHANNEL,
        "How far the watermark is behind the greatest one of all channels. Not there before the first tick.";
    BLOCKING Gauge "msgstream.consumer.channel.blocking" "s" OF_CHANNEL,
        "If packs wait for this channel: how long ago it last had a record. Otherwise 0.";
    OUTAGE Gauge "msgstream.consumer.channel.outage" "s" OF_CHANNEL,
        "For how long the channel couldn't be read; 0 if it can.";
    CHANNEL_BUFFERED Gauge "msgstream.consumer.channel.buffered" "{message}" OF_CHANNEL,
        "Messages that were read and are in no pack yet.";
    CHANNEL_BUFFERED_SIZE Gauge "msgstream.consumer.channel.buffered.size" "By" OF_CHANNEL,
        "Their size, as the budget counts it.";
    PRODUCERS Gauge "msgstream.consumer.channel.producers" "{producer}" OF_CHANNEL,
        "How many producers with sessions are remembered.";

    OPENED Counter "msgstream.session.opened" "{session}" &[SESSION], "Sessions that were opened.";
    FENCES_SENT Counter "msgstream.session.fences_sent" "{record}" &[SESSION],
        "Fences that were sent, including those that had to be sent again.";
    SCANS_RESTARTED Counter "msgstream.session.scans_restarted" "{event}" &[SESSION],
        "Times that opening read a channel again from its beginning.";
    BASES_SENT Counter "msgstream.session.bases_sent" "{record}" &[SESSION],
        "Bases that were sent.";
    RESENT_BATCHES Counter "msgstream.session.resent_batches" "{batch}" &[SESSION],
        "Batches that were sent again, in whole or in part.";
    RESENT_RECORDS Counter "msgstream.session.resent_records" "{record}" &[SESSION],
        "Records that were sent again.";
    UNKNOWN_RESOLVED Counter "msgstream.session.unknown_resolved" "{batch}" &[SESSION],
        "Batches whose outcome was unknown until they were sent again and acknowledged.";
    REOPENED_WRITERS Counter "msgstream.session.reopened_writers" "{event}" &[SESSION],
        "Writers that were opened to replace failed ones.";
    HELD_BACK Counter "msgstream.session.held_back" "{record}" &[SESSION],
        "Ticks and bases that had to wait until the messages before them were acknowledged, and batches that had to wait for a tick of a pack, a base, or because much was sent ahead of a tick.";
    OVERTAKEN_TICKS Counter "msgstream.session.overtaken_ticks" "{record}" &[SESSION],
        "Ticks that messages after them were sent ahead of.";
    GAVE_UP Counter "msgstream.session.gave_up" "{event}" &[SESSION],
        "Channels on which the session gave up.";
    CONFIRMED Counter "msgstream.session.confirmed" "{event}" &[SESSION],
        "Successful confirmations.";
    SESSION_FENCED Counter "msgstream.session.fenced" "{event}" &[SESSION],
        "Times that opening or confirming found a newer epoch.";
    GOODBYES Counter "msgstream.session.goodbyes" "{record}" &[SESSION],
        "Channels on which the session was closed with a goodbye record.";
}

/// Describes all metrics to the recorder: their units and what they mean. [`Observed::over`] does so,
/// too; a recorder that is installed later needs another call.
///
/// ```
/// msgstream_observe::describe();
/// ```
///
/// [`Observed::over`]: crate::Observed::over
pub fn describe() {
    for metric in METRICS {
        let unit = match metric.unit {
            "s" => Unit::Seconds,
            "By" => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, unit, metric.meaning),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.meaning),
            MetricKind::Histogram => {
                metrics::describe_histogram!(metric.name, unit, metric.meaning);
            }
        }
    }
}

#[cfg(test)]
mod tests;
