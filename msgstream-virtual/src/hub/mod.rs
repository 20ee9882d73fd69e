//! Reading a physical channel once for all readers of its virtual ones.

mod slot;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, ReaderOptions, Result, Start, Transport, TransportError,
    TransportErrorKind,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::slot::Slot;
use self::state::{MemberId, State};
use crate::counts::Counts;
use crate::task::in_task;
use crate::view::View;

/// For how long a read of one who doesn't stand at the head waits: then it is another one's turn.
const TURN: Duration = Duration::from_millis(25);

/// The readers of one physical channel, in one handle.
///
/// There are two readers of the transport at most: one at the head, which reads whenever one of those
/// who stand there does, and one for those who stand elsewhere, in turn, each for one read. Whoever
/// waits for one of them, or reads with it, does so [in a task](in_task).
#[derive(Debug)]
pub(crate) struct Hub {
    transport: Arc<dyn Transport>,
    physical: String,
    pub(crate) incarnation: Incarnation,
    state: Mutex<State>,
    counts: Arc<Counts>,
    lead: tokio::sync::Mutex<Source>,
    /// Notified when another one wants to read at the head.
    wanted: Notify,
    slot: tokio::sync::Mutex<Slot>,
}

/// A reader of the transport, and where it is.
#[derive(Debug, Default)]
struct Source {
    reader: Option<Box<dyn ChannelReader>>,
    /// `None` if it isn't known, as after a seek that was cancelled.
    at: Option<Position>,
}

/// Where a reader of a virtual channel is.
#[derive(Debug)]
pub(crate) enum Place {
    Member(Seat),
    /// It reads for itself from here on.
    Alone(Position),
}

/// A reader's membership, up to its drop.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    id: MemberId,
}

/// How a hub begins.
enum Begun {
    /// With this member.
    At(Seat),
    /// Not yet: it has this to read before.
    Behind(ReadBatch),
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.state().leave(self.id);
    }
}

