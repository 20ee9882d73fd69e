//! Ticks that messages are sent ahead of.

use super::*;

/// The next piece: the numbers of its records, and for a tick what was sent before it.
fn next(queue: &mut UnackedQueue) -> Option<(Vec<u64>, Option<String>)> {
    let piece = queue.piece()?;
    queue.sent(Receipt::pending().1);
    let sent = piece.iter().find_map(|record| record.header(SENT_HEADER));
    let sent = sent.map(|value| String::from_utf8_lossy(value).into_owned());
    Some((piece.iter().filter_map(|r| r.meta.stamp.as_ref()).map(|s| s.seq).collect(), sent))
}

fn exact(numbers: &[u64]) -> Option<(Vec<u64>, Option<String>)> {
    Some((numbers.to_vec(), None))
}

fn fails() -> Outcome {
    let error = TransportError::new("submit", TransportErrorKind::Closed);
    Outcome::partial(Vec::new(), Fate::Unknown, error)
}

#[test]
fn messages_are_sent_ahead_of_a_tick_that_waits_for_those_before_it() {
    let mut queue = queue();
    let receipts = ["mm", "t", "m", "t", "t"].map(|types| take(&mut queue, types));
    assert_eq!(next(&mut queue), exact(&[5, 6]));
    assert_eq!(next(&mut queue), exact(&[7]));
    assert_eq!(next(&mut queue), None);
    assert!(queue.is_sent());
    queue.settle(stored([1, 2])).unwrap();
    assert_eq!(next(&mut queue), Some((vec![6], Some("7".to_owned()))));
    assert_eq!(next(&mut queue), None);
    // A tick waits for messages, not for ticks.
    queue.settle(stored([3])).unwrap();
    assert_eq!([next(&mut queue), next(&mut queue)], [exact(&[7]), exact(&[7])]);
    for position in 4..7 {
        queue.settle(stored([position])).unwrap();
    }
    assert!(queue.is_empty() && queue.bytes() == 0);
    let stored = receipts.map(|receipt| receipt.now_or_never().unwrap().stored);
    let positions = [&[1, 2][..], &[4], &[3], &[5], &[6]];
    assert_eq!(stored, positions.map(|p| p.iter().copied().map(Position::new).collect::<Vec<_>>()));
    assert_eq!(queue.counts.get().overtaken_ticks, 1);
}

#[test]
fn a_message_is_complete_though_a_tick_before_it_waits() {
    let mut queue = queue();
    let [_first, _tick, second] = ["mm", "t", "m"].map(|types| take(&mut queue, types));
    let bytes = queue.bytes();
    while next(&mut queue).is_some() {}
    queue.settle(stored([1, 2])).unwrap();
    assert_eq!(next(&mut queue).unwrap().0, [6]);
    queue.settle(stored([3])).unwrap();
    assert_eq!(second.now_or_never().unwrap().stored, [Position::new(3)]);
    assert!(queue.bytes() < bytes / 2 && !queue.is_empty());
    // Nothing is kept to be sent again, either.
    let kept: Vec<_> = queue.batches.iter().map(|batch| batch.resend.len()).collect();
    assert_eq!(kept, [1, 0]);
}

#[test]
fn so_many_bytes_are_sent_ahead_of_a_tick_and_no_more() {
    let size = batch("m")[0].footprint();
    let many = 10_000 / size;
    let mut queue = queue();
    let _first = [take(&mut queue, "m"), take(&mut queue, "t")];
    let _ahead: Vec<_> = (0..=many).map(|_| take(&mut queue, "m")).collect();
    let sent = std::iter::from_fn(|| next(&mut queue)).count();
    assert_eq!(sent, 1 + many);
    assert!(!queue.is_sent());
    queue.settle(stored([1])).unwrap();
    assert_eq!(next(&mut queue).unwrap().1, Some((5 + many).to_string()));
    assert_eq!(next(&mut queue), exact(&[6 + many as u64]));
    assert!(queue.is_sent());
}

