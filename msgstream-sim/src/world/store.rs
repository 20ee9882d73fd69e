//! A checkpoint store that is as unreliable as the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::Checkpoint;
use msgstream_core::checkpoint::{CheckpointStore, Generation, StoreError, Stored};
use msgstream_core::record::Position;
use tokio::time::sleep;

use crate::{Rng, Sim};

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
    furthest: BTreeMap<Arc<str>, Position>,
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
        let (saved, furthest) = (Vec::new(), BTreeMap::new());
        Self { sim, state: Arc::new(Mutex::new(State { saved, furthest, rng, trouble })) }
    }

    /// From now on every save succeeds.
    pub(super) fn heal(&self) {
        self.lock().trouble = 0.0;
    }

    /// The program's state that was saved last, where anything was.
    pub(super) fn state(&self) -> Option<Bytes> {
        self.lock().saved.last().map(|saved| saved.state.clone())
    }

    /// How far any save resumes each channel.
    pub(super) fn furthest(&self) -> BTreeMap<Arc<str>, Position> {
        self.lock().furthest.clone()
    }

    /// Whether nobody has saved since, but this one itself.
    pub(super) fn is_newest(&self, generation: Generation) -> bool {
        let newest = self.lock().saved.last().map(|saved| saved.generation.owner);
        newest == Some(generation.owner)
    }

    /// An earlier save; `None` if there isn't one.
    pub(super) fn earlier(&self, rng: &mut Rng) -> Option<(Checkpoint, Bytes)> {
        let state = self.lock();
        let saved = rng.pick(&state.saved)?;
        Some((parse(saved).ok()??, saved.state.clone()))
    }

    /// Whether a checkpoint was ever saved.
    pub(super) fn has_checkpoint(&self) -> bool {
        self.lock().saved.iter().any(|saved| saved.checkpoint.is_some())
    }

    /// Different checkpoints of those that were ever saved, at most so many, with the program's
    /// state: from all over the run.
    pub(super) fn checkpoints(&self, most: usize, rng: &mut Rng) -> Vec<(Checkpoint, Bytes)> {
        let mut saved = self.lock().saved.clone();
        saved.retain(|saved| saved.checkpoint.is_some());
        // Whoever takes over saves again what was there.
        saved.dedup_by(|one, other| one.checkpoint == other.checkpoint);
        let step = saved.len().div_ceil(most).max(1);
        let some = saved.into_iter().skip(rng.index(step)).step_by(step);
        some.filter_map(|saved| Some((parse(&saved).ok()??, saved.state))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(
        &self,
        expected: Option<Generation>,
        new: Saved,
        marks: &[(Arc<str>, Position)],
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state.saved.last().map(|saved| saved.generation);
        if found != expected {
            return Err(StoreError::Conflict { expected, found });
        }
        // Whose it is was drawn outside of the simulation.
        let checkpoint = new.checkpoint.as_deref().unwrap_or("nothing");
        self.sim.note(format_args!("saved {} {checkpoint}", new.generation.number));
        state.saved.push(new);
        for (channel, resume) in marks {
            let furthest = state.furthest.entry(channel.clone()).or_insert(*resume);
            *furthest = (*furthest).max(*resume);
        }
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
        let marks = new.checkpoint.iter().flat_map(|checkpoint| &checkpoint.channels);
        let marks: Vec<_> = marks.map(|(name, mark)| (name.clone(), mark.resume)).collect();
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
            Fate::Done => return self.set(expected, new, &marks),
            Fate::Lost => {}
            Fate::Unanswered => self.set(expected, new, &marks)?,
            Fate::Later(later) => {
                let store = self.clone();
                tokio::spawn(async move {
                    sleep(later).await;
                    // Where somebody saved meanwhile it takes no effect.
                    drop(store.set(expected, new, &marks));
                });
            }
        }
        Err(failed("no answer"))
    }
}
