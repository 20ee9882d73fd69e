//! Records that stop a consumer, or that it never sees.

use crate::doctor::facts::{Channel, Facts};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::count;
use crate::time::Time;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let checks = [late, unreadable, after_end];
    facts
        .channels
        .iter()
        .flat_map(|channel| checks.into_iter().filter_map(|check| check(channel)))
        .collect()
}

fn late(channel: &Channel) -> Option<Finding> {
    let (late, name) = (&channel.log.late, &channel.name);
    // The tick may be one that a repair has left out.
    let (first, tick) = late.first.filter(|_| channel.repaired.is_none())?;
    let what = format!(
        "{} late: the first one, with the time {}, came after the tick {} at {}",
        count(late.count, "message is", "messages are"),
        Time(first.ts),
        Time(tick.ts),
        tick.position,
    );
    let advice = format!(
        "let the producer tick later; until then consumers stop there, unless their late policy is to \
         deliver or to drop; if the tick was wrong, run `msgstream repair-ticks URL {name} --tick {}`",
        tick.position,
    );
    let finding = Finding::new(Code::LateRecords, &**name, what, advice);
    Some(finding.at(first.position).since(tick.ts))
}

fn unreadable(channel: &Channel) -> Option<Finding> {
    let unreadable = &channel.log.unreadable;
    let first = unreadable.first?;
    let what = format!("{} be read", count(unreadable.count, "record can't", "records can't"));
    let advice = "find out who writes such records; until then consumers stop there, unless their policy is \
                  to skip them or to write them to a dead-letter channel";
    let finding = Finding::new(Code::UnreadableRecords, &*channel.name, what, advice);
    Some(finding.at(first.position).since(first.watermark))
}

fn after_end(channel: &Channel) -> Option<Finding> {
    let after = &channel.log.after_end;
    let first = after.first?;
    let what = format!(
        "{} written after the channel's end, and in no pack",
        count(after.count, "message was", "messages were")
    );
    let advice = "stop the producer that still writes, and let it write to another channel";
    let finding = Finding::new(Code::RecordsAfterEnd, &*channel.name, what, advice);
    Some(finding.at(first.position).since(first.watermark))
}
