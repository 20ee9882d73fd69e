//! What happened, as the programs of a world tell it: what producers were told, what consumers
//! were given, and what went wrong that mustn't.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::checkpoint::CommitCounts;
use msgstream_core::session::SessionCounts;
use msgstream_core::timetick::merge::MergeCounts;
use msgstream_core::transport::{Position, Record};
use msgstream_core::{Message, MsgPack};

use super::model::{ModelPack, Placed};

/// A message of which a producer was told that it is stored.
#[derive(Clone, Debug)]
pub(super) struct Acked {
    pub(super) producer: Arc<str>,
    pub(super) channel: Arc<str>,
    pub(super) epoch: Position,
    pub(super) number: u64,
    pub(super) position: Position,
    /// The producer asked afterwards whether it was still the newest, and it was.
    pub(super) confirmed: bool,
}

/// A pack that some consumer was given, after those that it or its forerunners had.
#[derive(Debug)]
pub(super) struct Given {
    /// The pack before it; 0 is none.
    pub(super) after: u64,
    /// It was given to one that began before there was a checkpoint, at a place where another one
    /// had come to since: a zombie that doesn't know it yet.
    pub(super) stray: bool,
    pub(super) pack: ModelPack,
    /// Where the stream stood after it, as text.
    pub(super) end: String,
}

/// A channel that was deleted and made again.
#[derive(Debug)]
pub(super) struct Destroyed {
    pub(super) channel: String,
    /// What it held.
    pub(super) records: Vec<Record>,
    /// So many packs had been given by then.
    pub(super) given: usize,
    /// A checkpoint had been saved by then: whoever goes on from it must be told.
    pub(super) saved: bool,
}

/// The counts of every program's every life.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) merges: BTreeMap<String, MergeCounts>,
    pub(super) sessions: BTreeMap<String, SessionCounts>,
    pub(super) commits: BTreeMap<String, CommitCounts>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// A time before each producer's last session was opened.
    pub(super) opened: BTreeMap<String, Duration>,
    pub(super) acked: Vec<Acked>,
    /// By number, from 1 on.
    pub(super) given: Vec<Given>,
    pub(super) counts: Counts,
    /// Producers all of whose messages are stored.
    pub(super) finished: BTreeSet<String>,
    /// The greatest time of a message that was produced.
    pub(super) latest: u64,
    /// How often consumers were told that a channel is gone, or records of it.
    pub(super) told: u64,
    pub(super) destroyed: Option<Destroyed>,
    /// What a consumer waited for when it was cancelled, as it says.
    pub(super) status: String,
    /// The first thing that mustn't be.
    pub(super) violation: Option<String>,
}

impl Ledger {
    pub(super) fn violation(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    /// Notes that a consumer was given a pack after another one; gives its number.
    pub(super) fn give(&mut self, after: u64, pack: &MsgPack, stray: bool) -> u64 {
        let placed = |message: &Message| -> Option<Placed> {
            let stored = message.stored()?;
            Some((stored.channel.clone(), stored.record.position, stored.late))
        };
        let pack_given = ModelPack {
            begin: pack.begin_ts.map(|ts| ts.0),
            end: pack.end_ts.0,
            msgs: pack.msgs.iter().filter_map(placed).collect(),
        };
        let before = self.given(after).map(|given| given.pack.end);
        if before != pack_given.begin {
            self.violation(format!(
                "the pack after {before:?} begins at {:?}: a pack is missing, or came again",
                pack_given.begin
            ));
        }
        let end = serde_json::to_string(&pack.end).unwrap_or_else(|error| {
            self.violation(format!("a checkpoint can't be written down: {error}"));
            String::new()
        });
        self.given.push(Given { after, stray, pack: pack_given, end });
        self.given.len() as u64
    }

    pub(super) fn given(&self, number: u64) -> Option<&Given> {
        self.given.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The packs that lead to one of them, the last one first.
    pub(super) fn chain(&self, last: u64) -> impl Iterator<Item = &Given> {
        std::iter::successors(self.given(last), |given| self.given(given.after))
    }
}
