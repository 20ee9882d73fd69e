//! The processes of a world: in which order they run, which are killed, and when the power is cut.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::plan::Ending;
use super::process::{Program, ROOT};
use super::rng::Rng;
use super::task::Task;
use super::world::World;
use super::{keeper, last, reader, writer};
use crate::disk::Disk;
use crate::log::Files;

/// After so many calls without a fault everything must be done.
const PATIENCE: u64 = 20_000;

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

/// The processes that run, and the order in which they do.
pub(super) struct Life<'a> {
    world: &'a Rc<World>,
    rng: Rng,
    processes: Vec<Process>,
    started: usize,
}

impl<'a> Life<'a> {
    pub(super) const fn new(world: &'a Rc<World>, rng: Rng) -> Self {
        Self { world, rng, processes: Vec::new(), started: 0 }
    }

    pub(super) fn live(&mut self) -> std::io::Result<()> {
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
