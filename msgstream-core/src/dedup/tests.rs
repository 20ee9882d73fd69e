#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::record::Origin;

const MAX: usize = 3;

fn origin(producer: &str, epoch: u64) -> Arc<Origin> {
    Arc::new(Origin { producer: producer.into(), epoch: Position::new(epoch) })
}

fn stamp(producer: &str, epoch: u64, seq: u64) -> Stamp {
    Stamp { origin: origin(producer, epoch), seq }
}

/// Judges messages of one epoch.
fn messages<const N: usize>(dedup: &mut Dedup, epoch: u64, seqs: [u64; N]) -> [Verdict; N] {
    let origin = origin("p", epoch);
    seqs.map(|seq| dedup.message(&Stamp { origin: origin.clone(), seq }, MAX).unwrap())
}

fn control(dedup: &mut Dedup, epoch: u64, kind: Kind) {
    let epoch = Position::new(epoch);
    let control = Control { producer: "p".into(), epoch: Some(epoch), kind };
    dedup.control(&control, epoch, MAX).unwrap();
}

/// A fence as on the home channel, where its own position is its epoch.
fn fence(dedup: &mut Dedup, epoch: u64) {
    control(dedup, epoch, Kind::Fence { nonce: 7 });
}

fn limits(closed_s: u64, silent_s: u64) -> ProducerLimits {
    let [closed, silent] = [closed_s, silent_s].map(Duration::from_secs);
    ProducerLimits::default().with_closed(closed).with_silent(silent)
}

fn seconds(s: u64) -> Timestamp {
    Timestamp(Timestamp::span(Duration::from_secs(s)))
}

fn ticked(dedup: &mut Dedup, position: u64, before: u64, tick: u64) {
    let (position, before) = (Position::new(position), Some(seconds(before)));
    dedup.ticked(position, before, seconds(tick), &limits(80, 800));
}

fn left_out(dedup: &mut Dedup, positions: impl IntoIterator<Item = u64>) {
    positions.into_iter().for_each(|position| dedup.leave_out(Position::new(position)));
}

fn last(producers: &OrdMap<Arc<str>, ProducerState>) -> Option<u64> {
    producers.get("p").map(|state| state.last)
}

use Verdict::{Accepted, Duplicate, Fenced, Gap};

#[test]
fn each_number_is_taken_once_and_in_order() {
    let mut dedup = Dedup::default();
    // Whatever the first one is: the log may begin in its middle.
    assert_eq!(messages(&mut dedup, 1, [4, 5]), [Accepted, Accepted]);
    assert_eq!(
        messages(&mut dedup, 1, [5, 4, 7, 6, 7]),
        [Duplicate, Duplicate, Gap, Accepted, Accepted]
    );
    assert_eq!(messages(&mut dedup, 0, [8]), [Fenced]);
    assert_eq!(messages(&mut dedup, 1, [u64::MAX, 0]), [Gap, Duplicate]);
}

#[test]
fn a_fence_voids_older_epochs_and_goes_on_with_the_numbers() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [1, 2]);
    fence(&mut dedup, 5);
    assert_eq!(messages(&mut dedup, 1, [3]), [Fenced]);
    assert_eq!(messages(&mut dedup, 5, [2, 3]), [Duplicate, Accepted]);
    fence(&mut dedup, 4);
    assert_eq!(messages(&mut dedup, 5, [4]), [Accepted]);
    assert!(!dedup.state("p").unwrap().fresh);
}

#[test]
fn a_base_says_where_a_fenced_producer_goes_on() {
    let mut dedup = Dedup::default();
    fence(&mut dedup, 5);
    assert!(dedup.state("p").unwrap().fresh);
    control(&mut dedup, 5, Kind::Base { last: 9 });
    // Nothing was read before, so nothing is missing.
    assert_eq!(dedup.take_missing(), 0);
    assert_eq!(messages(&mut dedup, 5, [9, 10]), [Duplicate, Accepted]);
    // Of an older epoch, it says nothing.
    control(&mut dedup, 4, Kind::Base { last: 30 });
    // Of a newer one whose fence wasn't seen, it takes numbers back.
    control(&mut dedup, 6, Kind::Base { last: 8 });
    assert_eq!(messages(&mut dedup, 6, [9]), [Accepted]);
    assert_eq!(dedup.take_missing(), 0);
}

