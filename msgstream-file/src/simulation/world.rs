//! What the programs of a world share, and what they are allowed to meet.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::Report;
use super::disk::SimDisk;
use super::ledger::{Ledger, Stage};
use super::life::Life;
use super::plan::{Plan, Syncing};
use super::process::{Channel, folder};
use super::records::Id;
use super::rng::Rng;
use super::state::State;
use crate::format::published::Published;
use crate::format::segment;

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) disk: SimDisk,
    /// The storm is over: programs end by themselves.
    pub(super) calm: Cell<bool>,
    /// Nothing goes wrong any more, and only one program runs.
    pub(super) quiet: Cell<bool>,
    /// By their incarnations, with the number of the channel.
    pub(super) ledgers: RefCell<BTreeMap<u128, (u64, Ledger)>>,
    next_id: Cell<Id>,
    /// Where readers were, and in which incarnation.
    places: RefCell<BTreeMap<(usize, u128), u64>>,
    pub(super) violation: RefCell<Option<String>>,
}

pub(super) fn run(seed: u64, print: bool) -> Report {
    let mut rng = Rng::new(seed);
    let plan = Plan::new(&mut rng);
    if print {
        eprintln!("{plan:#?}");
    }
    let disk = SimDisk::new(State::new(plan.page, plan.journal, rng.fork(), print));
    let world = Rc::new(World {
        plan,
        disk: disk.clone(),
        calm: Cell::new(false),
        quiet: Cell::new(false),
        ledgers: RefCell::default(),
        next_id: Cell::new(0),
        places: RefCell::default(),
        violation: RefCell::default(),
    });
    let lived = catch_unwind(AssertUnwindSafe(|| Life::new(&world, rng).live()));
    let panicked = match lived {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("no stack: {error}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
            Some(format!("a program panicked: {text:?}"))
        }
    };
    let acknowledged = world.ledgers.borrow().values().map(|(_, ledger)| ledger.count()).sum();
    let state = disk.state();
    Report {
        seed,
        violation: panicked.or_else(|| world.violation.take()),
        hash: state.trace.hash(),
        calls: state.trace.events,
        rare: state.rare.clone(),
        acknowledged,
    }
}

impl World {
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.get()
    }

    pub(super) fn rare(&self, path: &'static str) {
        self.disk.state().rare(path);
    }

    pub(super) fn violation(&self, text: String) {
        self.disk.state().trace.say(format_args!("VIOLATION: {text}"));
        self.violation.borrow_mut().get_or_insert(text);
    }

    pub(super) fn next_ids(&self, count: u64) -> Range<Id> {
        let first = self.next_id.get();
        self.next_id.set(first + count);
        first..first + count
    }

    pub(super) fn next_incarnation(&self, number: u64) -> u128 {
        let mut ledgers = self.ledgers.borrow_mut();
        let incarnation = ledgers.len() as u128 + 1;
        let ledger = Ledger::new(self.plan.syncing == Syncing::All, self.plan.retention());
        ledgers.insert(incarnation, (number, ledger));
        incarnation
    }

    pub(super) fn ledger<T>(
        &self,
        incarnation: u128,
        with: impl FnOnce(&mut Ledger) -> Result<T, String>,
    ) -> Option<T> {
        let mut ledgers = self.ledgers.borrow_mut();
        let Some((_, ledger)) = ledgers.get_mut(&incarnation) else {
            self.violation(format!("nobody made channel {incarnation:x}"));
            return None;
        };
        match with(ledger) {
            Ok(value) => Some(value),
            Err(law) => {
                self.violation(format!("channel {incarnation:x}: {law}"));
                None
            }
        }
    }

    /// The incarnations that are deleted for good.
    pub(super) fn deleted(&self) -> Vec<u128> {
        let ledgers = self.ledgers.borrow();
        let deleted = ledgers.iter().filter(|(_, (_, ledger))| ledger.stage == Stage::Deleted);
        deleted.map(|(incarnation, _)| *incarnation).collect()
    }

    /// Somebody opened a channel. These were deleted before.
    pub(super) fn opened(&self, channel: &Channel, deleted: &[u128]) {
        let incarnation = channel.incarnation();
        if deleted.contains(&incarnation) {
            self.violation(format!("channel {incarnation:x} was deleted, and is there again"));
        }
        let stage = self.ledger(incarnation, |ledger| Ok(ledger.stage));
        // Whatever was there before must have been on its way out. But this one may be gone itself,
        // since its file was opened.
        if !matches!(stage, Some(Stage::Deleting | Stage::Deleted)) {
            self.gone(channel.number, Some(incarnation));
        }
    }

    pub(super) fn is_made(&self, incarnation: u128) {
        self.ledger(incarnation, |ledger| {
            if ledger.stage == Stage::Making {
                ledger.stage = Stage::Made;
            }
            Ok(())
        });
    }

    /// Somebody found no channel.
    pub(super) fn not_found(&self, number: u64) {
        self.gone(number, None);
    }

    fn gone(&self, number: u64, but: Option<u128>) {
        for (incarnation, (of, ledger)) in &*self.ledgers.borrow() {
            if *of == number && Some(*incarnation) != but && ledger.stage == Stage::Made {
                self.violation(format!("channel {incarnation:x} was made, and is gone"));
            }
        }
    }

    /// Somebody was told of a failure.
    pub(super) fn told(&self, what: &str, channel: Option<&Channel>, failure: &Failure) {
        use std::error::Error;
        let error = failure.clone().during("do");
        let cause = error.source().and_then(Error::source).map(ToString::to_string);
        self.disk.state().trace.say(format_args!("could not {what}: {failure:?}"));
        let stage = |channel: &Channel| {
            let ledgers = self.ledgers.borrow();
            ledgers.get(&channel.incarnation()).map(|(_, ledger)| ledger.stage)
        };
        let allowed = match &failure.kind {
            Kind::NotFound | Kind::WrongIncarnation { .. } => channel.is_some_and(|channel| {
                matches!(stage(channel), Some(Stage::Deleting | Stage::Deleted))
            }),
            Kind::Full { .. } | Kind::Unavailable { .. } => !self.quiet.get(),
            _ => false,
        };
        if !allowed {
            self.violation(format!("could not {what}: {failure:?} ({cause:?})"));
        }
    }

    /// Returns whether there is anything behind the published end.
    pub(super) fn is_longer(&self, number: u64, published: &Published) -> bool {
        let path = folder(number).join(segment::file_name(published.segment));
        let state = self.disk.state();
        let content = state.find(&path).and_then(|number| state.content(number));
        content.is_ok_and(|content| content.cached.len() as u64 > published.byte)
    }

    pub(super) fn keep_place(&self, name: usize, channel: &Channel, next: u64) {
        self.places.borrow_mut().insert((name, channel.incarnation()), next);
    }

    pub(super) fn kept_place(&self, name: usize, channel: &Channel) -> Option<u64> {
        self.places.borrow().get(&(name, channel.incarnation())).copied()
    }
}
