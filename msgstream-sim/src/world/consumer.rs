//! A consumer: reads packs, and commits them with what they led to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use msgstream_core::checkpoint::Stored;
use msgstream_core::consume::Committer;
use msgstream_core::merge::ChannelState;
use msgstream_core::record::Record;
use msgstream_core::transport::{Start, TransportErrorKind as Kind};
use msgstream_core::{Checkpoint, Error, MsgPack, TickSource, TtMsgStream};
use tokio::time::{sleep, timeout};

use super::World;
use super::joins::Joins;
use super::ledger::Life;
use super::life::{Program, cancelled_after};
use super::plan::Vandal;
use crate::Rng;

pub(super) const SUBSCRIPTION: &str = "consumer";

/// No record of a world is larger, in bytes of `Record::footprint`.
const LARGEST: usize = Record::OVERHEAD + 4096;

pub(super) fn start(world: Arc<World>, name: String, rng: Rng) -> Program {
    async move {
        let (life, known) = (Life::default(), Vec::new());
        if let Err(error) = (Consumer { world: &world, name, rng, life, known }).run().await {
            world.end_of_consumer(&error);
        }
    }
    .boxed()
}

struct Consumer<'a> {
    world: &'a World,
    name: String,
    rng: Rng,
    life: Life,
    /// Where the program may go back to: the last commit that it tried, and what came after it.
    known: Vec<(Checkpoint, u64)>,
}

