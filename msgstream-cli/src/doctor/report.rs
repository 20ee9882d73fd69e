//! Findings and a summary, as people read them.

use super::facts::{Channel, Facts, between};
use super::finding::Finding;
use super::text::{count, span};
use crate::error::Result;
use crate::output::Lines;
use crate::time::Time;

pub(super) fn write(lines: &mut Lines, facts: &Facts, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        lines.text(head(facts, finding))?;
        lines.text(format_args!("  {}", finding.what))?;
        lines.text(format_args!("  Do: {}", finding.advice))?;
        lines.text("")?;
    }
    let greatest = facts.streams().filter_map(Channel::watermark).max();
    for channel in &facts.channels {
        let lag = channel.watermark().zip(greatest).map(|(ts, greatest)| between(ts, greatest));
        let mut line = format!("{}: ", channel.name);
        match (channel.watermark(), lag) {
            (Some(ts), Some(lag)) => {
                let age = span(facts.age(ts));
                line += &format!("watermark {}, {age} old, lag {}", Time(ts), span(lag));
            }
            _ if channel.home => line += "a home channel",
            _ => line += "no watermark",
        }
        if channel.log.ended {
            line += ", ended";
        }
        if let Some(into) = &channel.repaired {
            line += &format!(", repaired in `{into}`");
        }
        let last = if channel.whole { "" } else { "the last " };
        line += &format!(", {last}{}", count(channel.log.read, "record read", "records read"));
        for cursor in &channel.cursors {
            let lag = cursor.lag(facts, channel).map_or_else(|| "unknown".to_owned(), span);
            line += &format!(", subscription {} lag {lag}", cursor.name);
        }
        for (producer, session) in &channel.log.sessions {
            let state = if session.closed { "closed" } else { "open" };
            line += &format!(", session {producer} {state}");
        }
        lines.text(line)?;
    }
    if facts.channels.iter().any(|channel| !channel.whole) {
        lines.text("Older records were not looked at: --scan reads all.")?;
    }
    if findings.is_empty() {
        lines.text("no findings")?;
    }
    Ok(())
}

/// Returns what a finding is, where, and since when.
fn head(facts: &Facts, finding: &Finding) -> String {
    let style = finding.severity.style();
    let mut head = format!("{style}{}{style:#} {}", finding.severity, finding.code.name());
    if let Some(channel) = &finding.channel {
        head += &format!(": {channel}");
    }
    if let Some(position) = finding.position {
        head += &format!(" at {position}");
    }
    if let Some(since) = finding.since {
        head += &format!(", since {since} ({} ago)", span(facts.age(since.0)));
    }
    head
}
