#![allow(clippy::unwrap_used)]

mod history;

use std::collections::VecDeque;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::record::{Header, Meta, Origin, SENT_HEADER};
use crate::transport::Start;

fn written(what: &str) -> Record {
    let mut words = what.split(' ');
    let (kind, epoch, number) = (words.next(), words.next(), words.next());
    let epoch = Position::new(epoch.and_then(|w| w.parse().ok()).unwrap_or_default());
    let number = number.and_then(|w| w.parse().ok()).unwrap_or_default();
    let msg_type = if kind == Some("m") { MsgType::INSERT } else { MsgType::TIME_TICK };
    let mut record = Record::new(Meta::new(msg_type, Timestamp(5)), Vec::new());
    let producer: Arc<str> = "p".into();
    let control = |kind| Control { producer: producer.clone(), epoch: Some(epoch), kind };
    match kind {
        Some("fence") => control(Kind::Fence { nonce: number }).write(&mut record),
        Some("base") => control(Kind::Base { last: number }).write(&mut record),
        _ => {
            let origin = Arc::new(Origin { producer: producer.clone(), epoch });
            record.meta.stamp = Some(Stamp { origin, seq: number });
            record.extra.extend(words.next().map(|sent| Header::new(SENT_HEADER, sent.to_owned())));
        }
    }
    record
}

fn seen(log: &[&str]) -> Seen {
    let mut seen = Seen::new("p".into());
    log.iter().for_each(|what| seen.see(&written(what)));
    seen
}

#[test]
fn the_last_number_is_that_of_the_last_message_that_was_taken() {
    for (last, log) in [
        (None, &[][..]),
        (None, &["fence 1"]),
        (Some(0), &["fence 1", "base 1 0"]),
        (Some(2), &["base 1 0", "m 1 1", "m 1 2"]),
        // One is missing, and comes again.
        (Some(1), &["base 1 0", "m 1 1", "m 1 3", "m 1 4"]),
        (Some(3), &["base 1 0", "m 1 1", "m 1 3", "m 1 2", "m 1 3"]),
        // Reading begins in the middle.
        (None, &["m 1 7", "m 1 8"]),
        (Some(9), &["m 1 7", "t 1 8", "m 1 9"]),
        (Some(9), &["t 1 8", "m 1 9", "m 1 11"]),
        // An older epoch goes on writing.
        (Some(1), &["base 1 0", "m 1 1", "fence 2", "m 1 2", "t 1 2", "base 2 1", "m 1 2"]),
        (Some(2), &["base 1 0", "m 1 1", "fence 2", "base 2 1", "m 2 2", "t 1 9"]),
        // What tells the newest epoch's number is before the place where reading began.
        (None, &["t 1 5", "m 2 9"]),
        (None, &["m 2 9", "t 1 5"]),
        (Some(9), &["t 1 5", "m 2 8", "base 2 9"]),
        // An older epoch wrote on behind a fence that is before the place where reading began.
        (Some(4), &["t 1 8", "m 1 9", "m 1 10", "base 2 4"]),
        (Some(5), &["t 1 8", "m 1 9", "fence 3", "base 3 4", "m 3 5"]),
        (Some(5), &["t 1 8", "m 1 9", "fence 3", "t 3 4", "m 3 5"]),
        // Late copies take nothing back.
        (Some(6), &["fence 2", "base 2 4", "m 2 5", "m 2 6", "fence 2", "base 2 4", "t 2 5"]),
        // A tick that isn't exact makes no number known, and raises one that is.
        (None, &["t 1 5 7", "m 1 8"]),
        (Some(8), &["t 1 5 7", "m 1 8", "t 1 6 8", "t 1 8"]),
        (Some(8), &["t 1 5", "m 1 6", "m 1 7", "t 1 5 7", "m 1 8"]),
        (Some(7), &["t 1 5", "t 1 7 8"]),
        (None, &["t 1 8", "t 2 5 7", "m 2 8"]),
        (Some(9), &["fence 1", "base 1 8", "fence 2", "base 2 8", "t 1 9", "m 2 9", "t 2 8 9"]),
        // Where a fence is a late copy, its epoch's base is before it.
        (None, &["t 1 8", "fence 2", "m 2 5"]),
        (Some(6), &["t 1 8", "fence 2", "m 2 5", "t 2 5", "m 2 6"]),
    ] {
        assert_eq!(seen(log).last(), last, "{log:?}");
    }
    assert!(seen(&["m 1 7"]).is_unclear());
    assert!(!seen(&["fence 1"]).is_unclear());
    assert!(!seen(&["m 1 7", "t 1 7"]).is_unclear());
}

