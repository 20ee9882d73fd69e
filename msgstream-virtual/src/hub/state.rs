//! Who reads at the head of a physical channel, and what each of them has yet to read. It doesn't
//! wait, and knows no transport.
//!
//! A reader is a member while every record from its place on is in its queue or comes next. One whose
//! queue is full is let go: it has what is in the queue, then reads for itself, and joins again when
//! it gets to what the window has. So no member waits for another, and none misses a record or gets
//! one twice.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::Limit;
use tokio::sync::Notify;

use super::window::Window;
use crate::counts::Counts;
use crate::planted::{Bug, planted};
use crate::view::View;

pub(super) type MemberId = u64;

#[derive(Debug)]
pub(super) struct State {
    window: Window,
    /// In the order in which they joined, which is the order in which they wake up: a simulated run is
    /// always the same.
    members: BTreeMap<MemberId, Member>,
    /// The members of each virtual channel that weren't let go.
    of: HashMap<Arc<str>, Vec<MemberId>>,
    joined: MemberId,
    queue_bytes: usize,
    counts: Arc<Counts>,
    /// How many reads at the head have begun.
    begun: u64,
    /// The number of the last read that ended, if it saw the end of the channel.
    caught_up: Option<u64>,
}

#[derive(Debug)]
struct Member {
    view: Arc<View>,
    queue: VecDeque<Record>,
    bytes: usize,
    /// Where it goes on for itself once its queue is empty.
    let_go: Option<Position>,
    /// Notified when a record was queued.
    queued: Arc<Notify>,
}

/// What a member takes from its queue.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) records: Vec<Record>,
    pub(super) next: Position,
    /// It was let go, and has nothing left: it is no member any more.
    pub(super) left: bool,
    /// Nothing was left in its queue, and the last read since it asked saw the end of the channel.
    pub(super) caught_up: bool,
}

impl State {
    pub(super) fn new(window_bytes: usize, queue_bytes: usize, counts: Arc<Counts>) -> Self {
        Self {
            window: Window::new(window_bytes),
            members: BTreeMap::new(),
            of: HashMap::new(),
            joined: 0,
            queue_bytes,
            counts,
            begun: 0,
            caught_up: None,
        }
    }

    pub(super) const fn head(&self) -> Position {
        self.window.head()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) const fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    pub(super) const fn begun(&self) -> u64 {
        self.begun
    }

    /// Starts anew at a position. There must be no members.
    pub(super) fn reset(&mut self, to: Position) {
        self.window.reset(to);
        self.caught_up = None;
    }

    /// Makes a reader a member if it misses nothing: what follows its place is copied to its queue.
    pub(super) fn join(
        &mut self,
        view: &Arc<View>,
        next: Position,
        queued: &Arc<Notify>,
    ) -> Option<MemberId> {
        if !self.window.covers(next) {
            return None;
        }
        let (queue, queued) = (VecDeque::new(), queued.clone());
        let mut member = Member { view: view.clone(), queue, bytes: 0, let_go: None, queued };
        for record in self.window.from(next) {
            if let Some(record) = view.take(record)
                && !member.queue(record, self.queue_bytes)
            {
                break;
            }
        }
        let id = self.joined;
        self.joined += 1;
        if member.let_go.is_none() {
            self.of.entry(view.vchannel.clone()).or_default().push(id);
        } else {
            self.counts.let_go(1);
        }
        self.members.insert(id, member);
        Some(id)
    }

    /// Notes that a read at the head begins, and returns its number.
    pub(super) const fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Returns whether the hub has to wait for a member.
    pub(super) fn is_held(&self) -> bool {
        let full = |member: &Member| member.bytes >= self.queue_bytes;
        planted(Bug::SlowReaderHolds) && self.members.values().any(full)
    }

    /// Hands out what a read at the head returned: looks at each record once.
    pub(super) fn route(
        &mut self,
        number: u64,
        records: Vec<Record>,
        head: Position,
        caught_up: bool,
    ) {
        self.caught_up = caught_up.then_some(number);
        let Self { members, of, queue_bytes, .. } = self;
        let mut let_go = Vec::new();
        let mut hand = |id: MemberId, member: &mut Member, record: &Record| {
            if member.let_go.is_none()
                && let Some(record) = member.view.take(record)
                && !member.queue(record, *queue_bytes)
            {
                let_go.push(id);
            }
        };
        for record in &records {
            match &record.meta.vchannel {
                Some(vchannel) if !planted(Bug::ForeignTick) => {
                    for id in of.get(&**vchannel).into_iter().flatten() {
                        members.get_mut(id).into_iter().for_each(|m| hand(*id, m, record));
                    }
                }
                _ => members.iter_mut().for_each(|(id, member)| hand(*id, member, record)),
            }
        }
        self.counts.let_go(let_go.len());
        for id in let_go {
            self.forget(id);
        }
        self.window.push(records, head);
        self.window.trim();
    }

    /// Takes what is next for a member, which asked when so many reads had begun.
    pub(super) fn take(&mut self, id: MemberId, limit: Limit, asked: u64) -> Option<Taken> {
        let head = self.window.head();
        let member = self.members.get_mut(&id)?;
        let count = limit.count(&member.queue);
        let records: Vec<_> = member.queue.drain(..count).collect();
        member.bytes -= records.iter().map(Record::footprint).sum::<usize>();
        let done = member.let_go.unwrap_or(head);
        let empty = member.queue.is_empty();
        let next = member.queue.front().map_or(done, |record| record.position);
        let left = empty && member.let_go.is_some();
        if left {
            self.members.remove(&id);
        }
        let caught_up = empty && !left && self.caught_up > Some(asked);
        Some(Taken { records, next, left, caught_up })
    }

    /// Returns whether a member has nothing to take yet.
    pub(super) fn is_waiting(&self, id: MemberId) -> bool {
        let member = self.members.get(&id);
        member.is_some_and(|member| member.queue.is_empty() && member.let_go.is_none())
    }

    /// Ends a member.
    pub(super) fn leave(&mut self, id: MemberId) {
        self.forget(id);
        self.members.remove(&id);
    }

    /// Hands nothing more to a member.
    fn forget(&mut self, id: MemberId) {
        let Some(member) = self.members.get(&id) else { return };
        let vchannel = &member.view.vchannel;
        if let Some(ids) = self.of.get_mut(vchannel) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.of.remove(vchannel);
            }
        }
    }
}

impl Member {
    /// Queues a record. Returns whether the member can go on: it is let go if its queue is full.
    fn queue(&mut self, record: Record, max_bytes: usize) -> bool {
        if self.let_go.is_some() {
            return true;
        }
        let bytes = record.footprint();
        if self.bytes + bytes > max_bytes
            && !self.queue.is_empty()
            && !planted(Bug::SlowReaderHolds)
        {
            self.let_go = Some(record.position);
            return false;
        }
        self.bytes += bytes;
        self.queue.push_back(record);
        self.queued.notify_one();
        true
    }
}
