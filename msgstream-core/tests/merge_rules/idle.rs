//! Channels that are silent, and what checkpoints say of them.

use msgstream_core::merge::{Eviction, Merge, Slot};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::Start;
use msgstream_core::{Checkpoint, Error, Timestamp};

use crate::Entry::{Msg, Tick};
use crate::{count, end, hold, merge, packs, push, with_channels};

/// Where a checkpoint goes on with each channel.
fn resumes(checkpoint: &Checkpoint) -> Vec<u64> {
    checkpoint.channels.values().map(|mark| mark.resume.offset()).collect()
}

#[test]
fn a_channel_that_is_idle_over_two_resumes_loses_nothing() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(20)]);
    push(&mut merge, b, 0, &[Tick(5)]);
    packs(&mut merge);
    assert!(merge.set_idle(a).unwrap());
    push(&mut merge, b, 1, &[Tick(7)]);
    let at_7 = packs(&mut merge).pop().unwrap().end;

    let (mut merge, a, b) = with_channels(at_7);
    push(&mut merge, b, 1, &[Tick(7)]);
    assert!(!merge.set_idle(a).unwrap(), "it hasn't caught up with the checkpoint");
    push(&mut merge, a, 0, &[Tick(20)]);
    assert!(merge.set_idle(a).unwrap());
    push(&mut merge, b, 2, &[Tick(8)]);
    packs(&mut merge);
    push(&mut merge, b, 3, &[Tick(30)]);
    let at_30 = packs(&mut merge).pop().unwrap().end;
    push(&mut merge, a, 1, &[Msg(15), Tick(40)]);
    push(&mut merge, b, 4, &[Tick(40)]);
    assert_eq!(count(&packs(&mut merge)), 1, "without a second resume");

    let (mut merge, a, b) = with_channels(at_30);
    push(&mut merge, b, 3, &[Tick(30), Tick(40)]);
    push(&mut merge, a, 1, &[Msg(15), Tick(40)]);
    assert_eq!(count(&packs(&mut merge)), 1, "with one");
}

#[test]
fn where_a_checkpoint_resumes_never_goes_back_when_a_channel_returns() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(10)]);
    push(&mut merge, b, 0, &[Tick(1), Tick(2), Tick(3)]);
    let mut formed = packs(&mut merge);
    assert!(merge.set_idle(a).unwrap());
    push(&mut merge, b, 3, &[Tick(4)]);
    formed.extend(packs(&mut merge));
    push(&mut merge, a, 1, &[Msg(12)]);
    push(&mut merge, b, 4, &[Tick(6)]);
    formed.extend(packs(&mut merge));
    let ends: Vec<_> = formed.iter().map(|pack| pack.end_ts.0).collect();
    assert_eq!(ends, [1, 2, 3, 4, 6]);
    for channel in 0..2 {
        let of: Vec<_> = formed.iter().map(|pack| resumes(&pack.end)[channel]).collect();
        assert!(of.is_sorted(), "{of:?}");
    }

    // What is before it may be gone.
    let last = &formed.last().unwrap().end;
    let (mut merge, a, b) = with_channels(last.clone());
    let log = [Tick(10), Msg(12), Tick(20)];
    let [from_a, from_b] = resumes(last)[..] else { panic!("{last:?}") };
    push(&mut merge, a, from_a, &log[from_a as usize..]);
    push(&mut merge, b, from_b, &[Tick(6), Tick(20)]);
    assert_eq!(count(&packs(&mut merge)), 1);
}

#[test]
fn an_idle_channel_is_cut_at_its_ticks_while_it_is_ahead_and_where_it_was_read_after_that() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(5), Msg(7), Tick(8), Msg(9)]);
    assert!(merge.set_idle(a).unwrap());
    for (at, ts) in (0..).zip([4, 6, 8, 10]) {
        push(&mut merge, b, at, &[Tick(ts)]);
    }
    let marks: Vec<_> = packs(&mut merge)
        .iter()
        .map(|pack| {
            let mark = &pack.end.channels["a"];
            let raised = mark.raised.map(Position::offset);
            (pack.end_ts.0, mark.resume.offset(), mark.cut.unwrap().offset(), raised)
        })
        .collect();
    let wanted = [(4, 0, 0, None), (5, 0, 0, None), (6, 1, 2, None), (8, 2, 2, None)];
    assert_eq!(marks, [&wanted[..], &[(10, 4, 3, Some(4))]].concat());
}

#[test]
fn a_mark_stays_where_an_idle_channel_ends_behind_the_frontier() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(10), Msg(12)]);
    assert!(merge.set_idle(a).unwrap());
    push(&mut merge, b, 0, &[Tick(20)]);
    let formed = packs(&mut merge);
    assert_eq!((count(&formed), resumes(&formed.last().unwrap().end)), (1, vec![2, 0]));
    merge.push(a, &mut vec![end(2, 5)], Position::new(3)).unwrap();
    push(&mut merge, b, 1, &[Tick(30)]);
    let last = packs(&mut merge).pop().unwrap().end;
    assert_eq!(resumes(&last), [2, 1]);

    let (mut merge, a, b) = with_channels(last);
    merge.push(a, &mut vec![end(2, 5)], Position::new(3)).unwrap();
    push(&mut merge, b, 1, &[Tick(30), Tick(40)]);
    let after = packs(&mut merge);
    assert_eq!((after.len(), count(&after)), (1, 0));
    assert!(merge.is_ended(a));
}