#[test]
fn so_many_ticks_are_unacknowledged_and_no_more() {
    let mut queue = queue();
    let _message = take(&mut queue, "m");
    let _ticks: Vec<_> = (1..TICKS_IN_FLIGHT).map(|_| take(&mut queue, "t")).collect();
    assert_eq!((next(&mut queue), next(&mut queue)), (exact(&[5]), None));
    assert!(queue.is_sent());
    let _tick = take(&mut queue, "t");
    assert_eq!(next(&mut queue), None);
    assert!(!queue.is_sent());
    queue.settle(stored([1])).unwrap();
    while next(&mut queue).is_some() {}
    assert!(!queue.is_sent(), "after a failure they are sent one by one");
    queue.settle(stored([2])).unwrap();
    assert!(queue.is_sent());
    let (fate, _) = queue.settle(fails()).unwrap_err();
    queue.rewind(fate, Instant::now());
    flush_in_order(&mut queue);
    let _ticks: Vec<_> = (1..TICKS_IN_FLIGHT).map(|_| take(&mut queue, "t")).collect();
    while next(&mut queue).is_some() {}
    assert!(queue.is_sent(), "each is counted once");
}

#[test]
fn a_late_message_is_sent_after_the_ticks_that_wait() {
    let mut queue = queue();
    let _receipts = ["m", "t", "l", "m"].map(|types| take(&mut queue, types));
    assert_eq!((next(&mut queue), next(&mut queue)), (exact(&[5]), None));
    assert!(!queue.is_sent());
    queue.settle(stored([1])).unwrap();
    assert_eq!([(); 3].map(|()| next(&mut queue)), [exact(&[5]), exact(&[6]), exact(&[7])]);
}

#[test]
fn without_a_session_a_tick_of_a_pack_waits_for_the_ticks_before_it() {
    let now = Instant::now();
    let mut queue =
        UnackedQueue::new("a".into(), None, 0, Timestamp(1), 10_000, now, Counts::default());
    let _receipts = ["m", "t", "mt"].map(|types| take(&mut queue, types));
    assert_eq!(queue.piece().unwrap().len(), 1);
    queue.sent(Receipt::pending().1);
    assert!(queue.piece().is_none() && !queue.is_sent());
    queue.settle(stored([1])).unwrap();
    assert_eq!([queue.piece().unwrap().len(), queue.piece().unwrap().len()], [1, 2]);
}

#[test]
fn after_a_failure_a_tick_waits_for_all_before_it_and_tells_what_was_ever_sent() {
    let mut queue = queue();
    let _receipts = ["m", "t", "m", "t", "m"].map(|types| take(&mut queue, types));
    while next(&mut queue).is_some() {}
    queue.settle(stored([1])).unwrap();
    assert_eq!(next(&mut queue), Some((vec![5], Some("7".to_owned()))));
    let (fate, _) = queue.settle(fails()).unwrap_err();
    queue.rewind(fate, Instant::now());
    assert_eq!(next(&mut queue), Some((vec![5], Some("7".to_owned()))));
    assert_eq!(next(&mut queue), exact(&[6]));
    assert_eq!(next(&mut queue), None);
    queue.settle(stored([2])).unwrap();
    assert_eq!(next(&mut queue), None);
    queue.settle(stored([3])).unwrap();
    assert_eq!(next(&mut queue), Some((vec![6], Some("7".to_owned()))));
    assert_eq!(next(&mut queue), exact(&[7]));
    // What comes later isn't held back.
    let _later = ["t", "m"].map(|types| take(&mut queue, types));
    assert_eq!((next(&mut queue), next(&mut queue)), (exact(&[8]), None));
    for position in 4..6 {
        queue.settle(stored([position])).unwrap();
    }
    assert_eq!(next(&mut queue), Some((vec![7], Some("8".to_owned()))));
}

#[test]
fn a_base_an_end_and_a_tick_of_a_pack_wait_for_ticks_and_hold_messages_back() {
    for what in ["base", "end", "pack"] {
        let mut queue = queue();
        let _receipts = ["m", "t"].map(|types| take(&mut queue, types));
        let ((reply, _receipt), now) = (Receipt::pending(), Instant::now());
        let mut tick = batch("t");
        match what {
            "base" => queue.take_base(reply, now),
            "end" => {
                tick[0].extra.push(Header::new(END_HEADER, "1"));
                queue.take(tick, Vec::new(), reply, now);
            }
            _ => queue.take(tick, Vec::new(), reply, now),
        }
        let _after = take(&mut queue, "m");
        assert_eq!((next(&mut queue), next(&mut queue)), (exact(&[5]), None));
        assert!(!queue.is_sent());
        queue.settle(stored([1])).unwrap();
        assert_eq!((next(&mut queue), next(&mut queue)), (exact(&[5]), None));
        queue.settle(stored([2])).unwrap();
        assert_eq!(next(&mut queue), exact(if what == "base" { &[] } else { &[5] }));
        assert_eq!(next(&mut queue), exact(&[6]));
    }
}

