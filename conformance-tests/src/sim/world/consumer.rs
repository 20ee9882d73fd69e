//! A consumer: reads packs, and commits them with what they led to.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::checkpoint::Committer;
use msgstream_core::transport::{Record, Start, TransportErrorKind as Kind};
use msgstream_core::{Error, TickSource, TtMsgStream};
use tokio::time::{sleep, timeout};

use super::World;
use super::life::Program;
use super::plan::Vandal;
use crate::kit::cancelled_after;
use crate::sim::Rng;

pub(super) const SUBSCRIPTION: &str = "consumer";

/// No record of a world is larger, in bytes of `Record::footprint`.
const LARGEST: usize = Record::OVERHEAD + 4096;

pub(super) fn start(world: Arc<World>, name: String, rng: Rng) -> Program {
    async move {
        if let Err(error) = (Consumer { world: &world, name, rng }).run().await {
            world.end_of_consumer(&error);
        }
    }
    .boxed()
}

struct Consumer<'a> {
    world: &'a World,
    name: String,
    rng: Rng,
}

impl Consumer<'_> {
    async fn run(mut self) -> Result<(), Error> {
        let world = self.world;
        let (mut committer, stored) = Committer::open(Arc::new(world.store.clone())).await?;
        // The program's own state: the last pack that it worked in.
        let mut last = last_given(&stored.state);
        let transport = Arc::new(world.sim.transport());
        let mut stream = TtMsgStream::new(transport, world.plan.consumer)?;
        match &stored.checkpoint {
            Some(end) => stream.resume(Some(SUBSCRIPTION), end, |_| TickSource::Written).await?,
            None => {
                let channels: Vec<_> = world.plan.channels.iter().map(String::as_str).collect();
                stream.create_consumers(Some(SUBSCRIPTION), &channels, Start::Earliest).await?;
            }
        }
        stream.start()?;
        let passed = |channel: &String| world.sim.cursor(channel, SUBSCRIPTION).is_some();
        let stray = stored.checkpoint.is_none() && world.plan.channels.iter().any(passed);
        let mut budget = world.plan.consumer.budget;
        loop {
            let consumed = self.consume(&mut stream, budget).await;
            self.count(&stream, &committer);
            match consumed {
                Ok(Some(pack)) => {
                    last = world.ledger().give(last, &pack, stray);
                    world.sim.note(format_args!("{} pack {last} to {}", self.name, pack.end_ts));
                    if self.rng.chance(world.plan.commits) {
                        let state = last.to_le_bytes().to_vec();
                        let committed = committer.commit(&mut stream, &pack.end, state).await;
                        self.count(&stream, &committer);
                        self.go_on(committed).await?;
                    }
                }
                Ok(None) => return Ok(()),
                Err(Error::WindowTooLarge { .. }) => {
                    budget *= 2;
                    stream.set_budget(budget);
                }
                Err(error) => self.go_on(Err(error)).await?,
            }
        }
    }

    /// The next pack. Sometimes waiting for it is cancelled a few times: that loses nothing.
    async fn consume(
        &mut self,
        stream: &mut TtMsgStream,
        budget: usize,
    ) -> Result<Option<msgstream_core::MsgPack>, Error> {
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
            self.world.ledger().status = stream.status().to_string();
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

    fn count(&self, stream: &TtMsgStream, committer: &Committer) {
        let counts = &mut self.world.ledger().counts;
        counts.merges.insert(self.name.clone(), stream.status().merge.counts);
        counts.commits.insert(self.name.clone(), committer.counts());
    }
}

/// The number of the last pack that went into a saved state; 0 is none.
pub(super) fn last_given(state: &[u8]) -> u64 {
    state.try_into().map_or(0, u64::from_le_bytes)
}

impl World {
    /// Why a consumer ended, where it may.
    fn end_of_consumer(&self, error: &Error) {
        match error {
            // Another one goes on, or this one is started again.
            Error::TakenOver { .. } | Error::Store(_) => {}
            Error::Transport(error) if error.is_temporary() => {}
            Error::Transport(error) if self.may_be_gone(error.kind()) => self.ledger().told += 1,
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
