//! A program that does everything else: trims, moves cursors, deletes, syncs, repairs.

use msgstream_core::transport::TransportErrorKind as Kind;

use super::process::{Channel, Program, ROOT};
use super::writer::keeps;
use crate::log::{Held, remove_remains};

pub(super) fn run(mut program: Program) {
    // As each process does when it begins.
    let _ = remove_remains(&*program.disk, ROOT.as_ref());
    while !program.is_over() {
        program.wait(60);
        if program.rng.chance(0.05) {
            let _ = remove_remains(&*program.disk, ROOT.as_ref());
        }
        let number = program.any_channel();
        let Some(channel) = program.open(number) else { continue };
        if !keeps(&mut program, &channel) {
            continue;
        }
        let Some(held) = program.lock(&channel) else { continue };
        act(&mut program, &channel, &held);
    }
}

fn act(program: &mut Program, channel: &Channel, held: &Held) {
    let world = std::rc::Rc::clone(&program.world);
    let plan = &world.plan;
    let known = program.ledger(channel, |ledger| Ok(ledger.greatest_end())).unwrap_or_default();
    match program.rng.below(10) {
        0..3 if plan.trims => trim(program, channel, held, known),
        3..6 => ack(program, channel, held, known),
        6 if plan.deletes => program.delete(channel, held),
        7 if plan.repairs => match channel.log.repair(held) {
            Ok(lost) => {
                world.rare("repaired");
                program.ledger(channel, |ledger| ledger.repaired(&lost));
            }
            Err(failure) => world.told("repair", Some(channel), &failure),
        },
        _ => match channel.log.sync_published(held) {
            Ok(()) => {
                program.ledger(channel, |ledger| {
                    ledger.synced();
                    Ok(())
                });
            }
            Err(failure) => world.told("sync", Some(channel), &failure),
        },
    }
}

fn trim(program: &mut Program, channel: &Channel, held: &Held, known: u64) {
    let before = program.rng.below(known + 3);
    program.ledger(channel, |ledger| {
        ledger.trimmed = ledger.trimmed.map(|most| most.max(before));
        Ok(())
    });
    match channel.log.trim(held, before) {
        Ok(()) => program.world.rare("trimmed"),
        Err(failure) if matches!(failure.kind, Kind::PositionBeyondEnd { .. }) => {
            if before <= known {
                program.world.violation(format!("a trim at {before} of {known}: {failure:?}"));
            }
        }
        Err(failure) => program.world.told("trim", Some(channel), &failure),
    }
}

fn ack(program: &mut Program, channel: &Channel, held: &Held, known: u64) {
    let name = program.rng.pick(["one", "other"]);
    if let Err(failure) = channel.log.make_cursor(held, name) {
        return program.world.told("make a cursor", Some(channel), &failure);
    }
    let before = program.rng.below(known + 1);
    match channel.log.ack(held, name, before) {
        Ok(()) => {
            program.ledger(channel, |ledger| {
                let acked = ledger.cursors.entry(name.to_owned()).or_default();
                *acked = before.max(*acked);
                Ok(())
            });
        }
        Err(failure) => return program.world.told("ack", Some(channel), &failure),
    }
    cursors(program, channel);
}

/// No cursor is before where it was once moved to.
pub(super) fn cursors(program: &mut Program, channel: &Channel) {
    let cursors = program.ledger(channel, |ledger| Ok(ledger.cursors.clone())).unwrap_or_default();
    for (name, least) in cursors {
        match channel.log.acked(&name) {
            Ok(acked) if acked < Some(least) => {
                program
                    .world
                    .violation(format!("cursor {name} was at {least}, and is at {acked:?}"));
            }
            Ok(_) => {}
            Err(failure) => program.world.told("read a cursor", Some(channel), &failure),
        }
    }
}
