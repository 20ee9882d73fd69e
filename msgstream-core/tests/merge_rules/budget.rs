//! How the memory is divided while it is short. A quarter is the reserve; the rest is for all
//! channels alike.

use msgstream_core::Error;
use msgstream_core::merge::TickSource;
use msgstream_core::merge::{ChannelState, Merge, Slot};
use msgstream_core::record::{Position, Record};

use crate::Entry::{Msg, Tick};
use crate::{TICK, hold, merge, packs, push};

/// For two channels a share is 24,000 bytes, and less than 3,000 isn't worth a read.
const BUDGET: usize = 64_000;

/// Pushes the end of a channel.
fn end(merge: &mut Merge, slot: Slot, position: u64, ts: u64) {
    merge.push(slot, &mut vec![crate::end(position, ts)], Position::new(position + 1)).unwrap();
}

#[test]
fn a_channel_that_is_ahead_reads_its_share_and_no_more() {
    let (mut merge, [a, b]) = merge(100_000);
    // A quarter is a reserve, and the rest is for two.
    assert_eq!([merge.wants(a), merge.wants(b)], [37_500; 2]);
    let log: Vec<_> = std::iter::once(Tick(5)).chain(std::iter::repeat_n(Msg(6), 120)).collect();
    push(&mut merge, b, 0, &log);
    let buffered = merge.buffered_bytes();
    assert!((120 * 100..50_000).contains(&buffered), "{buffered}");
    assert_eq!((merge.reserve(b), merge.counts().paused), (0, 1));
    // The one that packs wait for gets its share, once, and isn't paused in between.
    assert_eq!([merge.reserve(a), merge.reserve(a)], [37_500, 0]);
    assert_eq!((merge.counts().paused, merge.buffered_bytes()), (1, buffered));
    let state = |merge: &Merge, at: usize| {
        let channel = &merge.status().channels[at];
        (channel.state, channel.lag_ms)
    };
    assert_eq!(state(&merge, 0), (ChannelState::Blocking, None));
    assert_eq!(state(&merge, 1), (ChannelState::Paused, Some(0)));
    merge.release(a);
    push(&mut merge, a, 0, &[Tick(4)]);
    assert_eq!(merge.next_position(a), Some(Position::new(1)));
    assert!(!merge.is_ended(a));
    end(&mut merge, a, 1, 7);
    assert!(merge.is_ended(a) && !merge.is_ended(b));
    assert_eq!((merge.reserve(a), merge.counts().paused), (0, 1));
}

#[test]
fn the_least_that_is_read_is_an_eighth_of_a_share_within_bounds() {
    for (budget, least) in [(1 << 20, 4096), (BUDGET, 3000), (4000, Record::OVERHEAD)] {
        let (mut merge, [idle, other]) = merge(budget);
        push(&mut merge, idle, 0, &[Tick(5)]);
        assert!(merge.set_idle(idle).unwrap());
        // What it brings may be what packs wait for, so it is read whatever others hold.
        for position in 0..2 {
            assert_eq!(merge.wants(idle), least, "of {budget}");
            hold(&mut merge, other, position, 6, budget);
        }
    }
}

#[test]
fn a_channel_ahead_gets_what_is_left_of_its_share_where_it_is_worth_a_read() {
    for (held, wanted) in [(21_000, 3000), (21_001, 0), (24_000, 0)] {
        let (mut merge, [_, ahead]) = merge(BUDGET);
        push(&mut merge, ahead, 0, &[Tick(5)]);
        assert_eq!(merge.wants(ahead), 24_000 - TICK);
        hold(&mut merge, ahead, 1, 6, held - TICK);
        assert_eq!((merge.wants(ahead), merge.counts().paused), (wanted, 0));
        assert_eq!(merge.reserve(ahead), wanted);
        assert_eq!(merge.counts().paused, u64::from(wanted == 0));
    }
}

#[test]
fn no_more_is_read_than_is_free() {
    let (mut merge, [blocking, ahead]) = merge(BUDGET);
    push(&mut merge, ahead, 0, &[Tick(5)]);
    hold(&mut merge, blocking, 0, 5, 60_000);
    assert_eq!(merge.wants(ahead), 4000 - TICK);
    assert_eq!(merge.reserve(blocking), 0);
    assert_eq!(merge.counts().paused, 0, "packs wait for it");
}

