//! A program that appends.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::{Fate, TransportErrorKind as Kind};

use super::process::{Channel, Program};
use super::records::{Id, record};
use crate::log::{Batch, Held, Rules, SyncMode, Writing};

pub(super) fn run(mut program: Program) {
    let plan = &program.world.plan.clone();
    let sync = plan.mode(&mut program.rng);
    let rules = Rules {
        sync,
        segment_bytes: program.rng.pick(plan.segment_bytes),
        max_bytes: plan.max_bytes,
        max_age: plan.max_age.map(Duration::from_millis),
    };
    while !program.is_over() {
        let number = program.any_channel();
        let Some(channel) = program.open(number) else { continue };
        if !keeps(&mut program, &channel) {
            continue;
        }
        write(&mut program, &channel, &rules);
    }
}

/// Makes the name of a channel durable, as every writer does first.
pub(super) fn keeps(program: &mut Program, channel: &Channel) -> bool {
    match channel.log.keep() {
        Ok(()) => {
            program.world.is_made(channel.incarnation());
            true
        }
        Err(failure) => {
            program.world.told("keep", Some(channel), &failure);
            false
        }
    }
}

/// Appends to a channel until that fails.
fn write(program: &mut Program, channel: &Channel, rules: &Rules) {
    let mut writing = Writing::default();
    for _ in 0..program.rng.between(1, 30) {
        let Some(held) = program.lock(channel) else { return };
        for _ in 0..program.rng.between(1, 3) {
            if append(program, channel, &held, &mut writing, rules).is_err() {
                return;
            }
        }
        drop(held);
        if program.is_over() {
            return;
        }
        program.wait(6);
    }
}

/// Appends some batches. Fails if the writer can't go on.
pub(super) fn append(
    program: &mut Program,
    channel: &Channel,
    held: &Held,
    writing: &mut Writing,
    rules: &Rules,
) -> Result<(), ()> {
    let world = Rc::clone(&program.world);
    let (mut batches, mut ids): (Vec<Batch>, Vec<Range<Id>>) = (Vec::new(), Vec::new());
    for _ in 0..program.rng.pick([1, 1, 1, 2, 3]) {
        let count = program.rng.pick([1, 1, 2, 3, 6]);
        let batch = world.next_ids(count);
        let largest = world.plan.largest as u64;
        let records: Vec<_> =
            batch.clone().map(|id| record(id, program.rng.below(largest) as usize)).collect();
        batches.push(Batch::of(&records, world.plan.frame));
        ids.push(batch.clone());
        program.ledger(channel, |ledger| {
            ledger.begin(batch);
            Ok(())
        });
    }
    let acknowledged = Rc::new(Cell::new(false));
    let (noted, sync) = (Rc::clone(&acknowledged), rules.sync == SyncMode::Commit);
    let incarnation = channel.incarnation();
    let appended = channel.log.append(held, writing, &mut batches, rules, |offsets| {
        noted.set(true);
        world.ledger(incarnation, |ledger| ledger.acknowledge(&ids, offsets, sync));
    });
    match appended {
        Ok(()) if acknowledged.get() => Ok(()),
        Ok(()) => {
            world.violation("an append succeeded and acknowledged nothing".to_owned());
            Err(())
        }
        Err((fate, failure)) => {
            if acknowledged.get() {
                world.violation(format!("an append was acknowledged and failed: {failure:?}"));
            }
            world.told("append", Some(channel), &failure);
            if fate == Fate::NotStored {
                program.ledger(channel, |ledger| ledger.not_stored(&ids));
            }
            world.rare(became(fate, &failure));
            Err(())
        }
    }
}

fn became(fate: Fate, failure: &Failure) -> &'static str {
    match (fate, &failure.kind) {
        (Fate::NotStored, Kind::Full { .. }) => "not stored: no room",
        (Fate::NotStored, _) => "not stored",
        (_, Kind::Full { .. }) => "unknown: no room",
        _ => "unknown",
    }
}
