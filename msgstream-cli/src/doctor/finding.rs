//! What is found.

use std::fmt;

use anstyle::{AnsiColor, Style};
use msgstream::record::Position;
use serde::{Serialize, Serializer};

use crate::time::Time;

/// How bad a finding is. Errors come first in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Packs don't form, or messages are lost.
    Error,
    /// It may lead there.
    Warning,
}

impl Severity {
    /// How it is written to a terminal.
    pub(super) const fn style(self) -> Style {
        let color = match self {
            Self::Error => AnsiColor::Red,
            Self::Warning => AnsiColor::Yellow,
        };
        color.on_default().bold()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($severity:ident $name:literal $code:ident,)*) => {
        /// What kind of finding it is. `docs/doctor.md` lists them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Code {
            $($code,)*
        }

        impl Code {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$code),*];

            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            pub(super) const fn severity(self) -> Severity {
                match self {
                    $(Self::$code => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    Error "channel-missing" ChannelMissing,
    Error "channel-failed" ChannelFailed,
    Error "blocks-frontier" BlocksFrontier,
    Error "no-ticks" NoTicks,
    Error "tick-ahead" TickAhead,
    Error "open-transaction" OpenTransaction,
    Error "missing-messages" MissingMessages,
    Error "checkpoint-void" CheckpointVoid,
    Error "checkpoint-trimmed" CheckpointTrimmed,
    Error "cursor-trimmed" CursorTrimmed,
    Warning "stale-ticks" StaleTicks,
    Warning "checkpoint-lag" CheckpointLag,
    Warning "subscription-lag" SubscriptionLag,
    Warning "retention-near" RetentionNear,
    Warning "pinned-resume" PinnedResume,
    Warning "late-records" LateRecords,
    Warning "unreadable-records" UnreadableRecords,
    Warning "records-after-end" RecordsAfterEnd,
    Warning "session-fenced" SessionFenced,
    Warning "session-forgotten" SessionForgotten,
    Warning "broker-replication" BrokerReplication,
    Warning "broker-sync" BrokerSync,
    Warning "broker-retention" BrokerRetention,
    Warning "broker-deletion" BrokerDeletion,
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A thing that is wrong with a channel, and what to do about it.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) severity: Severity,
    /// The channel; `None` for what concerns the consumer.
    pub(super) channel: Option<String>,
    /// The record that shows it, as `--from` takes it.
    #[serde(serialize_with = "as_text")]
    pub(super) position: Option<Position>,
    /// Since when, in event time.
    pub(super) since: Option<Time>,
    pub(super) what: String,
    #[serde(rename = "do")]
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn new<'a>(
        code: Code,
        channel: impl Into<Option<&'a str>>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            channel: channel.into().map(str::to_owned),
            position: None,
            since: None,
            what: what.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn at(mut self, position: impl Into<Option<Position>>) -> Self {
        self.position = position.into();
        self
    }

    pub(super) fn since(mut self, since: impl Into<Option<msgstream::Timestamp>>) -> Self {
        self.since = since.into().map(Time);
        self
    }
}

fn as_text<S: Serializer>(position: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    match position {
        Some(position) => serializer.collect_str(position),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    /// Each row of the table in the docs begins with a code and its severity.
    #[test]
    fn the_docs_list_each_code_and_no_other() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, findings) = page.split_once("## Findings").unwrap();
        let rows = findings.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`'), cells.next()?))
        });
        let severities = Code::ALL.iter().map(|code| code.severity().to_string());
        let codes = Code::ALL.iter().map(|code| code.name()).zip(severities);
        let (rows, codes): (Vec<_>, Vec<_>) = (rows.collect(), codes.collect());
        let codes: Vec<_> = codes.iter().map(|(code, severity)| (*code, &**severity)).collect();
        assert_eq!(rows, codes);
    }
}
