//! Comparing what was consumed with what had to be.

use msgstream::Timestamp;

use super::expected::{Expected, Rule};
use super::seen::{Seen, SeenRow};
use crate::replay::rows::Input;
use crate::time::Time;

/// How many differences are named.
const NAMED: usize = 5;

/// What differs: how much, and the first of it in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub(super) count: u64,
    pub(super) first: Vec<String>,
}

impl Differences {
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(what());
        }
    }
}

/// Checks that every pack there had to be was consumed, and no other.
pub(super) fn all_intervals(expected: &Expected, seen: &Seen, found: &mut Differences) {
    let ends: Vec<_> = seen.intervals.iter().map(|(_, end)| *end).collect();
    if ends != expected.ticks {
        let at = ends.iter().zip(&expected.ticks).take_while(|(a, b)| a == b).count();
        found.add(|| {
            format!(
                "pack {} ends at {}, and by the files at {}",
                at + 1,
                words(ends.get(at)),
                words(expected.ticks.get(at))
            )
        });
    }
    let mut last = None;
    for (number, (begin, end)) in (1..).zip(&seen.intervals) {
        if *begin != last {
            found.add(|| {
                let (begin, last) = (words(begin.as_ref()), words(last.as_ref()));
                format!("pack {number} begins at {begin}, and the one before ends at {last}")
            });
        }
        last = Some(*end);
    }
}

/// Checks the rows: that they are those of the files, as often as there; that each is in the
/// interval of its pack; and their order.
pub(super) fn rows(
    expected: &Expected,
    seen: &Seen,
    rule: &Rule,
    input: &Input,
    found: &mut Differences,
) {
    let before = found.count;
    multisets(expected, seen, input, found);
    intervals(expected, seen, found);
    order(seen, found);
    if found.count == before {
        sequence(expected, seen, rule, input, found);
    }
}

fn multisets(expected: &Expected, seen: &Seen, input: &Input, found: &mut Differences) {
    let mut wanted: Vec<_> = expected.rows.iter().map(|row| (row.hash, row.place)).collect();
    let mut got: Vec<_> = (1_u64..).zip(&seen.rows).map(|(line, row)| (row.hash, line)).collect();
    wanted.sort_unstable();
    got.sort_unstable();
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut wanted, mut got) = (wanted.into_iter().peekable(), got.into_iter().peekable());
    loop {
        match (wanted.peek(), got.peek()) {
            (Some(a), Some(b)) if a.0 == b.0 => {
                wanted.next();
                got.next();
            }
            (Some(a), b) if b.is_none_or(|b| a.0 < b.0) => {
                missing.push(a.1);
                wanted.next();
            }
            (_, Some(b)) => {
                extra.push(b.1);
                got.next();
            }
            (_, None) => break,
        }
    }
    missing.sort_unstable();
    extra.sort_unstable();
    for place in missing {
        found.add(|| format!("{} is missing", input.name(place)));
    }
    for line in extra {
        found.add(|| format!("row {line} of the output is not in the files, or not so often"));
    }
}

fn intervals(expected: &Expected, seen: &Seen, found: &mut Differences) {
    for (begin, end) in &seen.intervals {
        let at = expected.ticks.binary_search(end).ok();
        let known = at.is_some_and(|at| at.checked_sub(1).map(|i| expected.ticks[i]) == *begin);
        if !known {
            found
                .add(|| format!("{} is not an interval between two ticks", interval(*begin, *end)));
        }
    }
    for (number, row) in (1..).zip(&seen.rows) {
        let (begin, end) = seen.intervals[row.interval as usize];
        let after = begin.is_none_or(|begin| row.ts > begin);
        if row.ts > end || after == row.late {
            found.add(|| {
                let late = if row.late { "late" } else { "in time" };
                let (ts, pack) = (Time(row.ts), interval(begin, end));
                format!("row {number} of the output is {late} at {ts}, in the pack {pack}")
            });
        }
    }
}

fn words(time: Option<&Timestamp>) -> String {
    time.map_or("none".to_owned(), |time| Time(*time).to_string())
}

fn interval(begin: Option<Timestamp>, end: Timestamp) -> String {
    format!("({}, {}]", words(begin.as_ref()), Time(end))
}

/// What the order of rows goes by.
fn key<'a>(seen: &'a Seen, row: &SeenRow) -> (Timestamp, Timestamp, &'a str) {
    let (begin, end) = seen.intervals[row.interval as usize];
    let eff = begin.filter(|_| row.late).map_or(row.ts, Timestamp::next);
    (end, eff, &seen.channels[row.channel as usize])
}

fn order(seen: &Seen, found: &mut Differences) {
    for (number, pair) in (2..).zip(seen.rows.windows(2)) {
        if key(seen, &pair[1]) < key(seen, &pair[0]) {
            found
                .add(|| format!("row {number} of the output comes after one that it must precede"));
        }
    }
}

/// Checks each row against the one that must stand in its place. What the other checks can't see:
/// the order of the files in a channel, the channel of a key, the tick that a row is late for.
fn sequence(expected: &Expected, seen: &Seen, rule: &Rule, input: &Input, found: &mut Differences) {
    for ((number, got), wanted) in (1..).zip(&seen.rows).zip(&expected.rows) {
        let (_, eff, channel) = key(seen, got);
        let name = rule.channels.get(wanted.channel as usize).map(String::as_str);
        let same = (got.hash, got.ts, got.late, eff, Some(channel))
            == (wanted.hash, wanted.ts, wanted.late(), wanted.eff, name);
        if !same {
            found.add(|| {
                format!(
                    "row {number} of the output is not {}, which belongs there",
                    input.name(wanted.place)
                )
            });
        }
    }
}
