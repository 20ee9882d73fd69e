//! Where a channel ends.

use msgstream_core::merge::Merge;
use msgstream_core::merge::TickSource;
use msgstream_core::record::END_HEADER;
use msgstream_core::record::{Header, Position};
use msgstream_core::{Checkpoint, Error, Timestamp};

use crate::Entry::{Msg, Tick};
use crate::{config, count, end, packs, push, records, with_channels};

#[test]
fn what_follows_the_end_is_counted_and_left() {
    let mut merge = Merge::resume(config(), Checkpoint::default()).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    let mut log = records(0, &[Msg(3), Tick(5), Msg(6), Msg(7), Tick(8)]);
    log[1].extra.push(Header::new(END_HEADER, "1"));
    merge.push(a, &mut log, Position::new(5)).unwrap();
    assert_eq!(count(&packs(&mut merge)), 1);
    assert_eq!(merge.counts().after_end, 3);
}

#[test]
fn an_end_is_held_to_the_bound_of_a_tick_with_all_that_its_channel_holds() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Msg(u64::MAX)]);
    push(&mut merge, b, 0, &[Tick(5)]);
    assert!(merge.set_idle(b).unwrap());
    let mut batch = vec![end(1, 9)];
    for _ in 0..2 {
        let refused = merge.push(a, &mut batch, Position::new(2));
        let Err(Error::TickTooFar { position, tick, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((position, tick), (Position::new(1), Timestamp::MAX));
    }
    assert!(packs(&mut merge).is_empty() && !merge.is_ended(a));
    // As if the end weren't there.
    merge.ignore_tick(a, Position::new(1));
    merge.push(a, &mut batch, Position::new(2)).unwrap();
    push(&mut merge, a, 2, &[Msg(6), Tick(9)]);
    push(&mut merge, b, 1, &[Msg(8), Tick(9)]);
    assert_eq!(count(&packs(&mut merge)), 2);
}

#[test]
fn an_end_that_is_too_far_waits_for_its_time() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    merge.set_tick_limit(Timestamp(100));
    push(&mut merge, a, 0, &[Msg(101)]);
    let mut batch = vec![end(1, 9)];
    let refused = merge.push(a, &mut batch, Position::new(2));
    assert!(matches!(refused, Err(Error::TickTooFar { .. })), "{refused:?}");
    merge.set_tick_limit(Timestamp(101));
    merge.push(a, &mut batch, Position::new(2)).unwrap();
    push(&mut merge, b, 0, &[Tick(101)]);
    assert_eq!(count(&packs(&mut merge)), 1);
}

#[test]
fn no_fixed_interval_makes_a_pack_end_with_time() {
    // 5 divides the greatest timestamp.
    let mut merge = Merge::resume(config().with_align_to(5), Checkpoint::default()).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    merge.push(a, &mut vec![end(0, u64::MAX - 3)], Position::new(1)).unwrap();
    let ends: Vec<_> = packs(&mut merge).iter().map(|pack| pack.end_ts.0).collect();
    assert_eq!(ends, [u64::MAX - 5, u64::MAX - 3]);
}
