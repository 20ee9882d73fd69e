//! A program that reads, and goes on where its last life was.

use msgstream_core::transport::{Limit, TransportErrorKind as Kind};

use super::process::{Channel, Program};
use crate::format::published::Published;
use crate::log::Place;

pub(super) fn run(mut program: Program, name: usize) {
    while !program.is_over() {
        let number = program.any_channel();
        let Some(channel) = program.open(number) else { continue };
        read(&mut program, &channel, name);
        program.wait(30);
    }
}

/// Returns the published end, if need be under the lock.
pub(super) fn published(program: &mut Program, channel: &Channel) -> Option<Published> {
    let found = match channel.log.published() {
        Ok(None) => {
            let held = program.lock(channel)?;
            program.world.rare("recovered");
            let boot = program.disk.boot().0;
            if program.ledger(channel, |ledger| Ok(ledger.boot))? == boot {
                program.world.rare("recovered in the same boot");
            }
            let found = channel.log.recover(&held);
            if let Ok(published) = &found
                && program.world.is_longer(channel.number, published)
            {
                program.world.rare("recovered beside a torn tail");
            }
            found
        }
        Ok(Some(published)) => Ok(published),
        Err(failure) => Err(failure),
    };
    match found {
        Ok(published) => {
            program.ledger(channel, |ledger| {
                ledger.boot = published.boot;
                ledger.first(published.first)?;
                ledger.end(published.end)
            })?;
            Some(published)
        }
        Err(failure) => {
            program.failed("look for the end", channel, &failure);
            None
        }
    }
}

fn read(program: &mut Program, channel: &Channel, name: usize) {
    let Some(mut now) = published(program, channel) else { return };
    let Some(next) = begin(program, channel, name, &now) else { return };
    let mut place = Place::new(next);
    for _ in 0..program.rng.between(1, 40) {
        let Some(after) = published(program, channel) else { return };
        if after.end < now.end || after.first < now.first {
            program.world.violation(format!("the published end went back: {now:?}, {after:?}"));
        }
        now = after;
        let Some(went_on) = step(program, channel, &now, &mut place) else { return };
        program.world.keep_place(name, channel, place.next);
        if program.is_over() {
            return;
        }
        if !went_on {
            program.wait(20);
        }
    }
}

fn begin(program: &mut Program, channel: &Channel, name: usize, now: &Published) -> Option<u64> {
    let kept = program.world.kept_place(name, channel);
    if let Some(next) = kept.filter(|_| program.rng.chance(0.7)) {
        return Some(next);
    }
    if program.rng.chance(0.7) {
        return Some(program.rng.pick([0, now.first]));
    }
    let time = now.time.saturating_sub(program.rng.below(2000));
    match channel.log.offset_at(time, now) {
        Ok(offset) => Some(offset),
        Err(failure) => {
            program.failed("find a time", channel, &failure);
            None
        }
    }
}

/// Reads once. Returns whether there was anything; `None` if the channel must be opened anew.
pub(super) fn step(
    program: &mut Program,
    channel: &Channel,
    now: &Published,
    place: &mut Place,
) -> Option<bool> {
    let bytes = program.rng.pick([1, 200, 1000, 1 << 20]);
    let limit = Limit::default().with_records(program.rng.between(1, 12) as usize);
    let limit = limit.with_bytes(bytes);
    match channel.log.read(now, place, limit) {
        Ok((records, behind)) => {
            if records.is_empty() && behind.next < now.end {
                program
                    .world
                    .violation(format!("a read stopped at {} before {now:?}", behind.next));
            }
            program.ledger(channel, |ledger| ledger.read(place.next, &records, behind.next))?;
            let went_on = behind.next > place.next;
            if behind.next - place.next > records.len() as u64 {
                program.world.rare("offsets were left out");
            }
            *place = behind;
            Some(went_on)
        }
        Err(failure) => match failure.kind {
            Kind::PositionTrimmed { position, first } => {
                program.world.rare("a reader was passed by trimming");
                program
                    .ledger(channel, |ledger| ledger.trimmed(position.offset(), first.offset()))?;
                if position.offset() < place.next {
                    program.world.violation(format!("at {}: {failure:?}", place.next));
                }
                *place = Place::new(first.offset());
                Some(true)
            }
            _ => {
                let anew = program.failed("read", channel, &failure);
                (!anew).then_some(false)
            }
        },
    }
}
