//! What the programs of a simulated process share, and what they do with a channel.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Incarnation;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::ledger::{Ledger, Stage};
use super::rng::Rng;
use super::task::pause;
use super::world::World;
use crate::disk::Disk;
use crate::log::{self, Files, Held, Lock, Log};

/// The folder of all channels.
pub(super) const ROOT: &str = "/d";

/// One program of a process. Programs of one process have the same files, and are killed together.
pub(super) struct Program {
    pub(super) world: Rc<World>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Arc<Files>,
    pub(super) rng: Rng,
}

/// A channel that was opened.
pub(super) struct Channel {
    pub(super) log: Log,
    pub(super) number: u64,
}

impl Channel {
    pub(super) const fn incarnation(&self) -> u128 {
        self.log.incarnation().0
    }
}

/// Returns the folder of a channel.
pub(super) fn folder(number: u64) -> PathBuf {
    PathBuf::from(format!("{ROOT}/c{number}"))
}

impl Program {
    pub(super) fn is_over(&self) -> bool {
        self.world.calm.get()
    }

    /// Lets others go on for a while.
    pub(super) fn wait(&mut self, most: u64) {
        for _ in 0..=self.rng.below(most) {
            pause();
        }
    }

    pub(super) fn any_channel(&mut self) -> u64 {
        self.rng.below(self.world.plan.channels)
    }

    /// Opens a channel, or makes it.
    pub(super) fn open(&mut self, number: u64) -> Option<Channel> {
        let deleted = self.world.deleted();
        match Log::open(&self.disk, &self.files, &folder(number)) {
            Ok((log, _)) => {
                let channel = Channel { log, number };
                self.world.opened(&channel, &deleted);
                Some(channel)
            }
            Err(failure) if failure.kind == Kind::NotFound => {
                self.world.not_found(number);
                if self.world.is_quiet() || self.rng.chance(0.5) {
                    self.create(number);
                } else {
                    self.wait(10);
                }
                None
            }
            Err(failure) => {
                self.world.told("open", None, &failure);
                self.wait(5);
                None
            }
        }
    }

    fn create(&mut self, number: u64) {
        let incarnation = self.world.next_incarnation(number);
        let made = log::create(
            &self.disk,
            &self.files,
            &folder(number),
            &format!("c{number}"),
            std::collections::BTreeMap::default(),
            Incarnation(incarnation),
        );
        match made {
            Ok(()) => self.world.is_made(incarnation),
            Err(failure) if failure.kind == Kind::AlreadyExists => {
                self.world.rare("somebody else made the channel");
            }
            // Another one may have taken it for remains.
            Err(failure) if failure.kind == Kind::NotFound => {}
            Err(failure) => self.world.told("create", None, &failure),
        }
    }

    /// Takes the lock of a channel, in its turn.
    pub(super) fn lock(&mut self, channel: &Channel) -> Option<Held> {
        let turn = self.take(channel, Lock::Turn)?;
        let held = self.take(channel, Lock::Write);
        drop(turn);
        held
    }

    fn take(&mut self, channel: &Channel, lock: Lock) -> Option<Held> {
        for _ in 0..1000 {
            match channel.log.try_lock(lock) {
                Ok(Some(held)) => return Some(held),
                Ok(None) => self.wait(20),
                Err(failure) => {
                    if matches!(failure.kind, Kind::NotFound | Kind::WrongIncarnation { .. }) {
                        self.world.rare("a lock was lost to a deletion");
                    }
                    self.world.told("lock", Some(channel), &failure);
                    return None;
                }
            }
            if self.is_over() && self.world.is_quiet() {
                // Nobody else runs any more.
                self.world.violation("a lock that nobody holds can't be taken".to_owned());
                return None;
            }
        }
        None
    }

    /// Notes a failure. Returns whether the channel must be opened anew.
    pub(super) fn failed(&self, what: &str, channel: &Channel, failure: &Failure) -> bool {
        self.world.told(what, Some(channel), failure);
        matches!(failure.kind, Kind::NotFound | Kind::WrongIncarnation { .. })
    }

    /// Does something with what is known of a channel.
    pub(super) fn ledger<T>(
        &self,
        channel: &Channel,
        with: impl FnOnce(&mut Ledger) -> Result<T, String>,
    ) -> Option<T> {
        self.world.ledger(channel.incarnation(), with)
    }

    pub(super) fn delete(&mut self, channel: &Channel, held: &Held) {
        self.ledger(channel, |ledger| {
            ledger.stage = Stage::Deleting;
            Ok(())
        });
        match log::delete(&channel.log, held) {
            Ok(()) => {
                self.world.rare("deleted");
                self.ledger(channel, |ledger| {
                    ledger.stage = Stage::Deleted;
                    Ok(())
                });
            }
            Err(failure) => self.world.told("delete", Some(channel), &failure),
        }
    }
}
