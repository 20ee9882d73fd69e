//! What a copy has done.

use std::fmt;
use std::time::Duration;

use msgstream::consume::Judgement;
use serde::Serialize;

use crate::time::seconds;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) ticks: u64,
    pub(super) late: u64,
    pub(super) duplicates: u64,
    pub(super) void: u64,
    pub(super) after_end: u64,
    pub(super) unreadable: u64,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub(super) elapsed: Duration,
}

impl Tally {
    pub(super) const fn left_out(&mut self, judged: Judgement) {
        match judged {
            // What comes before a missing message comes again.
            Judgement::Duplicate | Judgement::Gap => self.duplicates += 1,
            Judgement::Void => self.void += 1,
            Judgement::AfterEnd => self.after_end += 1,
            _ => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.messages as f64 / seconds } else { 0.0 };
        writeln!(f, "messages copied      {:>12}", self.messages)?;
        writeln!(f, "ticks                {:>12}", self.ticks)?;
        for (what, count) in [
            ("late messages", self.late),
            ("copies left out", self.duplicates),
            ("void, left out", self.void),
            ("after an end", self.after_end),
            ("unreadable, left out", self.unreadable),
        ] {
            if count > 0 {
                writeln!(f, "{what:<20} {count:>12}")?;
            }
        }
        write!(f, "messages/s           {rate:>12.0}")
    }
}
