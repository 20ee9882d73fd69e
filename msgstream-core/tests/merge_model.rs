//! The merge against a reference model that sorts everything at the end: the packs are a function
//! of the channels' contents, whatever the interleaving, the batches, the memory budget and the
//! resumes in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use msgstream_core::checkpoint::Checkpoint;
use msgstream_core::timetick::merge::{Merge, MergeConfig, Slot};
use msgstream_core::timetick::{END_HEADER, LatePolicy, TickSource};
use msgstream_core::transport::{Header, Meta, Position, Record};
use msgstream_core::{Error, MsgPack, MsgType, Timestamp};
use proptest::prelude::*;

const PAYLOAD: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Message(u64),
    Tick(u64),
    End(u64),
}

#[derive(Clone, Debug)]
struct Contents {
    grid: u64,
    late: LatePolicy,
    channels: Vec<(TickSource, Vec<Entry>)>,
}

impl Contents {
    fn name(channel: usize) -> String {
        // Not in the order of the slots.
        format!("channel-{}", 9 - channel)
    }

    fn records(&self, channel: usize) -> Vec<Record> {
        let record = |(position, entry): (u64, &Entry)| {
            let (msg_type, ts) = match *entry {
                Entry::Message(ts) => (MsgType::INSERT, ts),
                Entry::Tick(ts) | Entry::End(ts) => (MsgType::TIME_TICK, ts),
            };
            let payload = if msg_type == MsgType::INSERT { vec![7; PAYLOAD] } else { Vec::new() };
            let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), payload);
            if matches!(entry, Entry::End(_)) {
                record.extra.push(Header::new(END_HEADER, "1"));
            }
            record.position = Position::new(position);
            record
        };
        (0..).zip(&self.channels[channel].1).map(record).collect()
    }
}

type Out = (String, u64, u64, bool);
type OutPack = (Option<u64>, u64, Vec<Out>);

/// The rules, applied to whole logs.
fn reference(contents: &Contents) -> Vec<OutPack> {
    let mut boundaries = BTreeSet::new();
    let mut messages = Vec::new();
    let mut floors = Vec::new();
    let cut = |t: u64| t - t % contents.grid;
    for (index, (source, log)) in contents.channels.iter().enumerate() {
        let (mut floor, mut greatest, mut held) = (None::<u64>, 0, Vec::new());
        let mut ended = false;
        let mut accept = |floor: &mut Option<u64>, t: u64| {
            if floor.is_none_or(|f| t > f) {
                *floor = Some(t);
                boundaries.insert(cut(t));
            }
        };
        for (position, entry) in (0..).zip(log) {
            match *entry {
                Entry::Message(ts) => {
                    let eff = floor.map_or(ts, |f| ts.max(f + 1));
                    held.push(eff);
                    messages.push((eff, Contents::name(index), position, ts));
                    greatest = greatest.max(ts);
                    if let TickSource::Synthetic { delay, grid } = *source
                        && let Some(behind) = greatest.checked_sub(delay)
                    {
                        accept(&mut floor, behind - behind % grid);
                    }
                }
                Entry::Tick(t) => accept(&mut floor, t),
                Entry::End(t) => {
                    let above = |f: &u64| floor.is_none_or(|floor| *f > floor);
                    let last = held.iter().copied().filter(above).max().unwrap_or(t).max(t);
                    accept(&mut floor, last);
                    boundaries.insert(floor.unwrap().next_multiple_of(contents.grid));
                    ended = true;
                    break;
                }
            }
        }
        floors.push(if ended { Some(u64::MAX) } else { floor });
    }
    let Some(reached) = floors.iter().min().copied().flatten() else { return Vec::new() };
    messages.sort();
    let mut packs = Vec::new();
    let mut begin = None;
    for end in boundaries.into_iter().filter(|b| *b <= reached) {
        let inside = messages.iter().filter(|m| begin.is_none_or(|b| m.0 > b) && m.0 <= end);
        let out = inside
            .map(|(eff, name, position, ts)| (name.clone(), *position, *ts, eff > ts))
            .filter(|out| !(out.3 && contents.late == LatePolicy::Drop))
            .collect();
        packs.push((begin, end, out));
        begin = Some(end);
    }
    packs
}

