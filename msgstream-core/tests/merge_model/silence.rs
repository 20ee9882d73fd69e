//! Channels that fall silent at any moment, crashes at any moment, and deletion of all that was
//! acknowledged.

use msgstream_core::dedup::ProducerLimits;
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::merge::{Merge, MergeConfig, Slot};
use msgstream_core::record::{Position, Record};
use msgstream_core::{Checkpoint, Error, MsgPack};
use proptest::prelude::*;

use crate::contents::{Contents, Entry, PAYLOAD, entries};
use crate::first_from;
use crate::idle::{Model, Step};
use crate::reference::{all_messages, out};

/// A time past any other.
const CLOSING: u64 = 2_000_000;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    Step(Step),
    /// The last checkpoint is committed and acknowledged: what is before it is deleted.
    Commit,
    /// The consumer goes on at the last checkpoint that was committed, or at a later one.
    Crash(usize),
    /// What was read ahead is given up.
    Evict,
    /// All is read but for the closing ticks, and they are next.
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (any::<usize>(), 0usize..6).prop_map(|(c, n)| Event::Step(Step::Read(c, n))),
        6 => any::<usize>().prop_map(|c| Event::Step(Step::Silent(c))),
        2 => Just(Event::Commit),
        2 => (0usize..4).prop_map(Event::Crash),
        1 => Just(Event::Evict),
    ]
}

/// Logs after which every message is in some pack: each ends, or has a tick past all of it, which
/// is read when nothing else is left.
fn silent_contents() -> impl Strategy<Value = Contents> {
    let last = prop_oneof![
        2 => Just(Entry::Tick(CLOSING, None)),
        1 => (0u64..60).prop_map(Entry::End),
        1 => Just(Entry::End(1_000_000)),
    ];
    let log = (entries(false), last).prop_map(|(mut log, last)| {
        log.push(last);
        (TickSource::Written, log)
    });
    let late = prop_oneof![3 => Just(LatePolicy::Deliver), 1 => Just(LatePolicy::Drop)];
    let interval = prop_oneof![3 => Just(1u64), 1 => 2u64..10];
    (interval, late, prop::collection::vec(log, 1..5)).prop_map(|(interval, late, channels)| {
        Contents { interval, late, limits: ProducerLimits::default(), channels }
    })
}

/// A consumer, and the brokers' side of it.
struct Run {
    config: MergeConfig,
    logs: Vec<Vec<Record>>,
    /// Where each log ends but for its closing tick.
    upto: Vec<usize>,
    merge: Merge,
    inputs: Vec<(Slot, usize)>,
    packs: Vec<MsgPack>,
    /// So many packs are committed, and what is before this place of each channel is gone.
    committed: usize,
    first: Vec<usize>,
}

impl Run {
    fn new(contents: &Contents, budget: usize) -> Self {
        let config = MergeConfig::default()
            .with_align_to(contents.interval)
            .with_late_policy(contents.late)
            .with_budget_bytes(budget);
        let logs: Vec<_> = (0..contents.channels.len()).map(|c| contents.records(c)).collect();
        let closes = |log: &Vec<Record>| log.last().unwrap().meta.timestamp.0 == CLOSING;
        let upto = logs.iter().map(|log| log.len() - usize::from(closes(log))).collect();
        let first = vec![0; logs.len()];
        let merge = Merge::new(config).unwrap();
        let (inputs, packs) = (Vec::new(), Vec::new());
        let mut run = Self { config, logs, upto, merge, inputs, packs, committed: 0, first };
        run.resume(Checkpoint::default());
        run
    }

    fn resume(&mut self, checkpoint: Checkpoint) {
        // As it is stored.
        let stored = serde_json::to_vec(&checkpoint).unwrap();
        let checkpoint: Checkpoint = serde_json::from_slice(&stored).unwrap();
        let marks = checkpoint.channels.clone();
        self.merge = Merge::resume(self.config, checkpoint).unwrap();
        self.inputs.clear();
        for (channel, first) in self.first.iter().enumerate() {
            let name = Contents::name(channel);
            let next = marks.get(name.as_str()).map_or(0, |mark| mark.resume.offset() as usize);
            assert!(next >= *first, "`{name}` goes on at {next}, and {first} is the first left");
            let slot = self.merge.add(name.as_str().into(), TickSource::Written).unwrap();
            self.inputs.push((slot, next));
        }
    }