#[test]
fn a_number_that_may_be_a_late_copys_is_not_told_where_messages_are_ahead_of_it() {
    for (unclear, log) in [
        (false, &["t 1 4"][..]),
        (false, &["t 1 4", "m 1 5"]),
        // Is 5 lost, and comes again, or is it before the place where reading began?
        (true, &["t 1 4", "m 1 6"]),
        (true, &["m 1 6", "t 1 4"]),
        (true, &["t 1 4", "m 1 6", "t 1 4", "t 1 3"]),
        (true, &["base 1 4", "m 1 6", "fence 2"]),
        (false, &["t 1 4", "m 1 6", "t 1 6"]),
        (false, &["m 1 4", "t 1 4", "m 1 6"]),
        // Several ticks with one number are in flight together, so all may be late.
        (true, &["t 1 4", "t 1 4", "m 1 6"]),
        (true, &["t 1 4 6", "t 1 4"]),
        (false, &["t 1 4 6", "t 1 6"]),
        (true, &["t 1 4 6", "t 1 6", "m 1 8"]),
        (false, &["m 1 6", "t 1 4 6", "t 1 6", "m 1 8"]),
        // The next one that tells a number can't be late, too.
        (false, &["t 1 4", "m 1 5", "t 1 5", "m 1 7"]),
        // With the fence before it, the first number is exact.
        (false, &["fence 1", "base 1 4", "m 1 6"]),
        (false, &["m 1 6", "t 1 4", "fence 2", "base 2 4"]),
        // The next epoch's is another matter.
        (true, &["fence 1", "base 1 4", "t 2 4", "m 2 6"]),
        (false, &["t 1 4", "m 1 6", "t 2 4", "m 2 5"]),
    ] {
        assert_eq!(seen(log).is_unclear(), unclear, "{log:?}");
    }
}

#[test]
fn a_copy_of_a_fence_begins_no_epoch() {
    let seen = seen(&["fence 1", "fence 3", "fence 3", "fence 2"]);
    assert_eq!(seen.newest(), Some(Position::new(3)));
    assert_eq!(seen.prior(), Some(Position::new(1)));
}

#[test]
fn others_and_the_end_of_time_are_left_out() {
    let mut seen = Seen::new("q".into());
    seen.see(&written("base 1 5"));
    seen.see(&written("m 1 6"));
    assert_eq!((seen.last(), seen.newest()), (None, None));
    assert_eq!(seen.watermark(), Timestamp(5));
    seen.see(&Record::new(Meta::new(MsgType::TIME_TICK, Timestamp::MAX), Vec::new()));
    assert_eq!(seen.watermark(), Timestamp(5));
}

#[test]
fn of_what_is_behind_the_own_fence_the_epoch_counts_and_nothing_else() {
    for (newest, log) in [
        (1, &["t 1 5"][..]),
        (3, &["fence 3"]),
        (3, &["base 3 7", "fence 2"]),
        (4, &["m 4 1", "t 3 1"]),
    ] {
        let mut seen = seen(&["base 1 2", "m 1 3"]);
        log.iter().for_each(|what| seen.see_epoch(&written(what)));
        assert_eq!(seen.newest(), Some(Position::new(newest)), "{log:?}");
        assert_eq!((seen.last(), seen.prior()), (Some(3), None), "{log:?}");
    }
    let mut other = Seen::new("q".into());
    ["fence 3", "m 4 1"].iter().for_each(|what| other.see_epoch(&written(what)));
    assert_eq!(other.newest(), None);
}

