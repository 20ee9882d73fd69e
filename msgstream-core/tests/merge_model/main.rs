//! The merge against a reference model that sorts everything at the end: the packs are a function
//! of the channels' contents, whatever the interleaving, the batches, the memory budget, what is
//! given up and read again, and the resumes in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contents;
mod idle;
#[cfg(feature = "planted-bugs")]
mod planted;
mod reference;
mod silence;

use msgstream_core::checkpoint::Checkpoint;
use msgstream_core::merge::{Eviction, Merge, MergeConfig, Slot};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::Start;
use msgstream_core::{Error, MsgPack};
use proptest::prelude::*;

use crate::contents::{Contents, PAYLOAD, contents};
use crate::reference::{out, reference};

struct Input {
    slot: Slot,
    records: Vec<Record>,
    next: usize,
}

/// What happens, and when.
#[derive(Clone, Debug)]
struct Choices {
    /// Which channel is read, and how many records of it; over and over.
    reads: Vec<(usize, usize)>,
    /// How many channels are given up before each read; none after that.
    evictions: Vec<usize>,
}

impl Choices {
    /// The same, and nothing is given up but for want of memory.
    fn calm(&self) -> Self {
        Self { reads: self.reads.clone(), evictions: Vec::new() }
    }
}

/// Reads channels as `choices` say, within the budget, as a driver does. Checks the memory at
/// every step; raises the budget where one window alone exceeds it.
fn run(
    contents: &Contents,
    budget: usize,
    checkpoint: Checkpoint,
    choices: &Choices,
) -> Vec<MsgPack> {
    let config = MergeConfig::default()
        .with_align_to(contents.interval)
        .with_late_policy(contents.late)
        .with_producer_limits(contents.limits)
        .with_budget_bytes(budget);
    let marks = checkpoint.channels.clone();
    let mut merge = Merge::resume(config, checkpoint).unwrap();
    let mut inputs: Vec<Input> = (0..contents.channels.len())
        .map(|channel| {
            let name = Contents::name(channel);
            let next = marks.get(name.as_str()).map_or(0, |mark| mark.resume.offset() as usize);
            let slot = merge.add(name.as_str().into(), contents.channels[channel].0).unwrap();
            Input { slot, records: contents.records(channel), next }
        })
        .collect();
    let mut packs = Vec::new();
    let mut budget = budget;
    let mut reads = choices.reads.iter().copied().cycle();
    let mut evictions = choices.evictions.iter();
    let mut stuck = 0;
    loop {
        while let Some(pack) = merge.advance().unwrap() {
            packs.push(pack);
            stuck = 0;
        }
        if inputs.iter().all(|i| i.next == i.records.len()) {
            return packs;
        }
        give_up(&mut merge, &mut inputs, evictions.next(), budget);
        let (which, many) = reads.next().unwrap();
        let which = which % inputs.len();
        let slot = inputs[which].slot;
        let mut bytes = merge.reserve(slot);
        if bytes == 0 {
            stuck += 1;
            assert!(stuck < 10_000, "no progress:\n{}", merge.status());
            match merge.relieve(slot) {
                Ok(Some(eviction)) => go_back(&mut inputs, eviction),
                Ok(None) => {}
                Err(Error::WindowTooLarge { budget: told, .. }) => {
                    assert_eq!(told, budget);
                    budget *= 2;
                    merge.set_budget_bytes(budget);
                }
                Err(error) => panic!("{error}"),
            }
            bytes = merge.reserve(slot);
            if bytes == 0 {
                continue;
            }
        }
        let input = &mut inputs[which];
        let mut batch = Vec::new();
        let mut size = 0;
        for record in input.records[input.next..].iter().take(many) {
            size += record.footprint();
            if size > bytes && !batch.is_empty() {
                break;
            }
            batch.push(record.clone());
        }
        input.next += batch.len();
        if !batch.is_empty() {
            stuck = 0;
        }
        merge.release(slot);
        let next = Position::new(input.next as u64);
        merge.push(slot, &mut batch, next).unwrap();
        let slack = inputs.len() * (Record::OVERHEAD + PAYLOAD);
        let held = merge.status().bytes;
        assert!(held <= budget + slack, "{held} bytes of {budget}");
    }
}

