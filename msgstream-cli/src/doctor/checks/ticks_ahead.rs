//! Ticks of a clock that is wrong.

use crate::doctor::facts::{Facts, between};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::{count, span};
use crate::time::Time;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let ahead = facts.channels.iter().filter_map(|channel| {
        let (log, name) = (&channel.log, &*channel.name);
        let first = log.ticks_ahead.first?;
        // Nobody needs the old one any more, unless the checkpoint's consumer does.
        let repaired = channel.repaired.as_ref();
        if repaired.is_some() && channel.mark.is_none() {
            return None;
        }
        let what = format!(
            "{} too far ahead: the first one, {}, is {} ahead of the clock, and {} after it {} late for \
             consumers that accept it",
            count(log.ticks_ahead.count, "tick is", "ticks are"),
            Time(first.ts),
            span(between(facts.now, first.ts)),
            count(log.late_by_ahead, "message", "messages"),
            if log.late_by_ahead == 1 { "is" } else { "are" },
        );
        let advice = match repaired {
            Some(into) => format!(
                "the channel was repaired: name `{into}` instead of `{name}` in the consumer of the checkpoint"
            ),
            None => format!(
                "stop the producer whose clock is wrong, then run `msgstream repair-ticks URL {name}`; a \
                 consumer with `max_tick_ahead` can go on at once with `ignore_tick`"
            ),
        };
        let finding = Finding::new(Code::TickAhead, name, what, advice);
        Some(finding.at(first.position).since(first.watermark))
    });
    ahead.collect()
}