fn out(pack: &MsgPack) -> OutPack {
    let message = |m: &msgstream_core::Message| {
        let m = m.stored().unwrap();
        (m.channel.to_string(), m.record.position.offset(), m.record.meta.timestamp.0, m.late)
    };
    (pack.begin_ts.map(|t| t.0), pack.end_ts.0, pack.msgs.iter().map(message).collect())
}

struct Input {
    slot: Slot,
    records: Vec<Record>,
    next: usize,
}

/// Reads channels as `choices` say, within the budget, as a driver does. Checks the memory at
/// every step; raises the budget where one window alone exceeds it.
fn run(
    contents: &Contents,
    budget: usize,
    checkpoint: Checkpoint,
    choices: &[(usize, usize)],
) -> Vec<MsgPack> {
    let config = MergeConfig::default()
        .with_grid(contents.grid)
        .with_late(contents.late)
        .with_budget(budget);
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
    let mut choices = choices.iter().copied().cycle();
    let mut stuck = 0;
    loop {
        while let Some(pack) = merge.advance().unwrap() {
            packs.push(pack);
            stuck = 0;
        }
        if inputs.iter().all(|i| i.next == i.records.len()) {
            return packs;
        }
        let (which, many) = choices.next().unwrap();
        let which = which % inputs.len();
        let slot = inputs[which].slot;
        let mut bytes = merge.reserve(slot);
        if bytes == 0 {
            stuck += 1;
            assert!(stuck < 10_000, "no progress:\n{}", merge.status());
            match merge.relieve(slot) {
                Ok(Some(eviction)) => {
                    let evicted = inputs.iter_mut().find(|i| i.slot == eviction.slot).unwrap();
                    evicted.next = eviction.after.offset() as usize + 1;
                }
                Ok(None) => {}
                Err(Error::WindowTooLarge { budget: told, .. }) => {
                    assert_eq!(told, budget);
                    budget *= 2;
                    merge.set_budget(budget);
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

fn entries(ends: bool) -> impl Strategy<Value = Vec<Entry>> {
    let step = prop_oneof![
        3 => (-3i64..14).prop_map(|d| (false, d)),
        1 => (-2i64..9).prop_map(|d| (true, d)),
    ];
    (prop::collection::vec(step, 0..60), any::<bool>()).prop_map(move |(steps, end)| {
        let mut clock = 5i64;
        let mut log: Vec<_> = steps
            .into_iter()
            .map(|(tick, d)| {
                if tick {
                    clock = (clock + d).max(0);
                    Entry::Tick(clock as u64)
                } else {
                    Entry::Message((clock + d).max(0) as u64)
                }
            })
            .collect();
        log.push(match (ends, end) {
            (true, true) => Entry::End(clock as u64 + 3),
            (true, false) => Entry::Tick(1000),
            // Past what any tick and any late message can have reached.
            (false, _) => Entry::Tick(1_000_000),
        });
        log
    })
}

fn contents() -> impl Strategy<Value = Contents> {
    let source = prop_oneof![
        3 => Just(TickSource::Written),
        1 => (0u64..20, 1u64..8).prop_map(|(delay, grid)| TickSource::Synthetic { delay, grid }),
    ];
    let late = prop_oneof![Just(LatePolicy::Deliver), Just(LatePolicy::Drop)];
    let grid = prop_oneof![3 => Just(1u64), 1 => 2u64..10];
    (grid, late, prop::collection::vec((source, entries(true)), 1..5))
        .prop_map(|(grid, late, channels)| Contents { grid, late, channels })
}

fn choices() -> impl Strategy<Value = Vec<(usize, usize)>> {
    // Every channel is chosen now and then, or a run would never end.
    prop::collection::vec((any::<usize>(), 1usize..40), 1..30).prop_map(|mut choices| {
        choices.extend((0..5).map(|channel| (channel, 3)));
        choices
    })
}

proptest! {
    #[test]
    fn packs_are_a_function_of_the_contents(
        contents in contents(),
        budget in prop_oneof![Just(1usize << 30), 2_000usize..20_000],
        choices in choices(),
    ) {
        let packs = run(&contents, budget, Checkpoint::default(), &choices);
        let packs: Vec<_> = packs.iter().map(out).collect();
        prop_assert_eq!(packs, reference(&contents));
    }

    #[test]
    fn resuming_from_any_pack_gives_the_packs_after_it(
        contents in contents(),
        budget in prop_oneof![Just(1usize << 30), 2_000usize..20_000],
        first in choices(),
        second in choices(),
    ) {
        let packs = run(&contents, 1 << 30, Checkpoint::default(), &first);
        for (index, pack) in packs.iter().enumerate() {
            let again = run(&contents, budget, pack.end.clone(), &second);
            let after: Vec<_> = packs[index + 1..].iter().map(out).collect();
            prop_assert_eq!(again.iter().map(out).collect::<Vec<_>>(), after);
            // The same checkpoints too: a resumed stream can be resumed again.
            for (a, b) in again.iter().zip(&packs[index + 1..]) {
                prop_assert_eq!(&a.end, &b.end);
            }
            let from_start = run(&contents, budget, pack.start.clone(), &second);
            prop_assert_eq!(from_start.iter().map(out).collect::<Vec<_>>(),
                packs[index..].iter().map(out).collect::<Vec<_>>());
        }
    }

    /// Channels that fall silent at any moment: where packs end may differ, but every message is
    /// delivered once, and a resume goes on where the pack ended.
    #[test]
    fn idle_channels_lose_and_repeat_nothing(
        channels in prop::collection::vec((Just(TickSource::Written), entries(false)), 2..5),
        choices in choices(),
        idles in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        stop in any::<prop::sample::Index>(),
    ) {
        let contents = Contents { grid: 1, late: LatePolicy::Deliver, channels };
        let packs = run_idle(&contents, Checkpoint::default(), &choices, &idles);
        let mut seen: Vec<_> = packs.iter().flat_map(|p| out(p).2).map(|m| (m.0, m.1)).collect();
        seen.sort();
        prop_assert_eq!(&seen, &all_messages(&contents));
        let at = stop.index(packs.len());
        let again = run_idle(&contents, packs[at].end.clone(), &choices, &idles);
        let mut resumed: Vec<_> = packs[..=at].iter().chain(&again)
            .flat_map(|p| out(p).2).map(|m| (m.0, m.1)).collect();
        resumed.sort();
        prop_assert_eq!(resumed, seen);
    }
}

fn all_messages(contents: &Contents) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for (index, (_, log)) in contents.channels.iter().enumerate() {
        let messages = (0..).zip(log).filter(|(_, e)| matches!(e, Entry::Message(_)));
        all.extend(messages.map(|(position, _)| (Contents::name(index), position)));
    }
    all.sort();
    all
}

/// Like [`run`], but sets channels idle in between; without a budget to think of.
fn run_idle(
    contents: &Contents,
    checkpoint: Checkpoint,
    choices: &[(usize, usize)],
    idles: &[prop::sample::Index],
) -> Vec<MsgPack> {
    let config = MergeConfig::default().with_late(LatePolicy::Deliver).with_budget(1 << 30);
    let marks = checkpoint.channels.clone();
    let mut merge = Merge::resume(config, checkpoint).unwrap();
    let mut inputs: Vec<Input> = (0..contents.channels.len())
        .map(|channel| {
            let name = Contents::name(channel);
            let next = marks.get(name.as_str()).map_or(0, |mark| mark.resume.offset() as usize);
            let slot = merge.add(name.as_str().into(), TickSource::Written).unwrap();
            Input { slot, records: contents.records(channel), next }
        })
        .collect();
    let mut packs = Vec::new();
    let mut choices = choices.iter().copied().cycle();
    let mut idles = idles.iter().cycle();
    // The last tick of each is kept back, so that every channel is there at the end.
    while inputs.iter().any(|i| i.next + 1 < i.records.len()) {
        let (which, many) = choices.next().unwrap();
        let which = which % inputs.len();
        let input = &mut inputs[which];
        let left = (input.records.len() - 1).saturating_sub(input.next);
        push(&mut merge, input, many.min(left));
        let idle = idles.next().unwrap().index(inputs.len());
        merge.set_idle(inputs[idle].slot).unwrap();
        while let Some(pack) = merge.advance().unwrap() {
            packs.push(pack);
        }
    }
    for input in &mut inputs {
        push(&mut merge, input, 1);
    }
    while let Some(pack) = merge.advance().unwrap() {
        packs.push(pack);
    }
    packs
}

fn push(merge: &mut Merge, input: &mut Input, many: usize) {
    let mut batch: Vec<_> = input.records.iter().skip(input.next).take(many).cloned().collect();
    input.next += batch.len();
    merge.push(input.slot, &mut batch, Position::new(input.next as u64)).unwrap();
}