/// Makes the merge give up so many channels that are ahead, or all that are.
fn give_up(merge: &mut Merge, inputs: &mut [Input], many: Option<&usize>, budget: usize) {
    let slots: Vec<_> = inputs.iter().map(|input| input.slot).collect();
    let Some(blocking) = slots.into_iter().find(|slot| merge.blocks(*slot)) else { return };
    for _ in 0..many.copied().unwrap_or(0) {
        merge.set_budget_bytes(1);
        if let Ok(Some(eviction)) = merge.relieve(blocking) {
            go_back(inputs, eviction);
        }
        merge.set_budget_bytes(budget);
    }
}

fn go_back(inputs: &mut [Input], eviction: Eviction) {
    let evicted = inputs.iter_mut().find(|input| input.slot == eviction.slot).unwrap();
    evicted.next = first_from(eviction);
}

/// Where reading continues after an eviction.
fn first_from(eviction: Eviction) -> usize {
    match eviction.from {
        Start::At(position) => position.offset() as usize,
        Start::After(position) => position.offset() as usize + 1,
        other => panic!("back to {other:?}"),
    }
}

fn choices() -> impl Strategy<Value = Choices> {
    let reads = prop::collection::vec((any::<usize>(), 1usize..40), 1..30);
    let evictions = prop::collection::vec(prop_oneof![3 => Just(0), 1 => 1usize..4], 0..60);
    (reads, evictions).prop_map(|(mut reads, evictions)| {
        // Every channel is chosen now and then, or a run would never end.
        reads.extend((0..5).map(|channel| (channel, 3)));
        Choices { reads, evictions }
    })
}

/// The packs are those of the reference.
fn as_the_reference(contents: &Contents, budget: usize, choices: &Choices) -> Checked {
    let packs = run(contents, budget, Checkpoint::default(), choices);
    let packs: Vec<_> = packs.iter().map(out).collect();
    prop_assert_eq!(packs, reference(contents));
    Ok(())
}

/// Whatever is given up, the checkpoints are the same, and so is what follows each of them.
fn resumes(contents: &Contents, budget: usize, first: &Choices, second: &Choices) -> Checked {
    let packs = run(contents, 1 << 30, Checkpoint::default(), &first.calm());
    let given_up = run(contents, budget, Checkpoint::default(), first);
    for (a, b) in given_up.iter().zip(&packs) {
        prop_assert_eq!((&a.start, &a.end), (&b.start, &b.end));
    }
    for (index, pack) in packs.iter().enumerate() {
        let again = run(contents, budget, pack.end.clone(), second);
        let after: Vec<_> = packs[index + 1..].iter().map(out).collect();
        prop_assert_eq!(again.iter().map(out).collect::<Vec<_>>(), after);
        // The same checkpoints too: a resumed stream can be resumed again.
        for (a, b) in again.iter().zip(&packs[index + 1..]) {
            prop_assert_eq!(&a.end, &b.end);
        }
        let from_start = run(contents, budget, pack.start.clone(), second);
        prop_assert_eq!(
            from_start.iter().map(out).collect::<Vec<_>>(),
            packs[index..].iter().map(out).collect::<Vec<_>>()
        );
    }
    Ok(())
}

type Checked = Result<(), TestCaseError>;

fn budget() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1usize << 30), 2_000usize..20_000]
}

proptest! {
    #[test]
    fn packs_are_a_function_of_the_contents(
        contents in contents(),
        budget in budget(),
        choices in choices(),
    ) {
        as_the_reference(&contents, budget, &choices)?;
    }

    #[test]
    fn resuming_from_any_pack_gives_the_packs_after_it(
        contents in contents(),
        budget in budget(),
        first in choices(),
        second in choices(),
    ) {
        resumes(&contents, budget, &first, &second)?;
    }
}
