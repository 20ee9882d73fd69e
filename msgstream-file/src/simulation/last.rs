//! The program that runs when all is over: everything that was promised must be there.

use msgstream_core::transport::Limit;

use super::process::{Channel, Program};
use super::{keeper, reader, writer};
use crate::log::{Place, Rules, SyncMode, Writing};

pub(super) fn run(mut program: Program) {
    for number in 0..program.world.plan.channels {
        let channel = program.open(number).or_else(|| program.open(number));
        let Some(channel) = channel else {
            return program.world.violation(format!("channel {number} can't be opened or made"));
        };
        if writer::keeps(&mut program, &channel) {
            read_all(&mut program, &channel);
            keeper::cursors(&mut program, &channel);
            write_on(&mut program, &channel);
        }
    }
}

fn read_all(program: &mut Program, channel: &Channel) {
    let Some(now) = reader::published(program, channel) else {
        return program.world.violation("the end can't be found".to_owned());
    };
    let mut place = Place::new(now.first);
    while place.next < now.end {
        if reader::step(program, channel, &now, &mut place) != Some(true) {
            return program.world.violation(format!("can't read on at {}", place.next));
        }
    }
    program.ledger(channel, |ledger| ledger.whole(now.first));
    let kept: Vec<_> = (0..3).filter_map(|name| program.world.kept_place(name, channel)).collect();
    for next in kept.into_iter().filter(|next| *next >= now.first) {
        let limit = Limit::default().with_records(5);
        match channel.log.read(&now, &Place::new(next), limit) {
            Ok((records, behind)) => {
                program.ledger(channel, |ledger| ledger.read(next, &records, behind.next));
            }
            Err(failure) => program.world.told("go on", Some(channel), &failure),
        }
    }
}

/// The log takes records, whatever happened to it.
fn write_on(program: &mut Program, channel: &Channel) {
    let rules = Rules {
        sync: SyncMode::Commit,
        segment_bytes: program.world.plan.segment_bytes[0],
        max_bytes: None,
        max_age: None,
    };
    let mut writing = Writing::default();
    let Some(held) = program.lock(channel) else { return };
    for _ in 0..3 {
        if writer::append(program, channel, &held, &mut writing, &rules).is_err() {
            return program.world.violation("nothing can be appended".to_owned());
        }
    }
    drop(held);
    read_all(program, channel);
}
