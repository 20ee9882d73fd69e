//! Whether retention is about to pass what is still needed.

use msgstream::record::Position;

use crate::doctor::facts::{Channel, Facts};
use crate::doctor::finding::{Code, Finding};

/// What is in the oldest tenth of the records that are left is removed next.
const SHARE: u64 = 10;
/// Fewer positions than this say little.
const FEWEST: u64 = 100;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    facts
        .channels
        .iter()
        .flat_map(|channel| {
            let mark = channel.mark.as_ref().map(|mark| ("the checkpoint".to_owned(), mark.resume));
            let cursors = channel.cursors.iter().filter_map(|cursor| {
                Some((format!("the subscription `{}`", cursor.name), cursor.acked?))
            });
            let needed = mark.into_iter().chain(cursors);
            needed.filter(|(_, at)| is_near(channel, *at)).map(|(who, at)| {
            let what = format!(
                "{who} needs the records from {at} on, and retention has removed those before {}",
                channel.info.first.unwrap_or(channel.info.end),
            );
            let advice = "let the consumer catch up, or keep records for longer";
            Finding::new(Code::RetentionNear, &*channel.name, what, advice).at(at)
        }).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns whether a position is among the oldest that are left, where some were removed.
fn is_near(channel: &Channel, at: Position) -> bool {
    let (Some(first), end) = (channel.info.first, channel.info.end) else { return false };
    // Positions begin at 0 or 1.
    if first <= Position::new(1) || !(first..=end).contains(&at) {
        return false;
    }
    let [first, at, end] = [first, at, end].map(Position::words);
    let words = first.into_iter().zip(at).zip(end);
    let Some(((first, at), end)) = words.into_iter().find(|((first, _), end)| first != end) else {
        return false;
    };
    let kept = end.saturating_sub(first);
    kept >= FEWEST && at.saturating_sub(first) < kept / SHARE
}
