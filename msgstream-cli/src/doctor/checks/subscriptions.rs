//! Where subscriptions are.

use std::time::Duration;

use crate::doctor::facts::{Channel, Cursor, Facts, between, reach};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::span;
use crate::time::Time;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let cursors = facts.channels.iter().flat_map(|channel| {
        channel
            .cursors
            .iter()
            .filter_map(|cursor| trimmed(channel, cursor).or_else(|| lag(facts, channel, cursor)))
    });
    cursors.collect()
}

fn trimmed(channel: &Channel, cursor: &Cursor) -> Option<Finding> {
    let first = channel.info.first.unwrap_or(channel.info.end);
    let acked = cursor.acked.filter(|acked| *acked < first)?;
    let name = &cursor.name;
    let what = format!(
        "the subscription `{name}` stands at {acked}, but the records before {first} were removed"
    );
    let advice = "resume its consumer from its checkpoint, or from what is left; remove the subscription \
                  if nobody uses it";
    Some(Finding::new(Code::CursorTrimmed, &*channel.name, what, advice).at(acked))
}

fn lag(facts: &Facts, channel: &Channel, cursor: &Cursor) -> Option<Finding> {
    let lag = cursor.lag(facts, channel).filter(|lag| *lag > facts.max_lag)?;
    let (name, next) = (&cursor.name, cursor.next_ts?);
    let what = format!(
        "the subscription `{name}` is {} behind: the first record that isn't acknowledged has the time {}",
        span(lag),
        Time(next),
    );
    let advice = "see that its consumer runs; remove the subscription if nobody uses it, for it may keep \
                  the broker from removing records";
    let at = cursor.acked.or(channel.info.first);
    Some(Finding::new(Code::SubscriptionLag, &*channel.name, what, advice).at(at).since(next))
}

impl Cursor {
    /// Returns how far it is behind what could be in packs; `None` if that isn't known.
    pub(in crate::doctor) fn lag(&self, facts: &Facts, channel: &Channel) -> Option<Duration> {
        // A consumer gets no further than the channel that packs wait for.
        let reach = channel.watermark().min(reach(facts.streams()))?;
        Some(between(self.next_ts.unwrap_or(reach), reach))
    }
}
