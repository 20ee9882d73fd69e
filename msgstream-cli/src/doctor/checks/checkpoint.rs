//! Whether a consumer can resume, and how far it is behind.

use msgstream::Timestamp;
use msgstream::checkpoint::{Checkpoint, Mark};
use msgstream::record::Incarnation;

use crate::doctor::facts::{Channel, Facts, between, reach};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::span;
use crate::time::Time;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(checkpoint) = &facts.checkpoint else { return Vec::new() };
    let marked =
        facts.channels.iter().filter_map(|channel| Some((channel, channel.mark.as_ref()?)));
    let mut found: Vec<_> = marked
        .filter_map(|(channel, mark)| {
            void(channel, mark).or_else(|| trimmed(channel, mark, checkpoint.frontier))
        })
        .collect();
    found.extend(lag(facts, checkpoint));
    found
}

fn void(channel: &Channel, mark: &Mark) -> Option<Finding> {
    let info = &channel.info;
    let known = mark.incarnation.filter(|known| *known != Incarnation::UNKNOWN);
    let other = known
        .filter(|known| *known != info.incarnation && info.incarnation != Incarnation::UNKNOWN);
    let what = if other.is_some() {
        "the channel was deleted and created again since the checkpoint".to_owned()
    } else if mark.resume > info.end {
        format!("the checkpoint resumes at {}, but the channel ends at {}", mark.resume, info.end)
    } else {
        return None;
    };
    let advice = "resume with the other channels, and let this one join anew; what the old one still held \
                  is lost";
    let finding = Finding::new(Code::CheckpointVoid, &*channel.name, what, advice);
    Some(finding.at(mark.resume))
}

fn trimmed(channel: &Channel, mark: &Mark, frontier: Option<Timestamp>) -> Option<Finding> {
    let first = channel.info.first.unwrap_or(channel.info.end);
    if mark.resume >= first {
        return None;
    }
    let what = format!(
        "the checkpoint resumes at {}, but the records before {first} were removed",
        mark.resume
    );
    let advice =
        "start the consumer from what is left and accept the gap, and keep records for longer";
    let finding = Finding::new(Code::CheckpointTrimmed, &*channel.name, what, advice);
    Some(finding.at(mark.resume).since(frontier))
}

fn lag(facts: &Facts, checkpoint: &Checkpoint) -> Option<Finding> {
    let reach = reach(facts.channels.iter().filter(|channel| channel.mark.is_some()))?;
    let what = match checkpoint.frontier {
        Some(frontier) if between(frontier, reach) <= facts.max_lag => return None,
        Some(frontier) => format!(
            "the last pack of the checkpoint ends at {}, and packs could be formed up to {}: the consumer \
             is {} behind",
            Time(frontier),
            Time(reach),
            span(between(frontier, reach)),
        ),
        None => format!(
            "the checkpoint has no pack yet, though packs could be formed up to {}",
            Time(reach)
        ),
    };
    let advice = "see that the consumer runs, and which error it logs";
    Some(Finding::new(Code::CheckpointLag, None, what, advice).since(checkpoint.frontier))
}