#[test]
fn the_first_number_of_an_epoch_is_exact() {
    // Reading begins behind 5, which was lost; 6 to 9 never count, and come again.
    for first in ["base", "tick"] {
        let mut dedup = Dedup::default();
        assert_eq!(messages(&mut dedup, 1, [6, 7, 8, 9]), [Accepted; 4]);
        fence(&mut dedup, 2);
        assert_eq!(last(&dedup.at_head()), Some(9));
        if first == "base" {
            control(&mut dedup, 2, Kind::Base { last: 4 });
        } else {
            assert_eq!(dedup.tick(&stamp("p", 2, 4), true, MAX), Ok(Accepted));
        }
        assert_eq!(messages(&mut dedup, 2, [5, 6, 7, 8, 9]), [Accepted; 5], "{first}");
        assert_eq!(dedup.take_missing(), 0);
    }
}

#[test]
fn no_late_copy_takes_a_number_back() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [1, 2]);
    let begin = |dedup: &mut Dedup| {
        fence(dedup, 2);
        control(dedup, 2, Kind::Base { last: 2 });
    };
    begin(&mut dedup);
    assert_eq!(messages(&mut dedup, 2, [3, 4]), [Accepted; 2]);
    begin(&mut dedup);
    assert_eq!(dedup.tick(&stamp("p", 2, 3), true, MAX), Ok(Accepted));
    // Copies of an older epoch say nothing, and don't make the newest one begin again.
    fence(&mut dedup, 1);
    control(&mut dedup, 1, Kind::Base { last: 0 });
    control(&mut dedup, 2, Kind::Base { last: 2 });
    assert_eq!(messages(&mut dedup, 2, [3, 4, 5]), [Duplicate, Duplicate, Accepted]);
    // Without a base, the first message that is taken says that the numbers go on.
    fence(&mut dedup, 3);
    assert_eq!(messages(&mut dedup, 3, [6]), [Accepted]);
    control(&mut dedup, 3, Kind::Base { last: 5 });
    assert_eq!(messages(&mut dedup, 3, [6, 7]), [Duplicate, Accepted]);
}

#[test]
fn an_epoch_whose_fence_was_not_seen_voids_all_that_is_older() {
    let mut dedup = Dedup::default();
    // Reading begins behind the fence of 2, and a program of epoch 1 still writes.
    assert_eq!(messages(&mut dedup, 1, [8, 9]), [Accepted; 2]);
    control(&mut dedup, 1, Kind::Goodbye);
    assert_eq!(messages(&mut dedup, 2, [5, 6]), [Accepted; 2]);
    assert_eq!(messages(&mut dedup, 1, [10]), [Fenced]);
    assert!(!dedup.state("p").unwrap().closed);
    control(&mut dedup, 2, Kind::Goodbye);
    assert_eq!(dedup.tick(&stamp("p", 3, 6), true, MAX), Ok(Accepted));
    assert!(!dedup.state("p").unwrap().closed);
}

#[test]
fn a_fence_is_remembered_in_checkpoints_until_a_number_follows() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [8, 9]);
    fence(&mut dedup, 2);
    ticked(&mut dedup, 10, 0, 1);
    dedup.settle(Position::new(10));
    let json = serde_json::to_string(&dedup.at_cut()).unwrap();
    let mut resumed = Dedup::resume(serde_json::from_str(&json).unwrap(), Vector::new());
    control(&mut resumed, 2, Kind::Base { last: 4 });
    assert_eq!(messages(&mut resumed, 2, [5]), [Accepted]);
    // A checkpoint of before fences were remembered is read, and keeps the greater number.
    let json = json.replace(",\"fenced\":true", "");
    let mut resumed = Dedup::resume(serde_json::from_str(&json).unwrap(), Vector::new());
    control(&mut resumed, 2, Kind::Base { last: 4 });
    assert_eq!(messages(&mut resumed, 2, [9, 10]), [Duplicate, Accepted]);
}

#[test]
fn a_tick_tells_what_is_missing() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [1, 2]);
    assert_eq!(dedup.tick(&stamp("p", 1, 2), true, MAX), Ok(Accepted));
    assert_eq!(dedup.take_missing(), 0);
    assert_eq!(dedup.tick(&stamp("p", 1, 6), true, MAX), Ok(Accepted));
    assert_eq!((dedup.take_missing(), dedup.take_missing()), (4, 0));
    assert_eq!(messages(&mut dedup, 1, [6, 7]), [Duplicate, Accepted]);
    fence(&mut dedup, 2);
    assert_eq!(dedup.tick(&stamp("p", 1, 9), true, MAX), Ok(Fenced));
    control(&mut dedup, 2, Kind::Base { last: 7 });
    // An old tick in the newest epoch takes nothing back.
    assert_eq!(dedup.tick(&stamp("p", 2, 3), true, MAX), Ok(Accepted));
    assert_eq!(messages(&mut dedup, 2, [7, 8]), [Duplicate, Accepted]);
}

