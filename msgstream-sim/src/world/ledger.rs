//! What happened, as the programs of a world tell it: what producers were told, what consumers
//! were given, and what went wrong that mustn't.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::checkpoint::Checkpoint;
use msgstream_core::consume::CommitCounts;
use msgstream_core::consume::ConsumerStatus;
use msgstream_core::merge::MergeCounts;
use msgstream_core::produce::SessionCounts;
use msgstream_core::record::{Position, Record};
use msgstream_core::{Message, MsgPack, MsgType};

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
    /// Where the stream stood after it.
    pub(super) end: Checkpoint,
    /// How often on the way here somebody resumed where a channel was idle.
    pub(super) resumed_idle: u64,
}

/// A channel that was deleted and made again, or the virtual ones that were in it.
#[derive(Debug)]
pub(super) struct Destroyed {
    /// What each held.
    pub(super) records: BTreeMap<String, Vec<Record>>,
    /// So many packs had been given by then.
    pub(super) given: usize,
    /// A checkpoint had been saved by then: whoever goes on from it must be told.
    pub(super) saved: bool,
}

/// What one life of a consumer did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    pub(super) merge: MergeCounts,
    pub(super) commits: CommitCounts,
    /// The channels that it saw the end of, while it went on with others.
    pub(super) ended: u64,
    /// So many times in a row it or its forerunners resumed where a channel was idle.
    pub(super) resumed_idle: u64,
    /// It resumed a channel whose first records were deleted, while it was idle.
    pub(super) resumed_trimmed: bool,
    /// It began in the middle, before there was a checkpoint: see [`Given::stray`].
    pub(super) stray: bool,
}

/// The counts of every program's every life.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) consumers: BTreeMap<String, Life>,
    pub(super) sessions: BTreeMap<String, SessionCounts>,
    /// Times that somebody who wanted to write was told that a channel had ended.
    pub(super) found_ended: u64,
    /// How often readers of virtual channels were let go, and joined others.
    pub(super) hubs: Option<(u64, u64)>,
    /// Sessions that knew since when to read, where the first records were deleted.
    pub(super) bounded_on_trimmed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// A time before which each producer wrote nothing that tells its number last, for certain.
    pub(super) told: BTreeMap<String, Duration>,
    pub(super) acked: Vec<Acked>,
    /// By number, from 1 on.
    pub(super) given: Vec<Given>,
    pub(super) counts: Counts,
    /// Producers all of whose messages are stored, and whose channels are ended if they were to be.
    pub(super) finished: BTreeSet<String>,
    /// Channels that a producer knows to be ended.
    pub(super) ended: BTreeSet<Arc<str>>,
    /// A consumer came to the end of all channels, after that pack, and has committed it.
    pub(super) consumed_all: Option<u64>,
    /// The greatest time of a message or a tick that was produced.
    pub(super) latest: u64,
    /// That time when all went well from then on, or a producer finished after that. Where no
    /// channel is idle, all that is stored by then counts just after it at the latest.
    pub(super) settled: u64,
    /// How often consumers were told that a channel is gone, or records of it.
    pub(super) told_gone: u64,
    /// Up to where retention deleted what the subscription had passed.
    pub(super) trimmed: BTreeMap<String, Position>,
    pub(super) destroyed: Option<Destroyed>,
    /// What a consumer waited for when it was cancelled, as it says.
    pub(super) status: Option<ConsumerStatus>,
    /// The first thing that mustn't be.
    pub(super) violation: Option<String>,
}

impl Ledger {
    pub(super) fn violation(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    /// Notes that something was produced with a time.
    pub(super) fn produced(&mut self, ts: u64) {
        self.latest = self.latest.max(ts);
    }

    /// Notes that all of a producer is stored.
    pub(super) fn finish(&mut self, producer: &str) {
        if self.finished.insert(producer.to_owned()) {
            self.settle();
        }
    }

    /// Notes that what was produced up to now is to be seen in packs.
    pub(super) fn settle(&mut self) {
        self.settled = self.latest;
    }

    /// Notes that a consumer got a pack after another one, and returns its number.
    pub(super) fn give(&mut self, after: u64, pack: &MsgPack, to: &Life) -> u64 {
        let (given, end) = (given(pack), pack.end.clone());
        let before = self.given(after);
        let begin = before.map(|given| given.pack.end);
        if begin != given.begin {
            self.violation(format!(
                "the pack after {begin:?} begins at {:?}: a pack is missing, or came again",
                given.begin
            ));
        } else if let Some(back) = before.and_then(|before| goes_back(&before.end, &end)) {
            self.violation(back);
        }
        if let Some(closed) = pack.msgs.iter().find(|m| m.msg_type() == MsgType::UNREADABLE) {
            self.violation(format!("an unreadable message: {closed:?}"));
        }
        let Life { stray, resumed_idle, .. } = *to;
        self.given.push(Given { after, stray, pack: given, end, resumed_idle });
        self.given.len() as u64
    }

    /// What a channel held that was destroyed.
    pub(super) fn destroyed(&self, channel: &str) -> Option<&Vec<Record>> {
        self.destroyed.as_ref()?.records.get(channel)
    }

    pub(super) fn given(&self, number: u64) -> Option<&Given> {
        self.given.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The packs that lead to one of them, the last one first.
    pub(super) fn chain(&self, last: u64) -> impl Iterator<Item = &Given> {
        std::iter::successors(self.given(last), |given| self.given(given.after))
    }
}

/// A pack, in the model's form.
pub(super) fn given(pack: &MsgPack) -> ModelPack {
    let placed = |message: &Message| -> Option<Placed> {
        let stored = message.stored()?;
        Some((stored.channel.clone(), stored.record.position, stored.late))
    };
    ModelPack {
        begin: pack.begin_ts.map(|ts| ts.0),
        end: pack.end_ts.0,
        msgs: pack.msgs.iter().filter_map(placed).collect(),
    }
}

/// What a checkpoint would read again that an earlier one says is done with: that may be deleted.
fn goes_back(before: &Checkpoint, after: &Checkpoint) -> Option<String> {
    before.channels.iter().find_map(|(channel, mark)| {
        let (was, is) = (mark.resume, after.channels.get(channel).map(|mark| mark.resume));
        (is < Some(was)).then(|| {
            format!(
                "{channel} resumed at {was} after a pack, and resumes at {is:?} after a later one"
            )
        })
    })
}
