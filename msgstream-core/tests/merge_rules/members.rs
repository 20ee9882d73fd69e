//! Channels that are taken out.

use msgstream_core::merge::TickSource;
use msgstream_core::merge::{Merge, MergeConfig};
use msgstream_core::{Checkpoint, Timestamp};

use crate::Entry::{Msg, Tick};
use crate::{merge, push};

#[test]
fn a_channel_takes_its_own_late_records_along_and_no_others() {
    for (taken, goes_on) in [("a", true), ("b", false)] {
        let mut merge = Merge::resume(MergeConfig::default(), Checkpoint::default()).unwrap();
        let [a, b] = ["a", "b"].map(|name| merge.add(name.into(), TickSource::Written).unwrap());
        assert_eq!(merge.name(a).map(|name| &**name), Some("a"));
        push(&mut merge, a, 0, &[Tick(5), Msg(4), Tick(9)]);
        push(&mut merge, b, 0, &[Tick(9)]);
        merge.remove(merge.slot(taken).unwrap());
        let formed =
            std::iter::from_fn(|| merge.advance().transpose()).collect::<Result<Vec<_>, _>>();
        assert_eq!(formed.is_ok(), goes_on, "{formed:?}");
    }
}

#[test]
fn where_the_others_stand_moves_on_when_a_channel_is_taken_out() {
    let (mut merge, [a, b, c]) = merge(1 << 20);
    push(&mut merge, a, 0, &[Tick(5), Tick(6)]);
    push(&mut merge, b, 0, &[Tick(5), Tick(10)]);
    push(&mut merge, c, 0, &[Tick(5), Tick(7), Tick(10)]);
    assert_eq!(merge.advance().unwrap().unwrap().end_ts, Timestamp(5));
    let mark = &merge.remove(a).channels["a"];
    assert_eq!(mark.resume.offset(), 0);
    // It ends at no tick of `a`, and nothing of `b` is in it, whose next tick is behind it.
    let pack = merge.advance().unwrap().unwrap();
    assert_eq!((pack.end_ts, pack.end.channels.len()), (Timestamp(7), 2));
    let resume = ["b", "c"].map(|name| pack.end.channels[name].resume.offset());
    assert_eq!(resume, [1, 1]);
}