/// Gives these batches, and nothing after them.
#[derive(Debug)]
struct Batches(VecDeque<ReadBatch>);

#[async_trait]
impl ChannelReader for Batches {
    async fn read(&mut self, _: Limit) -> Result<ReadBatch, TransportError> {
        Ok(self.0.pop_front().expect("nobody asked for more"))
    }
    async fn seek(&mut self, _: Start) -> Result<(), TransportError> {
        unreachable!("a scan reads on")
    }
    fn incarnation(&self) -> Incarnation {
        Incarnation(0)
    }
}

/// A scan of batches: what is in each, where reading goes on, and whether that is the end.
fn scan(batches: &[(&[&str], u64, bool)]) -> Scan {
    let mut position = 0;
    let batch = |&(log, next, caught_up): &(&[&str], u64, bool)| {
        let record = |what: &&str| {
            let record = Record { position: Position::new(position), ..written(what) };
            position += 1;
            record
        };
        ReadBatch::new(log.iter().map(record).collect(), Position::new(next), caught_up)
    };
    Scan::new(Box::new(Batches(batches.iter().map(batch).collect())), "p".into())
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_until_the_reader_or_the_broker_says_that_it_is_the_end() {
    let first = (&["base 1 0", "m 1 1"][..], 2, false);
    for last in [(&["m 1 2"][..], 3, true), (&["m 1 2"], 4, false), (&["m 1 2"], 5, false)] {
        let mut scan = scan(&[first, last]);
        scan.read_to_end(Position::new(4), deadline()).await.unwrap();
        assert_eq!(scan.seen.last(), Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn reading_to_a_record_ends_with_it_whatever_the_reader_takes_for_the_end() {
    let mut scan = scan(&[
        (&["base 1 0"], 1, true),
        (&[], 1, true),
        (&["m 1 1", "fence 2", "base 2 4", "m 2 5", "fence 5"], 6, true),
    ]);
    scan.read_to(Position::new(3), deadline()).await.unwrap();
    // The message at 4 and the fence at 5 are behind it.
    assert_eq!((scan.seen.last(), scan.seen.newest()), (Some(4), Some(Position::new(5))));
}

proptest! {
    // Wherever reading begins, what it tells is right, or it tells nothing.
    #[test]
    fn a_part_of_the_log_tells_the_same_or_nothing(
        kinds in prop::collection::vec((0_u8..6, 0_u64..3), 1..40),
        from: prop::sample::Index,
    ) {
        // A producer that behaves: it ticks what is taken, and a new epoch begins with a base.
        let mut whole = Seen::new("p".into());
        let (mut epoch, mut log) = (1, vec!["base 1 0".to_owned()]);
        whole.see(&written("base 1 0"));
        for (kind, ahead) in kinds {
            let last = whole.last().unwrap_or_default();
            let lines = match kind {
                0 => vec![format!("t {epoch} {last}")],
                1 => vec![format!("m {} {}", epoch - 1, last + 1)],
                2 => vec![format!("fence {}", epoch + 1), format!("base {} {last}", epoch + 1)],
                _ => vec![format!("m {epoch} {}", last + ahead)],
            };
            epoch += u64::from(kind == 2);
            for line in lines {
                whole.see(&written(&line));
                log.push(line);
            }
        }
        let from = from.index(log.len());
        let part: Vec<_> = log[from..].iter().map(String::as_str).collect();
        let part = seen(&part);
        prop_assert!(part.last().is_none() || part.last() == whole.last(), "{log:?} from {from}");
    }
}
