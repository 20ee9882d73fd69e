//! How many records a checkpoint may hold back.

use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::merge::{Merge, MergeConfig};
use msgstream_core::record::Position;
use msgstream_core::{Checkpoint, Error, MsgPack};

use crate::Entry::{self, Msg, Tick};
use crate::{config, merge, packs, push, records, with_channels};

/// A merge of one channel that goes on after a checkpoint, with the rest of its log.
fn resumed(config: MergeConfig, from: Checkpoint, log: &[Entry]) -> Merge {
    let first = from.channels.get("a").map_or(0, |mark| mark.resume.offset());
    let mut merge = Merge::resume(config, from).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    push(&mut merge, a, first, &log[first as usize..]);
    merge
}

fn formed(merge: &mut Merge) -> (Vec<MsgPack>, Option<Error>) {
    let mut packs = Vec::new();
    loop {
        match merge.advance() {
            Ok(Some(pack)) => packs.push(pack),
            Ok(None) => return (packs, None),
            Err(error) => return (packs, Some(error)),
        }
    }
}

/// A message of the far future, and a message and a tick for each time after it.
fn pinned(times: u64) -> Vec<Entry> {
    let rest = (2..=times).flat_map(|n| [Msg(n), Tick(n)]);
    [Msg(1 << 40), Tick(1)].into_iter().chain(rest).collect()
}

#[test]
fn a_pack_whose_checkpoint_would_hold_back_too_much_is_not_formed() {
    let log = pinned(50);
    let config = config().with_max_span(20);
    let mut merge = resumed(config, Checkpoint::default(), &log);
    let (packs, refused) = formed(&mut merge);
    let Some(Error::SpanTooLong { resume, records, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((packs.len(), resume, records), (10, Position::new(0), 22));
    assert_eq!(formed(&mut merge).0.len(), 0, "the error comes again");
    merge.set_max_span(22);
    let (more, refused) = formed(&mut merge);
    assert!(matches!(refused, Some(Error::SpanTooLong { records: 24, .. })), "{refused:?}");
    assert_eq!((more.len(), more[0].end_ts.0, more[0].msgs.len()), (1, 11, 1));
    merge.set_max_span(1000);
    assert_eq!(formed(&mut merge).0.len(), 39);
}

#[test]
fn whoever_resumes_is_refused_where_the_first_run_was() {
    let log = pinned(50);
    let config = config().with_max_span(20);
    let (packs, _) = formed(&mut resumed(config, Checkpoint::default(), &log));
    for (done, pack) in (1..).zip(&packs) {
        let mut again = resumed(config, pack.end.clone(), &log);
        let (rest, refused) = formed(&mut again);
        assert_eq!(rest.len(), packs.len() - done);
        assert!(matches!(refused, Some(Error::SpanTooLong { records: 22, .. })), "{refused:?}");
    }
}

#[test]
fn a_checkpoint_that_is_there_is_resumed_from_whatever_it_holds_back() {
    let log = pinned(50);
    let (packs, _) = formed(&mut resumed(config(), Checkpoint::default(), &log));
    let from = packs[40].end.clone();
    let mut again = resumed(config().with_max_span(20), from.clone(), &log);
    assert_eq!(again.checkpoint(), from);
    let (rest, refused) = formed(&mut again);
    assert!(rest.is_empty() && matches!(refused, Some(Error::SpanTooLong { records: 84, .. })));
    again.set_max_span(1000);
    assert_eq!(formed(&mut again).0.len(), 9);
}

#[test]
fn what_the_pack_takes_doesnt_count_and_what_it_leaves_does() {
    // Of an interval that is much longer than the span, the last message stays.
    let mut log: Vec<_> = [Msg(3); 100].to_vec();
    log.extend([Msg(9), Tick(5), Tick(10)]);
    for (max, fits) in [(2, true), (1, false)] {
        let mut merge = resumed(config().with_max_span(max), Checkpoint::default(), &log);
        assert_eq!(merge.advance().is_ok(), fits);
    }
}

#[test]
fn what_was_read_ahead_of_the_cut_doesnt_count() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    merge.set_max_span(3);
    push(&mut merge, a, 0, &[Msg(99), Tick(5)]);
    push(&mut merge, a, 2, &[Msg(99); 50]);
    push(&mut merge, b, 0, &[Tick(5)]);
    assert_eq!(packs(&mut merge).len(), 1);
    // Idle, it is cut where it was read.
    assert!(merge.set_idle(a).unwrap());
    push(&mut merge, b, 1, &[Tick(6)]);
    let refused = merge.advance();
    assert!(matches!(refused, Err(Error::SpanTooLong { records: 52, .. })), "{refused:?}");
}

#[test]
fn a_record_that_is_refused_again_and_again_counts_once() {
    let (mut merge, [a]) = merge(1 << 20);
    merge.set_max_span(4);
    merge.set_tick_limit(100.into());
    push(&mut merge, a, 0, &[Msg(500), Tick(5)]);
    assert_eq!(packs(&mut merge).len(), 1);
    let mut refused = records(2, &[Msg(6), Tick(101)]);
    for _ in 0..20 {
        let error = merge.push(a, &mut refused, Position::new(4));
        assert!(matches!(error, Err(Error::TickTooFar { .. })), "{error:?}");
    }
    merge.set_tick_limit(101.into());
    merge.push(a, &mut refused, Position::new(4)).unwrap();
    assert_eq!(packs(&mut merge).len(), 1);
    merge.set_tick_limit(102.into());
    push(&mut merge, a, 4, &[Tick(102)]);
    assert!(merge.advance().is_err());
}

#[test]
fn what_is_read_again_counts_once() {
    let (mut merge, [a, b]) = merge(1 << 20);
    merge.set_max_span(8);
    push(&mut merge, a, 0, &[Tick(5)]);
    push(&mut merge, b, 0, &[Msg(99), Tick(5), Tick(10)]);
    assert_eq!(packs(&mut merge).len(), 1);
    for _ in 0..9 {
        push(&mut merge, b, 3, &[Msg(12), Msg(13)]);
        merge.set_budget_bytes(1);
        assert!(merge.relieve(a).unwrap().is_some());
        merge.set_budget_bytes(1 << 20);
    }
    push(&mut merge, b, 3, &[Msg(12), Msg(12), Msg(12), Msg(12), Tick(20), Tick(30)]);
    push(&mut merge, a, 1, &[Tick(20), Tick(30)]);
    let (packs, refused) = formed(&mut merge);
    assert_eq!(packs.iter().map(|pack| pack.end_ts.0).collect::<Vec<_>>(), [10, 20]);
    assert!(matches!(refused, Some(Error::SpanTooLong { records: 9, .. })), "{refused:?}");
}

#[test]
fn a_late_policy_doesnt_hide_a_span() {
    let config = MergeConfig::default().with_late_policy(LatePolicy::Error).with_max_span(20);
    let (packs, refused) = formed(&mut resumed(config, Checkpoint::default(), &pinned(50)));
    assert_eq!(packs.len(), 10);
    assert!(matches!(refused, Some(Error::SpanTooLong { .. })), "{refused:?}");
}
