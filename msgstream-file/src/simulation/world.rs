//! A world: processes on one machine, which are killed, and whose power is cut.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::Report;
use super::disk::SimDisk;
use super::ledger::{Ledger, Stage};
use super::plan::{Ending, Plan, Syncing};
use super::process::{Channel, Program, ROOT, folder};
use super::records::Id;
use super::rng::Rng;
use super::state::State;
use super::task::Task;
use super::{keeper, last, reader, writer};
use crate::disk::Disk;
use crate::format::published::Published;
use crate::format::segment;
use crate::log::Files;

/// After so many calls without a fault everything must be done.
const PATIENCE: u64 = 20_000;

pub(super) struct World {
    pub(super) plan: Plan,
    disk: SimDisk,
    /// The storm is over: programs end by themselves.
    pub(super) calm: Cell<bool>,
    /// Nothing goes wrong any more, and only one program runs.
    quiet: Cell<bool>,
    /// By their incarnations, with the number of the channel.
    ledgers: RefCell<BTreeMap<u128, (u64, Ledger)>>,
    next_id: Cell<Id>,
    /// Where readers were, and in which incarnation.
    places: RefCell<BTreeMap<(usize, u128), u64>>,
    violation: RefCell<Option<String>>,
}

/// Programs that are killed together.
struct Process {
    programs: Vec<(usize, Task)>,
    /// What they do, so that it can be started again.
    roles: Vec<Role>,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Writer,
    Reader(usize),
    Keeper,
    Last,
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

/// The processes that run, and the order in which they do.
struct Life<'a> {
    world: &'a Rc<World>,
    rng: Rng,
    processes: Vec<Process>,
    started: usize,
}

impl<'a> Life<'a> {
    const fn new(world: &'a Rc<World>, rng: Rng) -> Self {
        Self { world, rng, processes: Vec::new(), started: 0 }
    }

    fn live(&mut self) -> std::io::Result<()> {
        let world = self.world;
        {
            // The root of all channels is there, and durable.
            let disk = &world.disk;
            disk.create_folder(Path::new(ROOT))?;
            disk.sync_folder(Path::new("/"))?;
            let mut state = disk.state();
            state.faults = world.plan.faults.clone();
            state.traps = world.plan.traps;
        }
        for roles in self.roles() {
            let process = self.start(roles)?;
            self.processes.push(process);
        }
        self.storm()?;
        world.disk.state().heal();
        world.calm.set(true);
        match world.plan.ending {
            Ending::Calm => self.finish(),
            Ending::Killed => self.processes.clear(),
            Ending::PowerCut => self.lose_power(),
        }
        world.quiet.set(true);
        for _ in 0..2 {
            let last = self.start(vec![Role::Last])?;
            self.processes.push(last);
            self.finish();
            self.lose_power();
        }
        Ok(())
    }

    fn roles(&mut self) -> Vec<Vec<Role>> {
        let plan = &self.world.plan;
        let roles = std::iter::repeat_n(Role::Writer, plan.writers)
            .chain((0..plan.readers).map(Role::Reader))
            .chain(std::iter::repeat_n(Role::Keeper, plan.keepers));
        let mut processes: Vec<Vec<Role>> = Vec::new();
        for role in roles {
            match processes.last_mut() {
                Some(last) if self.rng.chance(0.3) => last.push(role),
                _ => processes.push(vec![role]),
            }
        }
        processes
    }

    fn start(&mut self, roles: Vec<Role>) -> std::io::Result<Process> {
        let files = Files::new(self.world.plan.files);
        let mut programs = Vec::new();
        for role in &roles {
            let program = Program {
                world: Rc::clone(self.world),
                disk: Arc::new(self.world.disk.clone()),
                files: Arc::clone(&files),
                rng: self.rng.fork(),
            };
            let role = *role;
            self.started += 1;
            self.world.disk.state().trace.say(format_args!("p{} begins as {role:?}", self.started));
            let task = Task::new(move || match role {
                Role::Writer => writer::run(program),
                Role::Reader(name) => reader::run(program, name),
                Role::Keeper => keeper::run(program),
                Role::Last => last::run(program),
            })?;
            programs.push((self.started, task));
        }
        Ok(Process { programs, roles })
    }

    /// Lets programs run in any order, with all that goes wrong.
    fn storm(&mut self) -> std::io::Result<()> {
        let plan = &self.world.plan;
        // A process may be suspended, up to some step.
        let mut suspended = (0, 0);
        // The power is cut at a step, while what a killed process left is still there.
        let mut dark = u64::MAX;
        let mut steps = 0;
        while steps < plan.storm && self.world.violation.borrow().is_none() {
            steps += 1;
            if steps >= dark || self.rng.chance(plan.power_cuts) {
                dark = u64::MAX;
                let roles: Vec<_> =
                    self.processes.iter().map(|process| process.roles.clone()).collect();
                self.lose_power();
                for roles in roles {
                    let process = self.start(roles)?;
                    self.processes.push(process);
                }
            } else if self.rng.chance(plan.kills) {
                let at = self.rng.index(self.processes.len());
                self.kill(at)?;
            }
            if steps > suspended.1 && self.rng.chance(0.02) {
                suspended =
                    (self.rng.index(self.processes.len()), steps + self.rng.between(50, 400));
            }
            // Often the same one again, so that some get far while others stand still.
            let at = self.rng.index(self.processes.len());
            if at == suspended.0 && steps < suspended.1 {
                continue;
            }
            for _ in 0..self.rng.pick([1, 1, 3, 30]) {
                steps += 1;
                self.step(at);
                if self.world.disk.state().trapped.take().is_some() {
                    self.kill(at)?;
                    if plan.power_cuts > 0.0 && self.rng.chance(0.7) {
                        dark = steps + self.rng.between(1, 400);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Kills a process, and starts it again.
    fn kill(&mut self, at: usize) -> std::io::Result<()> {
        self.killed(at);
        let roles = std::mem::take(&mut self.processes[at].roles);
        self.processes[at].programs.clear();
        self.processes[at] = self.start(roles)?;
        Ok(())
    }

    fn killed(&self, at: usize) {
        let mut state = self.world.disk.state();
        for (number, _) in &self.processes[at].programs {
            state.trace.say(format_args!("p{number} is killed"));
            if let Some(did) = state.last.remove(number) {
                state.rare(did);
            }
        }
    }

    /// Lets a program of a process run up to its next call.
    fn step(&mut self, at: usize) {
        let Some(process) = self.processes.get_mut(at).filter(|p| !p.programs.is_empty()) else {
            return;
        };
        let which = self.rng.index(process.programs.len());
        let (number, task) = &mut process.programs[which];
        self.world.disk.state().program = *number;
        if task.run() {
            process.programs.remove(which);
        }
    }

    /// Lets all programs end by themselves.
    fn finish(&mut self) {
        let mut calls = 0;
        while self.processes.iter().any(|process| !process.programs.is_empty()) {
            calls += 1;
            if self.world.violation.borrow().is_some() {
                break;
            }
            if calls > PATIENCE {
                self.world.violation("a program doesn't come to its end".to_owned());
                break;
            }
            let at = self.rng.index(self.processes.len());
            self.step(at);
        }
        self.processes.clear();
    }

    fn lose_power(&mut self) {
        for at in 0..self.processes.len() {
            self.killed(at);
        }
        self.processes.clear();
        self.world.disk.state().lose_power();
        for (_, ledger) in self.world.ledgers.borrow_mut().values_mut() {
            ledger.lose_power();
        }
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
