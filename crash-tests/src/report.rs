//! What is printed in the end.

use std::fmt;
use std::time::Duration;

use crate::round::Outcome;

/// The sums of some rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) rounds: u32,
    pub(crate) counted: u32,
    messages: u64,
    sum: Outcome,
}

impl Row {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn add(&mut self, messages: u64, outcome: &Outcome) {
        self.rounds += 1;
        self.counted += u32::from(outcome.counts);
        self.messages += messages;
        let (sum, found) = (&mut self.sum, &outcome.found);
        sum.unacknowledged += outcome.unacknowledged;
        sum.uncommitted += outcome.uncommitted;
        sum.raw = outcome.raw.map(|raw| sum.raw.unwrap_or(0) + raw);
        sum.longest = sum.longest.max(outcome.longest);
        sum.took += outcome.took;
        sum.found.acknowledged += found.acknowledged;
        sum.found.duplicates += found.duplicates;
        sum.found.delivered += found.delivered;
        sum.found.repeated += found.repeated;
        sum.found.lost += found.lost;
    }
}

/// The rows as a table, as Markdown has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(pub(crate) Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            "killed",
            "rounds",
            "counted",
            "messages",
            "acknowledged",
            "unacknowledged at the kill",
            "uncommitted packs at the kill",
            "duplicates in the log",
            "delivered",
            "repeated",
            "lost",
            "longest wait for a pack, s",
            "seconds",
        ];
        writeln!(f, "| {} |", names.join(" | "))?;
        writeln!(f, "| --- |{}", " ---: |".repeat(names.len() - 1))?;
        for Row { kind, rounds, counted, messages, sum } in &self.0 {
            let found = &sum.found;
            let numbers = [
                u64::from(*rounds),
                u64::from(*counted),
                *messages,
                found.acknowledged,
                sum.unacknowledged,
                sum.uncommitted,
                found.duplicates,
                found.delivered,
                found.repeated,
                found.lost,
            ];
            let numbers = numbers.map(|number| number.to_string()).join(" | ");
            let (longest, took) = (seconds(sum.longest), seconds(sum.took));
            writeln!(f, "| {kind} | {numbers} | {longest} | {took} |")?;
        }
        if let Some(raw) = self.0.iter().map(|row| row.sum.raw).sum::<Option<u64>>() {
            writeln!(f, "The plain client of the broker read the same {raw} records.")?;
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