#[test]
fn there_is_room_for_so_many_producers() {
    let mut dedup = Dedup::default();
    for producer in ["a", "b", "c"] {
        assert_eq!(dedup.message(&stamp(producer, 1, 1), MAX), Ok(Accepted));
    }
    assert_eq!(dedup.message(&stamp("d", 1, 1), MAX), Err(TooMany));
    assert_eq!(dedup.tick(&stamp("d", 1, 1), true, MAX), Err(TooMany));
    assert_eq!(dedup.producers(), MAX);
}

#[test]
fn the_state_is_that_at_the_cut_and_that_at_the_head() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [1]);
    ticked(&mut dedup, 10, 0, 1);
    messages(&mut dedup, 1, [2]);
    ticked(&mut dedup, 20, 1, 2);
    messages(&mut dedup, 1, [3]);
    assert_eq!((last(&dedup.at_cut()), last(&dedup.at_head())), (None, Some(3)));
    dedup.settle(Position::new(9));
    assert_eq!(last(&dedup.at_cut()), None);
    dedup.settle(Position::new(10));
    assert_eq!((last(&dedup.at_cut()), last(&dedup.at_head())), (Some(1), Some(3)));
    assert_eq!(dedup.at_cut()["p"].heard, Some(seconds(1)));
    dedup.settle(Position::new(25));
    assert_eq!((last(&dedup.at_cut()), last(&dedup.at_head())), (Some(2), Some(3)));

    let resumed = Dedup::resume(dedup.at_cut(), Vector::new());
    assert_eq!((last(&resumed.at_cut()), last(&resumed.at_head())), (Some(2), Some(2)));
}

#[test]
fn what_follows_a_tick_is_judged_again() {
    let mut dedup = Dedup::default();
    for seq in 1..=3 {
        messages(&mut dedup, 1, [seq]);
        left_out(&mut dedup, [seq * 10 - 1]);
        ticked(&mut dedup, seq * 10, seq - 1, seq);
    }
    messages(&mut dedup, 1, [4]);
    left_out(&mut dedup, [31]);
    dedup.rewind(Position::new(20), Some(Position::new(29)));
    assert_eq!(last(&dedup.at_head()), Some(2));
    assert_eq!([19, 29, 31].map(|p| dedup.left_out(Position::new(p))), [true, true, false]);
    assert_eq!(messages(&mut dedup, 1, [2, 3]), [Duplicate, Accepted]);
    dedup.rewind(Position::new(20), None);
    assert_eq!([19, 29].map(|p| dedup.left_out(Position::new(p))), [true, false]);
    assert_eq!(messages(&mut dedup, 1, [3]), [Accepted]);
}

#[test]
fn its_memory_is_counted_and_given_back() {
    let mut dedup = Dedup::default();
    assert_eq!(dedup.bytes(), 0);
    let mut sizes = Vec::new();
    for seq in 1..=4 {
        messages(&mut dedup, 1, [seq]);
        ticked(&mut dedup, seq * 10, seq - 1, seq);
        sizes.push(dedup.bytes());
    }
    assert!(sizes.is_sorted_by(|a, b| a < b) && sizes[3] == 4 * sizes[0], "{sizes:?}");
    assert!(sizes[0] >= size_of::<Change>() + size_of::<Position>());
    // A tick before which nothing changed takes nothing.
    ticked(&mut dedup, 50, 4, 5);
    assert_eq!(dedup.bytes(), sizes[3]);
    dedup.settle(Position::new(10));
    assert_eq!(dedup.bytes(), sizes[2]);
    dedup.rewind(Position::new(20), None);
    assert_eq!(dedup.bytes(), sizes[0]);
    dedup.settle(Position::new(20));
    assert_eq!(dedup.bytes(), 0);
    left_out(&mut dedup, [21, 22]);
    assert_eq!(dedup.bytes(), 2 * size_of::<Position>());
}

