#![allow(clippy::unwrap_used)]

use super::*;
use crate::record::END_HEADER;
use crate::record::Stamp;
use crate::record::{Header, Meta};
use crate::record::{MsgType, Timestamp};

fn ends(log: &[&str]) -> Option<Certain> {
    let mut ends = Ends::default();
    for text in log {
        let mut record = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(5)), Vec::new());
        if let Some(stamp) = text.strip_prefix("end") {
            record.extra.push(Header::new(END_HEADER, "1"));
            record.meta.stamp = stamp.trim().parse().ok();
        } else {
            record.extra.push(Header::new(Stamp::HEADER, (*text).to_owned()));
        }
        ends.see(&record);
    }
    ends.ended
}

#[test]
fn an_end_counts_unless_its_epoch_is_over() {
    for (ended, log) in [
        (None, &["p;1;fence;1"][..]),
        (Some(true), &["end"]),
        (Some(true), &["end", "p;1;fence;1", "p;1;base;0"]),
        (Some(false), &["end p;1;5"]),
        (Some(false), &["p;1;fence;1", "end p;1;5"]),
        (Some(false), &["q;2;fence;1", "end p;1;5", "p;2;fence;1"]),
        (None, &["p;2;fence;1", "p;1;fence;1", "end p;1;5"]),
        (Some(false), &["p;2;fence;1", "end p;1;5", "end p;2;5"]),
        (Some(true), &["end p;1;5", "end"]),
        // A fence of the whole channel is one of its virtual channels, and not the other way round.
        (None, &["p;2;fence;1", "end p/a;1;5"]),
        (Some(false), &["p/a;2;fence;1", "end p;1;5"]),
    ] {
        assert_eq!(ends(log), ended, "{log:?}");
    }
}

#[test]
fn the_tail_begins_before_the_end() {
    let words = |words| before(Position::from_words(words), TAIL).words();
    assert_eq!(words([100, 0, 0]), [36, 0, 0]);
    assert_eq!(words([7, 0, 0]), [0, 0, 0]);
    assert_eq!(words([7, 100, 0]), [7, 36, 0]);
    assert_eq!(words([7, 3, 0]), [7, 0, 0]);
    assert_eq!(words([7, 3, 2]), [7, 3, 0]);
    assert_eq!(words([0; 3]), [0; 3]);
}