/// A mark of an earlier version: where an idle channel was read to, though its ticks are ahead.
#[test]
fn what_was_judged_before_a_checkpoint_stays_judged_whatever_made_it() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Msg(20), Tick(6), Tick(8), Msg(21)]);
    push(&mut merge, b, 0, &[Tick(1)]);
    let mut at_1 = packs(&mut merge).pop().unwrap().end;
    at_1.channels.get_mut("a").unwrap().cut = Some(Position::new(3));
    let (mut merge, a, b) = with_channels(at_1);
    push(&mut merge, a, 0, &[Msg(20), Tick(6), Tick(8), Msg(21)]);
    push(&mut merge, b, 0, &[Tick(1), Tick(6)]);
    let at_6 = packs(&mut merge).pop().unwrap().end;
    let mark = &at_6.channels["a"];
    assert_eq!((mark.resume.offset(), mark.cut), (0, Some(Position::new(3))));
}

#[test]
fn a_channel_with_a_refused_record_cant_be_idle() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    merge.set_tick_limit(Timestamp(100));
    push(&mut merge, a, 0, &[Tick(5)]);
    push(&mut merge, b, 0, &[Tick(5)]);
    let mut stamped = crate::records(1, &[Tick(101)]);
    stamped[0].meta.stamp = Some("p;1;0".parse().unwrap());
    let refused = merge.push(a, &mut stamped, Position::new(2));
    assert!(matches!(refused, Err(Error::TickTooFar { .. })), "{refused:?}");
    assert!(!merge.set_idle(a).unwrap());
    merge.set_tick_limit(Timestamp(101));
    merge.push(a, &mut stamped, Position::new(2)).unwrap();
    assert!(merge.set_idle(a).unwrap());
}

#[test]
fn room_that_idle_channels_keep_for_their_reads_is_not_waited_for() {
    let (mut merge, [a, b, c]) = merge(64_000);
    for slot in [a, b, c] {
        push(&mut merge, slot, 0, &[Tick(5)]);
    }
    packs(&mut merge);
    assert!(merge.set_idle(a).unwrap() && merge.set_idle(b).unwrap());
    hold(&mut merge, c, 1, 9, 62_000);
    // As a driver does: idle channels are read all the time.
    assert!(merge.reserve(a) > 0 && merge.reserve(b) > 0);
    let refused = merge.relieve(c);
    let Err(Error::WindowTooLarge { buffered, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(buffered, 62_000);
    // A read of a channel that isn't idle brings room when it is over.
    push(&mut merge, a, 1, &[Tick(7)]);
    merge.release(a);
    push(&mut merge, c, 2, &[Tick(7)]);
    merge.set_budget_bytes(100_000);
    assert!(merge.reserve(a) > 0);
    merge.set_budget_bytes(64_000);
    assert_eq!(merge.relieve(c).unwrap(), None);
}

fn evict(merge: &mut Merge, blocking: Slot) -> Eviction {
    merge.set_budget_bytes(1);
    let eviction = merge.relieve(blocking).unwrap().unwrap();
    merge.set_budget_bytes(1 << 20);
    eviction
}

#[test]
fn what_an_idle_channel_holds_after_its_ticks_is_given_up_and_it_holds_the_frontier_again() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Msg(4), Tick(5), Msg(6), Msg(50)]);
    push(&mut merge, b, 0, &[Tick(3)]);
    assert!(merge.set_idle(a).unwrap());
    assert_eq!(packs(&mut merge).len(), 1);
    hold(&mut merge, b, 1, 5, 2 * Record::OVERHEAD);
    let eviction = evict(&mut merge, b);
    assert_eq!((eviction.slot, eviction.from), (a, Start::After(Position::new(1))));
    // Were it idle still, 6 would be late.
    push(&mut merge, b, 2, &[Tick(5), Tick(8)]);
    assert_eq!(packs(&mut merge).iter().map(|pack| pack.end_ts.0).collect::<Vec<_>>(), [5]);
    push(&mut merge, a, 2, &[Msg(6), Msg(50), Tick(60)]);
    push(&mut merge, b, 4, &[Tick(60)]);
    let rest = packs(&mut merge);
    let seen: Vec<_> = rest.iter().map(|pack| (pack.end_ts.0, pack.msgs.len())).collect();
    assert_eq!(seen, [(8, 1), (60, 1)]);
    assert!(rest.iter().flat_map(|pack| &pack.msgs).all(|message| !message.is_late()));
}

#[test]
fn channels_that_rest_and_come_back_are_counted() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, a, 0, &[Tick(5)]);
    push(&mut merge, b, 0, &[Tick(5)]);
    packs(&mut merge);
    assert!(merge.set_idle(a).unwrap() && merge.set_idle(b).unwrap());
    push(&mut merge, a, 1, &[Tick(6)]);
    assert_eq!((merge.counts().idled, merge.counts().rejoined), (2, 1));
}