impl Hub {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        physical: String,
        incarnation: Incarnation,
        window_bytes: usize,
        queue_bytes: usize,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            transport,
            physical,
            incarnation,
            state: Mutex::new(State::new(window_bytes, queue_bytes, counts.clone())),
            counts,
            lead: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
            slot: tokio::sync::Mutex::new(Slot::new(window_bytes)),
        }
    }

    /// Reads for a reader of a virtual channel: changes its place as it returns what was before.
    pub(crate) async fn read(
        self: &Arc<Self>,
        view: &Arc<View>,
        queued: &Arc<Notify>,
        place: &mut Place,
        limit: Limit,
    ) -> Result<ReadBatch> {
        let deadline = Instant::now().checked_add(limit.wait);
        let asked = self.state().begun();
        // Once even if there is no time to wait.
        let mut looked = false;
        loop {
            let over = looked && is_over(deadline);
            match place {
                Place::Member(seat) => {
                    let id = seat.id;
                    let Some(taken) = self.state().take(id, limit, asked) else {
                        let kind = TransportErrorKind::Closed;
                        return Err(TransportError::new("read", kind));
                    };
                    if taken.left {
                        *place = Place::Alone(taken.next);
                    }
                    if !taken.records.is_empty() || over {
                        return Ok(ReadBatch::new(taken.records, taken.next, taken.caught_up));
                    }
                    if !taken.left {
                        let (hub, queued) = (self.clone(), queued.clone());
                        let follow = async move { hub.follow(id, &queued, deadline, looked).await };
                        looked |= in_task("read", follow).await? || is_over(deadline);
                    }
                }
                &mut Place::Alone(at) => {
                    // A statement of its own: the lock is free again before anything is awaited.
                    let joined = self.state().join(view, at, queued);
                    if let Some(id) = joined {
                        self.counts.joined();
                        *place = Place::Member(Seat { hub: self.clone(), id });
                        continue;
                    }
                    let (hub, view, queued) = (self.clone(), view.clone(), queued.clone());
                    let begin = {
                        let (hub, view) = (hub.clone(), view.clone());
                        async move { hub.begin_at(&view, &queued, at, limit, deadline).await }
                    };
                    let begun = in_task("read", begin).await?;
                    if let Some(Begun::At(seat)) = begun {
                        *place = Place::Member(seat);
                        looked = true;
                    } else if let Some(Begun::Behind(batch)) = begun {
                        *place = Place::Alone(batch.next);
                        return Ok(batch);
                    } else if over {
                        return Ok(ReadBatch::new(Vec::new(), at, false));
                    } else {
                        looked = true;
                        let alone = async move { hub.alone(&view, at, limit, deadline).await };
                        let Some(batch) = in_task("read", alone).await? else { continue };
                        *place = Place::Alone(batch.next);
                        if !batch.records.is_empty() || is_over(deadline) {
                            return Ok(batch);
                        }
                    }
                }
            }
        }
    }

    /// Returns the position at which a start is, as the broker knows it.
    pub(crate) async fn resolve(self: &Arc<Self>, start: Start) -> Result<Position> {
        let info = match start {
            Start::At(at) => return Ok(at),
            Start::Earliest | Start::Latest => self.transport.describe(&self.physical).await?,
            _ => {
                let hub = self.clone();
                return in_task("seek", async move { hub.find(start).await }).await;
            }
        };
        Ok(if start == Start::Latest { info.end } else { info.first.unwrap_or(info.end) })
    }

    /// Returns the position of the first record from a start on.
    async fn find(&self, start: Start) -> Result<Position> {
        let mut slot = self.slot.lock().await;
        self.place(&mut slot.source, start).await?;
        let batch = slot.source.read(turn(None)).await?;
        let first = batch.records.first().map_or(batch.next, |record| record.position);
        slot.keep(first, batch.records, batch.next);
        slot.trim();
        Ok(first)
    }

    /// Reads at the head, or waits until another one has queued something for a member. Returns whether
    /// it read.
    ///
    /// Who comes anew takes over from the one that reads, who looks once more before: so whoever asked
    /// before gets to know whether the channel has more, however many there are and however long they
    /// wait.
    async fn follow(
        &self,
        id: MemberId,
        queued: &Notify,
        deadline: Option<Instant>,
        again: bool,
    ) -> Result<bool> {
        let at_once = self.lead.try_lock().ok();
        if at_once.is_none() && !again {
            self.wanted.notify_one();
        }
        let mut lead = {
            let queued = pin!(queued.notified());
            let waits = async {
                tokio::select! {
                    biased;
                    () = queued => None,
                    lead = self.lead.lock() => Some(lead),
                }
            };
            match or_none(deadline, at_once, waits).await {
                Some(lead) => lead,
                None => return Ok(false),
            }
        };
        let (waiting, held, head) = {
            let state = self.state();
            (state.is_waiting(id), state.is_held(), state.head())
        };
        if !waiting {
            // Another one read for it after it had looked.
            return Ok(false);
        }
        if held {
            // Of a planted bug; with a pause, so that time goes on where it is simulated.
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Ok(true);
        }
        if lead.at != Some(head) {
            self.place(&mut lead, Start::At(head)).await?;
        }
        let number = self.state().begin();
        let read = tokio::select! {
            biased;
            read = lead.read(until(deadline)) => Some(read),
            () = self.wanted.notified() => None,
        };
        let (number, batch) = match read {
            Some(read) => (number, read?),
            None => {
                let number = self.state().begin();
                (number, lead.read(Limit::default().with_wait(Duration::ZERO)).await?)
            }
        };
        self.state().route(number, batch.records, batch.next, batch.caught_up);
        Ok(true)
    }

    /// Begins at a reader's place if nobody is a member. If it takes more at once than its queue holds, it
    /// gets that instead: it would be let go, and what was read would be read again.
    async fn begin_at(
        self: &Arc<Self>,
        view: &Arc<View>,
        queued: &Arc<Notify>,
        at: Position,
        limit: Limit,
        deadline: Option<Instant>,
    ) -> Result<Option<Begun>> {
        if !self.state().is_empty() {
            return Ok(None);
        }
        let Ok(mut lead) = self.lead.try_lock() else { return Ok(None) };
        // An earlier call that was cancelled may have come so far.
        if lead.at != Some(at) {
            self.place(&mut lead, Start::At(at)).await?;
        }
        let number = self.state().begin();
        let batch = lead.read(turn(deadline)).await?;
        let mut state = self.state();
        if !state.is_empty() {
            // Somebody joined at what the window had, meanwhile.
            lead.at = None;
            return Ok(None);
        }
        let mut own: Vec<_> = batch.records.iter().filter_map(|record| view.take(record)).collect();
        let rest = own.split_off(limit.count(&own));
        if own.iter().map(Record::footprint).sum::<usize>() > state.queue_bytes() {
            let next = rest.first().map_or(batch.next, |record| record.position);
            let batch = ReadBatch::new(own, next, batch.caught_up && rest.is_empty());
            return Ok(Some(Begun::Behind(batch)));
        }
        state.reset(at);
        let id = state.join(view, at, queued);
        state.route(number, batch.records, batch.next, batch.caught_up);
        Ok(id.map(|id| Begun::At(Seat { hub: self.clone(), id })))
    }

    /// Reads for one reader alone, in turn; `None` if its turn didn't come in time.
    async fn alone(
        &self,
        view: &View,
        at: Position,
        limit: Limit,
        deadline: Option<Instant>,
    ) -> Result<Option<ReadBatch>> {
        let waits = async { Some(self.slot.lock().await) };
        let slot = or_none(deadline, self.slot.try_lock().ok(), waits).await;
        let Some(mut slot) = slot else { return Ok(None) };
        if let Some(batch) = slot.serve(view, at, limit) {
            return Ok(Some(batch));
        }
        if slot.source.at != Some(at) {
            self.place(&mut slot.source, Start::At(at)).await?;
        }
        let read = loop {
            let batch = slot.source.read(turn(deadline)).await?;
            if batch.next > at || batch.caught_up || is_over(deadline) {
                break batch;
            }
        };
        let ReadBatch { records, next, caught_up, .. } = read;
        slot.keep(at, records, next);
        let served = slot.serve(view, at, limit);
        slot.trim();
        let Some(mut batch) = served else {
            return Ok(Some(ReadBatch::new(Vec::new(), next, caught_up)));
        };
        batch.caught_up = caught_up && batch.next == next;
        Ok(Some(batch))
    }

    /// Puts a reader of the transport at a place.
    async fn place(&self, source: &mut Source, start: Start) -> Result<()> {
        source.at = None;
        match &mut source.reader {
            Some(reader) => reader.seek(start).await?,
            None => {
                let options = ReaderOptions::new(start).with_incarnation(self.incarnation);
                source.reader = Some(self.transport.reader_with(&self.physical, options).await?);
            }
        }
        if let Start::At(at) = start {
            source.at = Some(at);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Reads on from its place. If that is cancelled, nothing is lost.
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let Some(reader) = &mut self.reader else { return Ok(ReadBatch::default()) };
        let batch = reader.read(limit).await?;
        self.at = Some(batch.next);
        Ok(batch)
    }
}

/// Returns how much one read of the transport may return, and how long it may wait.
fn turn(deadline: Option<Instant>) -> Limit {
    let limit = until(deadline);
    limit.with_wait(limit.wait.min(TURN))
}

fn until(deadline: Option<Instant>) -> Limit {
    let left = |deadline: Instant| deadline.duration_since(Instant::now());
    Limit::default().with_wait(deadline.map_or(Duration::MAX, left))
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Waits for something up to a deadline, unless it is there at once.
async fn or_none<T>(
    deadline: Option<Instant>,
    at_once: Option<T>,
    waits: impl Future<Output = Option<T>>,
) -> Option<T> {
    match (at_once, deadline) {
        (Some(found), _) => Some(found),
        (None, None) => waits.await,
        (None, Some(deadline)) => timeout_at(deadline, waits).await.ok().flatten(),
    }
}