    /// Goes on after one of the packs that may still be committed, and gives its number.
    fn crash(&mut self, back: usize) -> usize {
        let packs = self.packs.len().saturating_sub(back).max(self.committed);
        self.packs.truncate(packs);
        self.resume(self.packs.last().map(|pack| pack.end.clone()).unwrap_or_default());
        packs
    }

    fn commit(&mut self) {
        self.committed = self.packs.len();
        let Some(last) = self.packs.last() else { return };
        for (channel, first) in self.first.iter_mut().enumerate() {
            if let Some(mark) = last.end.channels.get(Contents::name(channel).as_str()) {
                *first = (*first).max(mark.resume.offset() as usize);
            }
        }
    }

    fn push(&mut self, channel: usize, mut batch: Vec<Record>) {
        let (slot, next) = &mut self.inputs[channel];
        *next += batch.len();
        self.merge.push(*slot, &mut batch, Position::new(*next as u64)).unwrap();
    }

    /// Reads at most so many records of a channel; says how many there were.
    fn read(&mut self, channel: usize, many: usize) -> usize {
        let (next, upto) = (self.inputs[channel].1, self.upto[channel]);
        let batch = self.logs[channel][..upto].iter().skip(next).take(many).cloned().collect();
        self.push(channel, batch);
        self.inputs[channel].1 - next
    }

    /// Reads a channel as a driver does: within the budget.
    fn read_within_budget(&mut self, channel: usize, many: usize) {
        let (slot, next) = self.inputs[channel];
        let mut bytes = self.merge.reserve(slot);
        while bytes == 0 {
            if !self.merge.blocks(slot) {
                return;
            }
            self.relieve(slot);
            bytes = self.merge.reserve(slot);
        }
        let mut batch: Vec<Record> = Vec::new();
        for record in self.logs[channel][..self.upto[channel]].iter().skip(next).take(many) {
            let size: usize = batch.iter().map(Record::footprint).sum();
            if !batch.is_empty() && size + record.footprint() > bytes {
                break;
            }
            batch.push(record.clone());
        }
        self.merge.release(slot);
        self.push(channel, batch);
        let slack = self.inputs.len() * (Record::OVERHEAD + PAYLOAD);
        let (held, budget) = (self.merge.buffered_bytes(), self.config.budget_bytes);
        assert!(held <= budget + slack, "{held} bytes of {budget}");
    }