#[test]
fn the_number_is_told_before_a_goodbye() {
    let mut queue = queue();
    assert_eq!(queue.goodbye().len(), 1, "opening told it");
    let _receipts = ["m", "t", "m"].map(|types| take(&mut queue, types));
    flush_in_order(&mut queue);
    assert_eq!(queue.goodbye().len(), 2);
    let _tick = take(&mut queue, "t");
    flush_in_order(&mut queue);
    assert_eq!(queue.goodbye().len(), 1);
}

fn flush_in_order(queue: &mut UnackedQueue) {
    while !queue.is_empty() {
        while next(queue).is_some() {}
        let count = queue.pieces.front().unwrap().1;
        queue.settle(stored((1..).take(count))).unwrap();
    }
}

#[test]
fn without_a_session_ticks_are_not_written_once_something_failed() {
    let now = Instant::now();
    let mut queue =
        UnackedQueue::new("a".into(), None, 0, Timestamp(1), 10_000, now, Counts::default());
    let [first, tick, second] = ["mm", "t", "mm"].map(|types| take(&mut queue, types));
    let pieces: Vec<_> = std::iter::from_fn(|| {
        let piece = queue.piece()?;
        queue.sent(Receipt::pending().1);
        assert!(piece.iter().all(|record| record.meta.stamp.is_none()));
        Some(piece.len())
    })
    .collect();
    assert_eq!(pieces, [2, 2]);
    let (fate, error) = queue.settle(fails()).unwrap_err();
    queue.poison(fate, error);
    let fate = |receipt: Receipt| receipt.now_or_never().unwrap().rest.unwrap().fate;
    assert_eq!([fate(first), fate(tick)], [Fate::Unknown, Fate::NotStored]);
    queue.settle(stored([3, 4])).unwrap();
    assert_eq!(second.now_or_never().unwrap().stored.len(), 2);
    let later = take(&mut queue, "t");
    assert!(queue.piece().is_none());
    assert_eq!(fate(later), Fate::NotStored);
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[test]
fn an_outcome_with_all_positions_that_failed_all_the_same_is_no_panic() {
    let now = Instant::now();
    let mut queue =
        UnackedQueue::new("a".into(), None, 0, Timestamp(1), 10_000, now, Counts::default());
    let [message, tick] = ["m", "t"].map(|types| take(&mut queue, types));
    assert_eq!(queue.piece().unwrap().len(), 1);
    queue.sent(Receipt::pending().1);
    let error = TransportError::new("submit", TransportErrorKind::Closed);
    let outcome = Outcome::partial(vec![Position::new(1)], Fate::Unknown, error);
    let (fate, error) = queue.settle(outcome).unwrap_err();
    queue.poison(fate, error);
    assert!(message.now_or_never().unwrap().rest.is_none());
    assert!(queue.piece().is_none() && queue.is_empty());
    assert_eq!(tick.now_or_never().unwrap().rest.unwrap().fate, Fate::NotStored);
}

#[test]
fn a_tick_that_isnt_exact_doesnt_replace_a_base() {
    let start = Instant::now();
    let mut queue = sending_all_ahead();
    let mut bases = |batches: &[&str], seconds| {
        let now = start + Duration::from_secs(seconds);
        for types in batches {
            let _receipt = take_at(&mut queue, types, now);
        }
        flush_in_order(&mut queue);
        queue.counts.get().bases_sent
    };
    assert_eq!([bases(&["m", "t", "m"], 30), bases(&["m"], 61)], [0, 1]);
    assert_eq!([bases(&["m", "t"], 100), bases(&["m"], 159), bases(&["m"], 160)], [1, 1, 2]);

    let mut queue = sending_all_ahead();
    for types in ["m".repeat(60_000), "t".to_owned(), "m".repeat(40_000)] {
        let _receipt = take_at(&mut queue, &types, start);
    }
    flush_in_order(&mut queue);
    let _receipt = take_at(&mut queue, "m", start);
    assert_eq!(queue.counts.get().bases_sent, 1);
}

/// A queue of which everything may be sent ahead of ticks.
fn sending_all_ahead() -> UnackedQueue {
    UnackedQueue { overtake: usize::MAX, ..queue() }
}
