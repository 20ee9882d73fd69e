//! What the next pack waits for.

use msgstream::Timestamp;

use crate::doctor::facts::{Channel, Facts, between};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::span;
use crate::time::Time;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let open: Vec<_> = facts.streams().filter(|channel| !channel.log.ended).collect();
    let mut found: Vec<_> = open.iter().filter_map(|channel| no_ticks(channel)).collect();
    let ticking = || open.iter().filter_map(|channel| Some((*channel, channel.watermark()?)));
    let (Some(least), Some((first, greatest))) =
        (ticking().map(|(_, ts)| ts).min(), ticking().max_by_key(|(_, ts)| *ts))
    else {
        return found;
    };
    let lag = between(least, greatest);
    for (channel, ts) in ticking() {
        let stale = channel.live && facts.age(ts) > facts.max_lag;
        if ts == least && lag > facts.max_lag {
            let why = format!("`{}` is {} ahead", first.name, span(lag));
            found.push(blocks(channel, ts, &why));
        } else if ts == least && stale {
            found.push(blocks(channel, ts, &format!("that is {} ago", span(facts.age(ts)))));
        } else if stale {
            let what = format!("its last tick {} is {} old", Time(ts), span(facts.age(ts)));
            let advice = "see that its producer runs and ticks, or packs will wait for it next";
            let finding = Finding::new(Code::StaleTicks, &*channel.name, what, advice);
            found.push(finding.at(channel.log.watermark.map(|tick| tick.position)).since(ts));
        }
    }
    found
}

fn blocks(channel: &Channel, ts: Timestamp, why: &str) -> Finding {
    let what = format!("every pack after {} waits for a tick on it; {why}", Time(ts));
    let advice = "start its producer again, and let it tick while it has no messages; end the channel \
                  if nothing more comes, or let consumers go on without it with `idle_after`";
    let finding = Finding::new(Code::BlocksFrontier, &*channel.name, what, advice);
    finding.at(channel.log.watermark.map(|tick| tick.position)).since(ts)
}

fn no_ticks(channel: &Channel) -> Option<Finding> {
    let log = &channel.log;
    if log.watermark.is_some() || log.ticks_ahead.count > 0 {
        return None;
    }
    let what = match (log.read, channel.whole) {
        (0, _) => "it is empty, so every pack waits for a tick on it".to_owned(),
        (read, true) => {
            format!("none of its {read} records is a tick, so every pack waits for one")
        }
        (read, false) => format!("none of its last {read} records is a tick: packs wait for one"),
    };
    let advice = "let its producer tick, or read it with synthetic ticks; name the channels of the stream \
                  if it isn't one of them";
    Some(Finding::new(Code::NoTicks, &*channel.name, what, advice))
}