    /// Makes room, or raises the budget where that can't be.
    fn relieve(&mut self, slot: Slot) {
        match self.merge.relieve(slot) {
            Ok(Some(eviction)) => {
                let next = first_from(eviction);
                let channel = self.inputs.iter().position(|i| i.0 == eviction.slot).unwrap();
                let first = self.first[channel];
                assert!(next >= first, "back to {next}, and {first} is the first left");
                self.inputs[channel].1 = next;
            }
            Ok(None) => {}
            Err(Error::WindowTooLarge { .. }) => {
                self.config.budget_bytes *= 2;
                self.merge.set_budget_bytes(self.config.budget_bytes);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn evict(&mut self) {
        let slots: Vec<_> = self.inputs.iter().map(|input| input.0).collect();
        if let Some(blocking) = slots.into_iter().find(|slot| self.merge.blocks(*slot)) {
            let budget = self.config.budget_bytes;
            self.merge.set_budget_bytes(1);
            if self.merge.next_end().is_some() {
                self.relieve(blocking);
            }
            self.config.budget_bytes = budget;
            self.merge.set_budget_bytes(budget);
        }
    }

    fn is_read(&self) -> bool {
        self.inputs.iter().zip(&self.upto).all(|(input, upto)| input.1 == *upto)
    }

    /// From now on the closing ticks are there to be read.
    fn close(&mut self) {
        self.upto = self.logs.iter().map(Vec::len).collect();
    }

    /// Takes the next pack, and checks that no mark goes back.
    fn advance(&mut self) -> Option<&MsgPack> {
        let pack = self.merge.advance().unwrap()?;
        let last = self.packs.last().map(|pack| pack.end.clone()).unwrap_or_default();
        for (name, before) in &last.channels {
            let after = &pack.end.channels[name];
            assert!(after.resume >= before.resume, "`{name}`: {before:?}, then {after:?}");
            assert!(after.cut >= before.cut, "`{name}`: {before:?}, then {after:?}");
        }
        for message in out(&pack).2 {
            let (_, position, ts, late) = &message;
            let on_time = pack.begin_ts.is_none_or(|begin| *ts > begin.0) && *ts <= pack.end_ts.0;
            assert!(on_time || *late, "{position} of {ts}: {pack:#?}");
        }
        self.packs.push(pack);
        self.packs.last()
    }

    /// All messages of all packs, sorted.
    fn delivered(&self) -> Vec<(String, u64)> {
        let of = |pack: &MsgPack| out(pack).2.into_iter().map(|m| (m.0, m.1)).collect::<Vec<_>>();
        let mut all: Vec<_> = self.packs.iter().flat_map(of).collect();
        all.sort();
        all
    }
}

proptest! {
    /// Each pack, and each place where a channel goes on, is what the model says; also after any
    /// number of crashes.
    #[test]
    fn packs_are_those_of_the_model_whoever_is_silent_and_whatever_crashes(
        contents in silent_contents(),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut run = Run::new(&contents, 1 << 30);
        // After each pack, for whoever goes on there.
        let mut model = Model::new(&contents);
        let mut models = vec![model.clone()];
        let channels = contents.channels.len();
        let rest = (0..channels).map(|c| Event::Step(Step::Read(c, usize::MAX)));
        let close = std::iter::once(Event::Close);
        for event in events.into_iter().chain(rest).chain(close) {
            match event {
                Event::Step(Step::Read(channel, many)) => {
                    model.read(channel % channels, run.read(channel % channels, many));
                }
                Event::Close => {
                    run.close();
                    (0..channels).for_each(|channel| model.read(channel, run.read(channel, 1)));
                }
                Event::Step(Step::Silent(channel)) => {
                    let slot = run.inputs[channel % channels].0;
                    let silent = run.merge.set_idle(slot).unwrap();
                    prop_assert_eq!(silent, model.silent(channel % channels));
                }
                Event::Commit => run.commit(),
                Event::Crash(back) => {
                    models.truncate(run.crash(back) + 1);
                    model = models.last().unwrap().resumed();
                }
                Event::Evict => {}
            }
            while let Some(pack) = run.advance() {
                model.check(pack);
                models.push(model.clone());
            }
            prop_assert_eq!(model.advance(), None);
        }
        if contents.late == LatePolicy::Deliver {
            prop_assert_eq!(run.delivered(), all_messages(&contents));
        }
    }

    /// With little memory, and what was read ahead given up at any moment, silence depends on
    /// that, too; every message is still delivered once.
    #[test]
    fn nothing_is_lost_or_repeated_whoever_is_silent_whatever_crashes_and_is_given_up(
        mut contents in silent_contents(),
        budget in prop_oneof![Just(1usize << 30), 500usize..10_000],
        events in prop::collection::vec(event(), 1..120),
    ) {
        contents.late = LatePolicy::Deliver;
        let mut run = Run::new(&contents, budget);
        let channels = contents.channels.len();
        let mut events = events.into_iter();
        let mut turns = 0;
        while !run.is_read() {
            // When the script is over, every channel is read in turn.
            turns += 1;
            prop_assert!(turns < 20_000, "no progress:\n{}", run.merge.status());
            match events.next().unwrap_or(Event::Step(Step::Read(turns, 3))) {
                Event::Step(Step::Read(channel, many)) => {
                    run.read_within_budget(channel % channels, many);
                }
                Event::Step(Step::Silent(channel)) => {
                    let slot = run.inputs[channel % channels].0;
                    // A driver finds that out with a read, for which there has to be room.
                    if run.merge.wants(slot) > 0 {
                        run.merge.set_idle(slot).unwrap();
                    }
                }
                Event::Commit => run.commit(),
                Event::Crash(back) => {
                    run.crash(back);
                }
                Event::Evict => run.evict(),
                Event::Close => {}
            }
            while run.advance().is_some() {}
        }
        run.close();
        (0..channels).for_each(|channel| {
            run.read(channel, 1);
        });
        while run.advance().is_some() {}
        prop_assert_eq!(run.delivered(), all_messages(&contents));
    }
}
