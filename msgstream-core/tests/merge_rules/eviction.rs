//! What was read ahead is given up for want of memory, and read again.

use msgstream_core::merge::TickSource;
use msgstream_core::merge::{Eviction, Merge, Slot};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::Start;
use msgstream_core::{Checkpoint, Error, MsgPack};

use crate::Entry::{Msg, Tick};
use crate::{Entry, TICK, hold, merge, packs, push, with_channels};

/// Gives up what one channel that is ahead holds.
fn evict(merge: &mut Merge, blocking: Slot) -> Eviction {
    merge.set_budget_bytes(1);
    let eviction = merge.relieve(blocking).unwrap().unwrap();
    merge.set_budget_bytes(1 << 20);
    eviction
}

#[test]
fn a_mark_stays_where_records_are_given_up_and_read_again() {
    let (mut merge, [a, b]) = merge(20_000);
    push(&mut merge, a, 0, &[Tick(5)]);
    push(&mut merge, b, 0, &[Msg(3), Tick(5), Tick(6)]);
    packs(&mut merge);
    let checkpoint = merge.checkpoint();
    let ahead = [Msg(7); 60];
    push(&mut merge, b, 3, &ahead);
    assert_eq!(merge.reserve(a), 0);
    let eviction = merge.relieve(a).unwrap().unwrap();
    assert_eq!((eviction.slot, eviction.from), (b, Start::After(Position::new(2))));
    push(&mut merge, b, 3, &ahead[..1]);
    assert_eq!(merge.checkpoint(), checkpoint);
}

#[test]
fn the_channel_that_gives_up_most_goes_back() {
    for (more, b_goes) in [(1, true), (-1, false)] {
        let (mut merge, [a, b, c]) = merge(1 << 20);
        // What the next pack takes stays, and how much that is makes no difference.
        hold(&mut merge, b, 0, 3, 9000);
        push(&mut merge, b, 1, &[Tick(5)]);
        push(&mut merge, c, 0, &[Tick(5)]);
        let kept = merge.buffered_bytes();
        let of_c = 2000 + 3 * TICK;
        let of_b = of_c.saturating_add_signed(more);
        hold(&mut merge, b, 2, 6, of_b);
        push(&mut merge, c, 1, &[Tick(6), Tick(7), Tick(8)]);
        hold(&mut merge, c, 4, 9, 2000);
        let eviction = evict(&mut merge, a);
        assert_eq!(eviction.slot, if b_goes { b } else { c });
        assert_eq!(merge.buffered_bytes(), kept + if b_goes { of_c } else { of_b });
    }
}

#[test]
fn of_a_batch_that_a_tick_divides_what_is_behind_the_tick_is_given_up() {
    for (more, b_goes) in [(1, false), (-1, true)] {
        let (mut merge, [a, b, c]) = merge(1 << 20);
        push(&mut merge, b, 0, &[Msg(3), Msg(4), Tick(5), Msg(6), Msg(7)]);
        push(&mut merge, b, 5, &[Msg(8)]);
        push(&mut merge, c, 0, &[Tick(5)]);
        let of_b = 3 * (Record::OVERHEAD + 100);
        hold(&mut merge, c, 1, 6, of_b.saturating_add_signed(more));
        let buffered = merge.buffered_bytes();
        let eviction = evict(&mut merge, a);
        assert_eq!(eviction.slot, if b_goes { b } else { c });
        if b_goes {
            assert_eq!(eviction.from, Start::After(Position::new(2)));
            assert_eq!(merge.buffered_bytes(), buffered - of_b);
        }
    }
}

