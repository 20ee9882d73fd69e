//! Compares what the processes left behind with what they must.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::error::{Error, Result};
use crate::folder::{self, Folder};
use crate::journal::Noted;
use crate::log::{Log, What};
use crate::model::expected;
use crate::output::{Totals, messages};
use crate::plan::Plan;

/// So many places are told; the others are counted.
const TOLD: usize = 10;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) acknowledged: u64,
    /// Messages in the log that are repetitions, or void.
    pub(crate) duplicates: u64,
    pub(crate) delivered: u64,
    pub(crate) repeated: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: Wrong,
}

/// What isn't as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) count: usize,
    pub(crate) first: Vec<String>,
}

impl Wrong {
    pub(crate) fn add(&mut self, place: impl Display) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(place.to_string());
        }
    }
}

/// Checks a round that is over.
pub(crate) async fn check(plan: &Plan, folder: &Folder, logs: &[Log]) -> Result<Found> {
    let mut found = Found::default();
    for log in logs {
        for entry in &log.entries {
            if let What::Strange(what) = &entry.what {
                let place = format!("channel {} position {}", log.channel, entry.position);
                found.wrong.add(format!("{place}: nobody wrote this: {what}"));
            }
        }
    }
    acknowledged(plan, folder, logs, &mut found)?;

    let expected = expected(logs);
    found.duplicates = expected.left_out;
    let output = folder::read(&folder.output())?;
    let output = String::from_utf8_lossy(&output);
    delivered(plan, &output, &mut found);
    packs(&expected.lines, &output, &mut found.wrong);
    let mut totals = Totals::default();
    expected.lines.iter().for_each(|line| totals.add(line));
    let committed = folder.committed().await?;
    if committed != totals {
        found.wrong.add(format!("the state is {committed:?}, and {totals:?} is expected"));
    }
    Ok(found)
}

/// What was acknowledged must be in the log, and never be sent again.
fn acknowledged(plan: &Plan, folder: &Folder, logs: &[Log], found: &mut Found) -> Result<()> {
    for producer in 0..plan.producers {
        let noted = Noted::read(&folder.journal(producer))?;
        let mut missing = noted.acknowledged();
        found.acknowledged += missing.len() as u64;
        for log in logs.iter().filter(|log| log.producer == producer) {
            for entry in &log.entries {
                if let What::Message { number, .. } = entry.what {
                    missing.remove(&(log.index, number));
                }
            }
        }
        for (channel, number) in missing {
            let channel = plan.channel(producer, channel);
            found
                .wrong
                .add(format!("channel {channel}: {number} was acknowledged, and is not there"));
        }
        for (channel, number) in noted.sent_again() {
            let channel = plan.channel(producer, channel);
            let what = "was acknowledged, and its session didn't know it";
            found.wrong.add(format!("channel {channel}: {number} {what}"));
        }
    }
    Ok(())
}

/// Each number must be in the output once.
fn delivered(plan: &Plan, output: &str, found: &mut Found) {
    let mut missing = BTreeSet::new();
    for (channel, ..) in plan.all_channels() {
        missing.extend((1..=plan.numbers).map(|number| (channel.clone(), number)));
    }
    for line in output.lines() {
        for (channel, number) in messages(line) {
            if missing.remove(&(channel.to_owned(), number)) {
                found.delivered += 1;
            } else {
                found.repeated += 1;
                found.wrong.add(format!("channel {channel}: {number} was delivered twice"));
            }
        }
    }
    found.lost = missing.len() as u64;
    for (channel, number) in missing {
        found.wrong.add(format!("channel {channel}: {number} is lost"));
    }
}

/// The output must be the expected lines.
fn packs(expected: &[String], output: &str, wrong: &mut Wrong) {
    let mut lines = output.split_inclusive('\n');
    for (at, expected) in expected.iter().enumerate() {
        let line = lines.next().unwrap_or("nothing");
        if line != expected {
            wrong.add(format!("pack {at} differs: {}", difference(expected, line)));
            return;
        }
    }
    if let Some(line) = lines.next() {
        wrong.add(format!("there is a pack too many: {}", difference("nothing", line)));
    }
}

/// The first words in which two lines differ.
fn difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.split_whitespace(), found.split_whitespace());
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return "in its white space".to_owned(),
            (expected, found) if expected != found => {
                let or_none = |word: Option<&str>| word.unwrap_or("nothing").to_owned();
                return format!("{} is expected, {} found", or_none(expected), or_none(found));
            }
            _ => {}
        }
    }
}

/// Keeps what was read back beside the other files of a round that went wrong.
pub(crate) fn keep(folder: &Folder, logs: &[Log]) -> Result<()> {
    let mut text = String::new();
    for log in logs {
        for entry in &log.entries {
            let (channel, position, ts) = (&log.channel, entry.position, entry.ts);
            text += &format!("{channel} {position} {ts} {:?}\n", entry.what);
        }
    }
    let path = folder.path().join("log");
    std::fs::write(&path, text).map_err(Error::file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let prefix = "x".into();
        Plan { prefix, physical: None, producers: 1, channels: 1, numbers: 3, deadline: 1 }
    }

    #[test]
    fn lost_and_repeated_numbers_are_counted_with_their_place() {
        let mut found = Found::default();
        delivered(&plan(), "- 5 x-0-00/1/1 x-0-00/2/2\n5 9 x-0-00/3/2\n", &mut found);
        assert_eq!((found.delivered, found.repeated, found.lost), (2, 1, 1));
        assert_eq!(
            found.wrong.first,
            ["channel x-0-00: 2 was delivered twice", "channel x-0-00: 3 is lost"]
        );
    }

    #[test]
    fn the_first_pack_that_differs_is_told() {
        let expected = ["- 5 a/1/1\n".to_owned(), "5 9 a/2/2 a/3/3\n".to_owned()];
        let wrong = |output| {
            let mut wrong = Wrong::default();
            packs(&expected, output, &mut wrong);
            wrong.first.concat()
        };
        assert_eq!(wrong("- 5 a/1/1\n5 9 a/2/2 a/3/3\n"), "");
        assert_eq!(
            wrong("- 5 a/1/1\n5 9 a/3/3 a/2/2\n"),
            "pack 1 differs: a/2/2 is expected, a/3/3 found"
        );
        assert_eq!(wrong("- 5 a/1/1\n"), "pack 1 differs: 5 is expected, nothing found");
        assert_eq!(
            wrong("- 5 a/1/1\n5 9 a/2/2 a/3/3\n9 11\n"),
            "there is a pack too many: nothing is expected, 9 found"
        );
    }
}
