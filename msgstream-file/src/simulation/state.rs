//! The state of a simulated disk.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::content::Content;
use super::faults::Faults;
use super::folder::{Folder, Number};
use super::rng::Rng;
use super::trace::Trace;

/// The virtual clock when a world begins, in Unix milliseconds: the start of 2020.
const BEGIN: u64 = 1_577_836_800_000;

#[derive(Debug)]
pub(super) enum Node {
    File(Content),
    Folder(Folder),
    /// It was neither open nor named when the power was cut.
    Gone,
}

#[derive(Debug)]
pub(super) struct State {
    nodes: Vec<Node>,
    /// Who has the lock of a file: the number of an open file.
    locks: BTreeMap<Number, u64>,
    opened: u64,
    pub(super) page: usize,
    pub(super) journal: bool,
    pub(super) boot: u128,
    pub(super) clock: u64,
    full: bool,
    pub(super) faults: Faults,
    pub(super) rng: Rng,
    pub(super) trace: Trace,
    /// Which program runs.
    pub(super) program: usize,
    /// The last thing that each program did, as far as it matters where a program is killed.
    pub(super) last: BTreeMap<usize, &'static str>,
    /// How often a program is killed right after a rename.
    pub(super) traps: f64,
    /// A program that is to be killed now.
    pub(super) trapped: Option<usize>,
    pub(super) rare: BTreeMap<&'static str, u64>,
}

pub(super) fn too_many_files() -> io::Error {
    io::Error::from_raw_os_error(24)
}

pub(super) fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl State {
    pub(super) fn new(page: usize, journal: bool, rng: Rng, print: bool) -> Self {
        Self {
            nodes: vec![Node::Folder(Folder::default())],
            locks: BTreeMap::new(),
            opened: 0,
            page,
            journal,
            boot: 1,
            clock: BEGIN,
            full: false,
            faults: Faults::default(),
            rng,
            trace: Trace::new(print),
            program: 0,
            last: BTreeMap::new(),
            traps: 0.0,
            trapped: None,
            rare: BTreeMap::new(),
        }
    }

    pub(super) fn rare(&mut self, path: &'static str) {
        *self.rare.entry(path).or_default() += 1;
    }

    /// Draws the faults that any call may meet.
    pub(super) fn begin_call(&mut self) -> io::Result<()> {
        self.clock += self.rng.below(3);
        if self.rng.chance(self.faults.clock_set) {
            match self.rng.below(4) {
                // What somebody began is too old then.
                0 => self.clock += 4_000_000,
                _ => self.clock -= self.rng.below(2000).min(self.clock - BEGIN),
            }
            self.rare("the clock was set");
        }
        if self.rng.chance(self.faults.full) {
            self.full = !self.full;
        }
        if self.rng.chance(self.faults.write_back) {
            self.write_back();
        }
        if self.rng.chance(self.faults.other) {
            return Err(broken());
        }
        Ok(())
    }

    fn write_back(&mut self) {
        let number = self.rng.index(self.nodes.len());
        match self.nodes.get_mut(number) {
            Some(Node::File(content)) => content.write_back(self.page, &mut self.rng),
            Some(Node::Folder(folder)) => folder.write_back(&mut self.rng),
            _ => {}
        }
    }

    /// Returns whether there is no room now.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn heal(&mut self) {
        self.faults = Faults::default();
        self.traps = 0.0;
        self.full = false;
    }

    pub(super) fn make(&mut self, node: Node) -> Number {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Number> {
        let mut number = 0;
        for name in path.iter().skip(1) {
            let name = name.to_str().ok_or(ErrorKind::InvalidInput)?;
            number = *self.folder(number)?.names.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(number)
    }

    /// Returns the folder that holds a path, and the name there.
    pub(super) fn holder<'a>(&self, path: &'a Path) -> io::Result<(Number, &'a str)> {
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(path))?, name))
    }

    pub(super) fn folder(&self, number: Number) -> io::Result<&Folder> {
        match self.nodes.get(number) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn folder_mut(&mut self, number: Number) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(number) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn content(&self, number: Number) -> io::Result<&Content> {
        match self.nodes.get(number) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder(_)) => Err(ErrorKind::IsADirectory.into()),
            _ => Err(broken()),
        }
    }

    /// Returns a file's content with what changes beside it.
    pub(super) fn content_mut(
        &mut self,
        number: Number,
    ) -> io::Result<(&mut Content, &mut Rng, usize)> {
        match self.nodes.get_mut(number) {
            Some(Node::File(content)) => Ok((content, &mut self.rng, self.page)),
            Some(Node::Folder(_)) => Err(ErrorKind::IsADirectory.into()),
            _ => Err(broken()),
        }
    }

    pub(super) fn is_file(&self, number: Number) -> bool {
        matches!(self.nodes.get(number), Some(Node::File(_)))
    }

    pub(super) fn open(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }

    pub(super) fn lock(&mut self, number: Number, opened: u64) -> bool {
        *self.locks.entry(number).or_insert(opened) == opened
    }

    pub(super) fn close(&mut self, number: Number, opened: u64) {
        if self.locks.get(&number) == Some(&opened) {
            self.locks.remove(&number);
        }
    }

    /// Ends the boot. No program may run any more.
    pub(super) fn lose_power(&mut self) {
        self.trace.note([9, 0, 0, 0], || "the power is cut".to_owned());
        self.rare("power cut");
        self.locks.clear();
        self.boot += 1;
        self.full = false;
        let (mut torn, mut lost) = (false, false);
        for node in &mut self.nodes {
            match node {
                Node::File(content) => torn |= content.lose_power(self.page, &mut self.rng),
                Node::Folder(folder) => {
                    lost |= folder.lose_power(self.journal, &mut self.rng);
                }
                Node::Gone => {}
            }
        }
        self.forget_nameless();
        if torn {
            self.rare("power cut tore a file");
        }
        if lost {
            self.rare("power cut lost a name");
        }
    }

    fn forget_nameless(&mut self) {
        let mut named = vec![false; self.nodes.len()];
        let mut look = vec![0];
        while let Some(number) = look.pop() {
            named[number] = true;
            if let Node::Folder(folder) = &self.nodes[number] {
                look.extend(folder.names.values());
            }
        }
        for (node, named) in self.nodes.iter_mut().zip(named) {
            if !named {
                *node = Node::Gone;
            }
        }
    }
}
