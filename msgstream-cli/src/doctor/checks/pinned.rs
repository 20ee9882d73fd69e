//! Messages whose time is far ahead: every resume reads again from the first of them on.

use crate::doctor::facts::{Channel, Facts, between};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::{count, span};
use crate::time::Time;

const ADVICE: &str = "mend the producer; a consumer gets over it once the frontier is there, with a higher \
                      `max_span`, or by starting after the message";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    facts
        .streams()
        .filter_map(|channel| pinned(facts, channel).or_else(|| ahead(facts, channel)))
        .collect()
}

/// Finds a checkpoint that such a message holds back.
fn pinned(facts: &Facts, channel: &Channel) -> Option<Finding> {
    let (mark, ts) = (channel.mark.as_ref()?, channel.resume_ts?);
    let frontier = facts.checkpoint.as_ref()?.frontier?;
    if Some(mark.resume) >= mark.cut || between(frontier, ts) <= facts.max_ahead {
        return None;
    }
    let what = format!(
        "the checkpoint resumes at a message whose time {} is {} after its frontier {}, and reads all \
         records from there again",
        Time(ts),
        span(between(frontier, ts)),
        Time(frontier),
    );
    let finding = Finding::new(Code::PinnedResume, &*channel.name, what, ADVICE);
    Some(finding.at(mark.resume).since(frontier))
}

/// Finds such messages in a channel.
fn ahead(facts: &Facts, channel: &Channel) -> Option<Finding> {
    let messages = &channel.log.messages_ahead;
    let first = messages.first?;
    let what = format!(
        "{} ahead of the clock, the first one by {}, so checkpoints resume there for that long",
        count(messages.count, "message is", "messages are"),
        span(between(facts.now, first.ts)),
    );
    let finding = Finding::new(Code::PinnedResume, &*channel.name, what, ADVICE);
    Some(finding.at(first.position).since(first.watermark))
}