#[test]
fn left_out_positions_are_those_up_to_the_cut() {
    let positions = |found: Vector<Position>| found.into_iter().collect::<Vec<_>>();
    let expected = |list: &[u64]| list.iter().copied().map(Position::new).collect::<Vec<_>>();
    let mut dedup = Dedup::default();
    left_out(&mut dedup, [3, 5, 8, 9]);
    let mut dropped =
        |from, upto| positions(dedup.dropped(Position::new(from), Position::new(upto)));
    assert_eq!(dropped(0, 8), expected(&[3, 5, 8]));
    assert_eq!(dropped(5, 7), expected(&[5]));
    assert_eq!(dropped(0, 99), expected(&[5, 8, 9]));
    assert_eq!(dropped(9, 2), expected(&[]));
    assert_eq!(dropped(0, 9), expected(&[9]));
}

#[test]
fn silent_producers_are_forgotten_and_said_goodbye_sooner() {
    // After 80 s, or 800 s without goodbye, looked at every 10 s.
    let mut dedup = Dedup::default();
    messages(&mut dedup, 1, [1]);
    dedup.message(&stamp("q", 1, 1), MAX).unwrap();
    control(&mut dedup, 1, Kind::Goodbye);
    assert!(dedup.state("p").unwrap().closed && !dedup.state("q").unwrap().closed);
    ticked(&mut dedup, 10, 0, 5);
    ticked(&mut dedup, 20, 5, 85);
    assert_eq!(dedup.producers(), 2);
    // It is time, but nobody looks.
    ticked(&mut dedup, 30, 85, 89);
    assert_eq!(dedup.producers(), 2);
    ticked(&mut dedup, 40, 89, 90);
    assert_eq!((dedup.producers(), dedup.state("p")), (1, None));
    assert_eq!(dedup.at_head().keys().map(|k| &**k).collect::<Vec<_>>(), ["q"]);
    // It is as if it were heard of for the first time, and the other one is still found.
    assert_eq!(messages(&mut dedup, 1, [1]), [Accepted]);
    assert_eq!(dedup.message(&stamp("q", 1, 1), MAX), Ok(Duplicate));
    ticked(&mut dedup, 50, 90, 91);
    ticked(&mut dedup, 60, 91, 805);
    assert_eq!(dedup.producers(), 2);
    ticked(&mut dedup, 70, 805, 811);
    assert_eq!(dedup.producers(), 1);
    ticked(&mut dedup, 80, 811, 900);
    assert_eq!(dedup.producers(), 0);
    dedup.settle(Position::new(80));
    assert!(dedup.at_cut().is_empty());
}

#[test]
fn goodbye_of_another_epoch_says_nothing() {
    let mut dedup = Dedup::default();
    messages(&mut dedup, 3, [1]);
    control(&mut dedup, 2, Kind::Goodbye);
    assert!(!dedup.state("p").unwrap().closed);
    control(&mut dedup, 3, Kind::Goodbye);
    assert!(dedup.state("p").unwrap().closed);
    // A copy of its own fence doesn't open it again, a newer epoch does.
    fence(&mut dedup, 3);
    assert!(dedup.state("p").unwrap().closed);
    fence(&mut dedup, 4);
    assert!(!dedup.state("p").unwrap().closed);
}

#[test]
fn a_tick_that_more_was_sent_ahead_of_only_raises_a_number_that_is_known() {
    let mut dedup = Dedup::default();
    let ahead = |dedup: &mut Dedup, epoch, seq| dedup.tick(&stamp("p", epoch, seq), false, MAX);
    assert_eq!(ahead(&mut dedup, 1, 5), Ok(Accepted));
    assert_eq!(dedup.state("p"), None);
    // 6 and 7 stand before the place where reading began.
    assert_eq!(dedup.message(&stamp("p", 1, 8), MAX), Ok(Accepted));
    assert_eq!(ahead(&mut dedup, 1, 6), Ok(Accepted));
    assert_eq!(dedup.state("p").unwrap().last, 8);
    assert_eq!(ahead(&mut dedup, 1, 9), Ok(Accepted));
    assert_eq!((dedup.state("p").unwrap().last, dedup.take_missing()), (9, 1));
    // A newer epoch's says nothing of what follows it, and an older one's is void.
    assert_eq!(ahead(&mut dedup, 2, 4), Ok(Accepted));
    assert_eq!(dedup.message(&stamp("p", 2, 12), MAX), Ok(Accepted));
    assert_eq!(ahead(&mut dedup, 1, 20), Ok(Fenced));
    assert_eq!(dedup.state("p").unwrap().last, 12);
}