#[test]
fn what_the_next_pack_takes_is_not_given_up() {
    let (mut merge, [a, b]) = merge(10_000);
    hold(&mut merge, b, 0, 3, 5000);
    push(&mut merge, b, 1, &[Tick(5)]);
    hold(&mut merge, a, 0, 4, 9000);
    let refused = merge.relieve(a);
    let Err(Error::WindowTooLarge { buffered, budget, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((buffered, budget), (14_000 + TICK, 10_000));
    assert_eq!(merge.counts().evictions, 0);
}

#[test]
fn a_channel_that_gave_up_what_it_read_waits_until_packs_wait_for_it() {
    // A share is 16,000 bytes.
    let (mut merge, [a, b, c]) = merge(64_000);
    push(&mut merge, c, 0, &[Tick(5), Tick(7)]);
    push(&mut merge, b, 0, &[Tick(10)]);
    hold(&mut merge, b, 1, 11, 15_000);
    hold(&mut merge, a, 0, 5, 47_000);
    let eviction = merge.relieve(a).unwrap().unwrap();
    assert_eq!((eviction.slot, eviction.from), (b, Start::After(Position::new(0))));
    push(&mut merge, a, 1, &[Tick(5)]);
    assert_eq!(packs(&mut merge).len(), 1);
    // There is room again, and others come and go; it is ahead all the same.
    for _ in 0..2 {
        assert_eq!([merge.wants(b), merge.reserve(b)], [0, 0]);
        let joiner = merge.add("joiner".into(), TickSource::Written).unwrap();
        assert_eq!(merge.wants(b), 0);
        merge.remove(joiner);
    }
    assert_eq!(merge.wants(c), 16_000 - TICK);
    push(&mut merge, a, 2, &[Tick(10), Tick(20)]);
    push(&mut merge, c, 2, &[Tick(10), Tick(30)]);
    assert_eq!(packs(&mut merge).len(), 2);
    assert_eq!(merge.reserve(b), 16_000);
    merge.release(b);
    push(&mut merge, b, 1, &[Tick(40)]);
    assert_eq!(merge.wants(b), 16_000 - TICK, "it reads ahead like any other");
}

/// Merges a log, with another channel beside it that ticks at the same times; the log is read
/// record by record, and where it is given up, again in one batch.
fn merged(log: &[Entry], give_up: bool) -> Vec<MsgPack> {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(5)]);
    for (position, entry) in (0..).zip(log) {
        push(&mut merge, b, position, &[*entry]);
    }
    let mut formed = packs(&mut merge);
    if give_up {
        let Start::After(after) = evict(&mut merge, a).from else { panic!("not after a tick") };
        let next = after.offset() + 1;
        push(&mut merge, b, next, &log[next as usize..]);
    }
    let ticks: Vec<_> = log.iter().copied().filter(|entry| matches!(entry, Tick(_))).collect();
    push(&mut merge, a, 1, &ticks[1..]);
    formed.extend(packs(&mut merge));
    formed
}

#[test]
fn checkpoints_are_the_same_after_records_were_given_up_and_read_again() {
    // Before what is given up stands a message that the next pack takes, or one that stays.
    for before in [7, 30] {
        let head = [Tick(5), Msg(before), Tick(10), Msg(12), Tick(15)];
        let log = [&head[..], &[Msg(14), Msg(30), Tick(17), Tick(40)]].concat();
        let [wanted, got] = [false, true].map(|give_up| merged(&log, give_up));
        assert_eq!(format!("{got:#?}"), format!("{wanted:#?}"));
        let watermark =
            |pack: &MsgPack| pack.end.channels["b"].watermark.map(|watermark| watermark.0);
        let late = |pack: &MsgPack| pack.msgs.iter().filter(|message| message.is_late()).count();
        let seen: Vec<_> =
            got.iter().map(|pack| (pack.end_ts.0, watermark(pack), late(pack))).collect();
        let of_30 = if before == 30 { 5 } else { 15 };
        let at_10_and_15 = if before == 30 { [5, 5] } else { [5, 10] };
        let [at_10, at_15] = at_10_and_15.map(Some);
        let rest = [(10, at_10, 0), (15, at_15, 0), (17, Some(of_30), 1), (40, Some(17), 0)];
        assert_eq!(seen, [&[(5, None, 0)], &rest[..]].concat());
    }
}

