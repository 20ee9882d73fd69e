//! A checkpoint store that is as unreliable as the broker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::Checkpoint;
use msgstream_core::checkpoint::{CheckpointStore, Generation, StoreError, Stored};
use tokio::time::sleep;

use crate::sim::{Rng, Sim};

/// Keeps everything that was ever saved. Saves may be lost, or take effect, at once or later,
/// though their answer is an error.
#[derive(Clone, Debug)]
pub(super) struct SimStore {
    sim: Sim,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    saved: Vec<Saved>,
    rng: Rng,
    trouble: f64,
}

/// A save, as text, as a program would find it.
#[derive(Clone, Debug)]
struct Saved {
    generation: Generation,
    checkpoint: Option<String>,
    state: Bytes,
}

impl SimStore {
    pub(super) fn new(sim: Sim, rng: Rng, trouble: f64) -> Self {
        Self { sim, state: Arc::new(Mutex::new(State { saved: Vec::new(), rng, trouble })) }
    }

    /// From now on every save succeeds.
    pub(super) fn heal(&self) {
        self.lock().trouble = 0.0;
    }

    /// The program's state that was saved last, where anything was.
    pub(super) fn state(&self) -> Option<Bytes> {
        self.lock().saved.last().map(|saved| saved.state.clone())
    }

    /// The checkpoint that was saved last.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        parse(self.lock().saved.last()?).ok()?
    }

    /// Every checkpoint that was ever saved.
    pub(super) fn checkpoints(&self) -> Vec<Checkpoint> {
        let saved = self.lock().saved.clone();
        saved.iter().filter_map(|saved| parse(saved).ok()?).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, expected: Option<Generation>, new: Saved) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state.saved.last().map(|saved| saved.generation);
        if found != expected {
            return Err(StoreError::Conflict { expected, found });
        }
        // Whose it is was drawn outside of the simulation.
        self.sim.note(format_args!("saved {} {:?}", new.generation.number, new.checkpoint));
        state.saved.push(new);
        Ok(())
    }
}

fn parse(saved: &Saved) -> Result<Option<Checkpoint>, serde_json::Error> {
    saved.checkpoint.as_deref().map(serde_json::from_str).transpose()
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Other(error.into())
}

/// What becomes of a save.
enum Fate {
    Done,
    Lost,
    Unanswered,
    Later(Duration),
}

#[async_trait]
impl CheckpointStore for SimStore {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let delay = Duration::from_millis(self.lock().rng.range(0..20));
        sleep(delay).await;
        let saved = self.lock().saved.last().cloned();
        let stored = |saved: Saved| {
            let checkpoint = parse(&saved).map_err(failed)?;
            Ok(Stored::new(saved.generation, checkpoint, saved.state))
        };
        saved.map(stored).transpose()
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        let checkpoint = new.checkpoint.as_ref().map(serde_json::to_string).transpose();
        let checkpoint = checkpoint.map_err(failed)?;
        let new = Saved { generation: new.generation, checkpoint, state: new.state.clone() };
        let (delay, fate) = {
            let State { rng, trouble, .. } = &mut *self.lock();
            let delay = Duration::from_millis(rng.range(0..20));
            let fate = match rng.chance(*trouble) {
                false => Fate::Done,
                true => match rng.index(3) {
                    0 => Fate::Lost,
                    1 => Fate::Unanswered,
                    _ => Fate::Later(Duration::from_millis(rng.range(1..3_000))),
                },
            };
            (delay, fate)
        };
        sleep(delay).await;
        match fate {
            Fate::Done => return self.set(expected, new),
            Fate::Lost => {}
            Fate::Unanswered => self.set(expected, new)?,
            Fate::Later(later) => {
                let store = self.clone();
                tokio::spawn(async move {
                    sleep(later).await;
                    // Where somebody saved meanwhile it takes no effect.
                    drop(store.set(expected, new));
                });
            }
        }
        Err(failed("no answer"))
    }
}