impl Consumer<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let world = self.world;
        let (mut committer, stored) = Committer::open(Arc::new(world.store.clone())).await?;
        let generation = stored.generation;
        let consumed = self.consume_all(&mut committer, stored).await;
        if let Err(Error::Transport(error)) = &consumed
            && matches!(error.kind(), Kind::PositionTrimmed { .. })
            && world.plan.vandal.is_none()
            && world.store.is_newest(generation)
        {
            world.ledger().violation(format!("nobody took over, and yet: {error}"));
        }
        consumed
    }

    async fn consume_all(
        &mut self,
        committer: &mut Committer,
        stored: Stored,
    ) -> Result<(), Error> {
        let world = self.world;
        let (checkpoint, state) = self.restore(stored);
        // The program's own state: the last pack that it worked in.
        let mut last = last_given(&state);
        let mut stream = TtMsgStream::new(world.reading(), world.plan.consumer)?;
        match &checkpoint {
            Some(end) => {
                stream.resume(Some(SUBSCRIPTION), end, |_| TickSource::Written).await?;
                self.note_resumed(end, last);
                self.known.push((end.clone(), last));
            }
            None => {
                let channels = world.plan.first_channels();
                stream.create_consumers(Some(SUBSCRIPTION), &channels, Start::Earliest).await?;
            }
        }
        stream.start()?;
        let passed = |channel: &String| world.plan.cursor(&world.sim, channel).is_some();
        self.life.stray = checkpoint.is_none() && world.plan.channels.iter().any(passed);
        let mut budget = world.plan.consumer.budget_bytes;
        let mut joins = Joins::new(&world.plan, checkpoint.as_ref());
        loop {
            match joins.join(&world.plan, &mut stream, Some(SUBSCRIPTION)).await {
                Ok(false) => {}
                Ok(true) => self.life.stray |= world.plan.channels.last().is_some_and(passed),
                Err(error) => {
                    self.go_on(Err(error)).await?;
                    continue;
                }
            }
            // Where all is well, nobody rests: what must come true would wait for a consumer that
            // rests more than it reads, and falls ever further behind.
            if self.rng.chance(world.plan.rests) && !world.is_calm() {
                let rest = Duration::from_millis(self.rng.range(0..3_000));
                sleep(rest).await;
            }
            let consumed = self.consume(&mut stream, budget).await;
            self.count(&stream, committer);
            match consumed {
                Ok(Some(pack)) => {
                    last = world.ledger().give(last, &pack, &self.life);
                    world.sim.note(format_args!("{} pack {last} to {}", self.name, pack.end_ts));
                    self.known.push((pack.end.clone(), last));
                    if self.rng.chance(world.plan.commits) {
                        let committed = self.commit(committer, &mut stream, last).await;
                        self.go_on(committed).await?;
                    }
                    // Not where everything is to come true.
                    if !world.is_calm() && self.rng.chance(world.plan.leaves) {
                        if self.rng.chance(0.5) {
                            stream.close();
                            return Ok(());
                        }
                        last = self.go_back(&mut stream, &mut joins, last).await?;
                    }
                }
                Ok(None) => {
                    while let Err(error) = self.commit(committer, &mut stream, last).await {
                        self.go_on(Err(error)).await?;
                    }
                    world.ledger().consumed_all = Some(last);
                    return Ok(());
                }
                Err(Error::WindowTooLarge { .. }) => {
                    budget *= 2;
                    stream.set_budget_bytes(budget);
                }
                Err(Error::TickTooFar { channel, position, .. }) => {
                    stream.ignore_tick(&channel, position)?;
                }
                Err(error) => self.go_on(Err(error)).await?,
            }
        }
    }

    /// What the program begins with: what was saved last, or by an operator's will before that.
    fn restore(&mut self, stored: Stored) -> (Option<Checkpoint>, Bytes) {
        if !self.world.is_calm()
            && self.rng.chance(self.world.plan.restores)
            && let Some((checkpoint, state)) = self.world.store.earlier(&mut self.rng)
        {
            return (Some(checkpoint), state);
        }
        (stored.checkpoint, stored.state)
    }

    /// Goes back to a place that it knows, in the middle of its life.
    async fn go_back(
        &mut self,
        stream: &mut TtMsgStream,
        joins: &mut Joins,
        last: u64,
    ) -> Result<u64, Error> {
        let at = self.rng.index(self.known.len());
        let Some((checkpoint, to)) = self.known.get(at).cloned() else { return Ok(last) };
        let resumed = stream.resume(Some(SUBSCRIPTION), &checkpoint, |_| TickSource::Written).await;
        let back = resumed.is_ok();
        self.go_on(resumed).await?;
        if !back {
            return Ok(last);
        }
        self.world.sim.note(format_args!("{} goes back to pack {to}", self.name));
        // The counts of the stream begin anew, too.
        self.name.push('+');
        self.known.truncate(at + 1);
        self.note_resumed(&checkpoint, to);
        *joins = Joins::new(&self.world.plan, Some(&checkpoint));
        Ok(to)
    }

    /// Commits the pack that was given last. What was tried may be saved, so from then on nothing
    /// before it is committed.
    async fn commit(
        &mut self,
        committer: &mut Committer,
        stream: &mut TtMsgStream,
        last: u64,
    ) -> Result<(), Error> {
        let checkpoint = stream.checkpoint();
        self.known = vec![(checkpoint.clone(), last)];
        let state = last.to_le_bytes().to_vec();
        let committed = stream.commit(committer, &checkpoint, state).await;
        self.count(stream, committer);
        committed
    }

    /// The next pack. Sometimes waiting for it is cancelled a few times: that loses nothing.
    async fn consume(
        &mut self,
        stream: &mut TtMsgStream,
        budget: usize,
    ) -> Result<Option<MsgPack>, Error> {
        let consumed = loop {
            let consumed = if self.rng.chance(0.2) {
                cancelled_after(self.rng.index(4), stream.consume()).await
            } else {
                timeout(Duration::from_secs(10), stream.consume()).await.ok()
            };
            if let Some(consumed) = consumed {
                break consumed;
            }
            self.check_memory(stream, budget);
            self.world.ledger().status = Some(stream.status());
        };
        self.check_memory(stream, budget);
        consumed
    }

    fn check_memory(&self, stream: &TtMsgStream, budget: usize) {
        let (used, most) =
            (stream.buffered_bytes(), budget + LARGEST * self.world.plan.channels.len());
        if used > most {
            let what = format!("{used} bytes are buffered, with a budget of {budget}");
            self.world.ledger().violation(what);
        }
    }

    /// What passes with time is waited out.
    async fn go_on(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Transport(error)) if error.is_temporary() => {}
            Err(Error::Store(_)) => {}
            result => return result,
        }
        sleep(Duration::from_millis(self.rng.range(0..100))).await;
        Ok(())
    }

    fn count(&mut self, stream: &TtMsgStream, committer: &Committer) {
        let merge = stream.status().merge;
        let open = merge.channels.iter().any(|channel| channel.state != ChannelState::Ended);
        let ended = merge.channels.iter().filter(|c| open && c.state == ChannelState::Ended);
        let counts = &mut self.world.ledger().counts;
        self.life.ended = self.life.ended.max(ended.count() as u64);
        self.life.commits = committer.counts();
        self.life.merge = merge.counts;
        match counts.consumers.get_mut(&self.name) {
            Some(life) => *life = self.life,
            None => drop(counts.consumers.insert(self.name.clone(), self.life)),
        }
    }

    /// Notes what is rare about where it resumed, after that pack.
    fn note_resumed(&mut self, checkpoint: &Checkpoint, last: u64) {
        let mut idle = checkpoint.channels.iter().filter(|(_, mark)| mark.raised.is_some());
        let ledger = self.world.ledger();
        let trimmed = idle.clone().any(|(channel, _)| ledger.trimmed.contains_key(&**channel));
        self.life.resumed_trimmed |= trimmed;
        let before = ledger.given(last).map_or(0, |given| given.resumed_idle);
        self.life.resumed_idle = before + u64::from(idle.next().is_some());
    }
}

/// The number of the last pack that went into a saved state; 0 is none.
pub(super) fn last_given(state: &[u8]) -> u64 {
    state.try_into().map_or(0, u64::from_le_bytes)
}

impl World {
    /// Why a consumer ended, if it may.
    fn end_of_consumer(&self, error: &Error) {
        match error {
            // Another one goes on, or this one is started again.
            Error::TakenOver { .. } | Error::Store(_) => {}
            Error::Transport(error) if error.is_temporary() => {}
            Error::Transport(error) if self.may_be_gone(error.kind()) => {
                self.ledger().told_gone += 1
            }
            error => self.ledger().violation(format!("a consumer ended: {error}")),
        }
    }
}

impl World {
    /// Whether this error has its reason: a channel that was made again, or records that were
    /// deleted. Where nobody breaks anything, only a zombie comes late to what it once had.
    pub(super) fn may_be_gone(&self, kind: &Kind) -> bool {
        match kind {
            Kind::PositionTrimmed { .. } => self.plan.retention || self.plan.vandal.is_some(),
            Kind::NotFound | Kind::WrongIncarnation { .. } | Kind::PositionBeyondEnd { .. } => {
                matches!(self.plan.vandal, Some(Vandal::Recreates(_)))
            }
            _ => false,
        }
    }
}