#[test]
fn messages_before_a_tick_are_given_up_where_nothing_else_is_left() {
    let (mut merge, [a, b]) = merge(1 << 20);
    push(&mut merge, b, 0, &[Msg(3), Msg(20), Msg(4), Msg(30), Tick(5), Tick(8)]);
    let held = merge.buffered_bytes();
    // What follows the tick goes first, and then what stands before it, to the last byte.
    assert_eq!(evict(&mut merge, a).from, Start::After(Position::new(4)));
    assert_eq!(merge.counts().evicted_before_ticks, 0);
    assert_eq!(evict(&mut merge, a).from, Start::At(Position::new(1)));
    assert_eq!(merge.counts().evicted_before_ticks, 1);
    let message = Record::OVERHEAD + 100;
    assert!(merge.buffered_bytes() <= 2 * message + TICK && held > 4 * message);
    merge.set_budget_bytes(1);
    assert!(matches!(merge.relieve(a), Err(Error::WindowTooLarge { .. })));
    merge.set_budget_bytes(1 << 20);

    push(&mut merge, a, 0, &[Tick(5), Tick(8), Tick(40)]);
    let formed = packs(&mut merge);
    let mark = &formed[0].end.channels["b"];
    assert_eq!((formed.len(), formed[0].msgs.len()), (1, 2), "b holds the next pack back");
    assert_eq!((mark.resume, mark.watermark), (Position::new(1), None));
    assert_eq!(mark.cut, Some(Position::new(4)));
    push(&mut merge, b, 1, &[Msg(20), Msg(4), Msg(30), Tick(5), Tick(8), Tick(40)]);
    let times = |pack: &MsgPack| pack.msgs.iter().map(|m| m.end_ts().0).collect::<Vec<_>>();
    let formed: Vec<_> = packs(&mut merge).iter().map(times).collect();
    assert_eq!(formed, [vec![], vec![20, 30]]);
}

#[test]
fn what_is_given_up_counts_to_the_span() {
    for give_up in [false, true] {
        let (mut merge, [a, b]) = merge(1 << 20);
        merge.set_max_span(3);
        push(&mut merge, b, 0, &[Msg(3), Msg(20), Msg(4), Msg(5), Msg(2), Tick(5)]);
        if give_up {
            assert_eq!(evict(&mut merge, a).from, Start::At(Position::new(1)));
        }
        push(&mut merge, a, 0, &[Tick(5)]);
        let Err(Error::SpanTooLong { resume, records, .. }) = merge.advance() else {
            panic!("the mark holds back 5 records")
        };
        assert_eq!((resume, records), (Position::new(1), 5));
        merge.set_max_span(5);
        assert_eq!(merge.advance().unwrap().unwrap().msgs.len(), 4);
    }
}

/// A pack may end before the one that records were evicted for, if a channel is removed.
#[test]
fn what_is_read_again_counts_in_marks_until_its_pack_is_formed() {
    let (mut merge, [a, b, c]) = merge(1 << 20);
    push(&mut merge, b, 0, &[Msg(3), Msg(30), Msg(7), Tick(20)]);
    push(&mut merge, c, 0, &[Tick(10)]);
    assert_eq!(evict(&mut merge, a).from, Start::At(Position::new(1)));
    merge.remove(c);
    push(&mut merge, b, 1, &[Msg(30), Msg(7), Tick(20), Msg(40)]);
    assert_eq!(evict(&mut merge, a).from, Start::After(Position::new(3)));
    push(&mut merge, a, 0, &[Tick(5)]);
    let formed = packs(&mut merge);
    let mark = &formed[0].end.channels["b"];
    assert_eq!((formed[0].end_ts.0, formed[0].msgs.len()), (5, 1));
    assert_eq!(mark.resume, Position::new(1), "30 is in no pack yet");
}