#[test]
fn a_channel_that_packs_wait_for_gets_a_quarter_of_the_reserve_after_its_share() {
    for (held, wanted) in [(21_000, 3000), (21_001, 4000), (24_000, 4000), (28_000, 3000)] {
        let (mut merge, [blocking, ahead]) = merge(BUDGET);
        push(&mut merge, ahead, 0, &[Tick(5)]);
        hold(&mut merge, blocking, 0, 5, held);
        assert_eq!(merge.wants(blocking), wanted, "holding {held}");
        // The share of the other one is not touched, however much of it is spent.
        hold(&mut merge, ahead, 1, 6, 10_000);
        assert_eq!(merge.wants(blocking), wanted);
        assert_eq!(merge.reserve(ahead), 14_000 - TICK);
        assert_eq!(merge.wants(blocking), wanted);
        merge.release(ahead);
        assert_eq!(merge.wants(blocking), wanted);
    }
    let (mut merge, [blocking, _]) = merge(BUDGET);
    hold(&mut merge, blocking, 0, 5, 28_001);
    assert_eq!(merge.wants(blocking), 0, "a quarter of it isn't worth a read");
}

#[test]
fn a_channel_that_ended_keeps_no_share() {
    let (mut merge, [blocking, ended]) = merge(BUDGET);
    hold(&mut merge, blocking, 0, 5, 24_000);
    assert_eq!(merge.wants(blocking), 4000);
    end(&mut merge, ended, 0, 9);
    assert_eq!((merge.wants(blocking), merge.wants(ended)), ((40_000 - TICK) / 4, 0));
    // With the next channel that comes or goes what is left is for the others alone.
    let joiner = merge.add("joiner".into(), TickSource::Written).unwrap();
    assert_eq!([merge.wants(joiner), merge.wants(ended)], [24_000, 0]);
    merge.remove(joiner);
    assert_eq!(merge.wants(blocking), 24_000);
}

#[test]
fn where_the_reserve_is_spent_what_is_free_is_for_those_that_packs_wait_for() {
    let (mut merge, [blocking, ahead]) = merge(BUDGET);
    push(&mut merge, ahead, 0, &[Tick(5), Tick(6)]);
    hold(&mut merge, ahead, 2, 7, 10_000);
    hold(&mut merge, blocking, 0, 5, 32_000);
    assert_eq!([merge.wants(blocking), merge.wants(ahead)], [0, 14_000 - 2 * TICK]);
    assert_eq!(merge.relieve(blocking).unwrap(), None);
    let half = (BUDGET - 42_000 - 2 * TICK) / 2;
    assert_eq!([merge.wants(blocking), merge.wants(ahead)], [half, 0]);
    // It stays so when others come and go, and ends with the next pack.
    let joiner = merge.add("joiner".into(), TickSource::Written).unwrap();
    assert_eq!(merge.wants(ahead), 0);
    merge.remove(joiner);
    assert_eq!([merge.wants(blocking), merge.wants(ahead)], [half, 0]);
    push(&mut merge, blocking, 1, &[Tick(5)]);
    assert_eq!(packs(&mut merge).len(), 1);
    assert_eq!([merge.wants(blocking), merge.wants(ahead)], [24_000, 14_000 - TICK]);
}

#[test]
fn what_is_shown_is_what_is_counted() {
    let (mut merge, [blocking, ahead]) = merge(BUDGET);
    push(&mut merge, blocking, 0, &[Tick(1 << 18)]);
    push(&mut merge, ahead, 0, &[Tick(9 << 18)]);
    hold(&mut merge, ahead, 1, 10 << 18, 2000);
    packs(&mut merge);
    let state = |merge: &Merge| merge.status().channels[1].state;
    assert_eq!(state(&merge), ChannelState::Ahead);
    // A read that is under way may still bring something, whether or not another one may follow.
    assert!(merge.reserve(ahead) > 0);
    assert_eq!(state(&merge), ChannelState::Ahead);
    let status = merge.status();
    let shown: Vec<_> = status.channels.iter().map(|c| (c.lag_ms, c.buffered, c.bytes)).collect();
    assert_eq!(shown, [(Some(8), 0, 0), (Some(0), 1, 2000 + TICK)]);
    assert_eq!((status.bytes, merge.buffered_bytes()), (2000 + TICK, 2000 + TICK));
    merge.release(ahead);
    hold(&mut merge, ahead, 2, 10 << 18, 22_000);
    assert_eq!(state(&merge), ChannelState::Paused);
}

#[test]
fn a_budget_of_0_is_one_of_1_and_can_be_raised() {
    let (mut merge, [a, b]) = merge(BUDGET);
    merge.set_budget_bytes(0);
    assert_eq!(merge.status().budget, 1);
    // What packs wait for doesn't fit, and nothing of it is lost.
    hold(&mut merge, a, 0, 4, 1000);
    assert!(matches!(merge.relieve(a), Err(Error::WindowTooLarge { budget: 1, .. })));
    merge.set_budget_bytes(BUDGET);
    push(&mut merge, a, 1, &[Tick(5)]);
    push(&mut merge, b, 0, &[Tick(5)]);
    assert_eq!(packs(&mut merge).len(), 1);
}
