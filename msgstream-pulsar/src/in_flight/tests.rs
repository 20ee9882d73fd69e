#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures::FutureExt as _;

use super::*;

fn producer() -> Arc<Producer> {
    Producer::new("orders", Duration::from_secs(30))
}

fn entries(messages: &[u32]) -> Vec<EncodedEntry> {
    messages.iter().map(|n| EncodedEntry { payload: vec![0; 10], messages: *n }).collect()
}

fn submit(producer: &Producer, messages: &[u32]) -> Receipt {
    producer.submit(entries(messages), |_, _| {})
}

#[track_caller]
fn outcome(receipt: Receipt) -> (Vec<String>, Option<(Fate, Kind)>) {
    let outcome = receipt.now_or_never().expect("a receipt that is there");
    let rest = outcome.rest.map(|rest| (rest.fate, rest.error.kind().clone()));
    (outcome.stored.iter().map(ToString::to_string).collect(), rest)
}

#[test]
fn receipts_come_for_whole_batches_in_order() {
    let producer = producer();
    let (first, second) = (submit(&producer, &[2, 1]), submit(&producer, &[1]));
    producer.receipt(0, Some((7, 0)));
    producer.receipt(1, Some((7, 1)));
    producer.receipt(1, Some((7, 1)));
    producer.receipt(2, Some((9, 0)));
    assert_eq!(outcome(first).0, ["7:0:1", "7:0:2", "7:1:1"]);
    assert_eq!(outcome(second), (vec!["9:0:1".to_owned()], None));
}

#[test]
fn what_the_broker_takes_for_a_repeat_is_not_stored() {
    for place in [Some((u64::MAX, u64::MAX)), None] {
        let producer = producer();
        let (first, second) = (submit(&producer, &[3]), submit(&producer, &[1]));
        producer.receipt(0, place);
        let (stored, rest) = outcome(first);
        assert!(stored.is_empty());
        assert!(matches!(rest, Some((Fate::NotStored, Kind::Protocol { .. }))), "{rest:?}");
        // It may be on its way to the log.
        assert!(matches!(outcome(second).1, Some((Fate::Unknown, _))));
        let (_, rest) = outcome(submit(&producer, &[1]));
        assert_eq!(rest, Some((Fate::NotStored, Kind::Poisoned)));
    }
}

#[test]
fn a_refused_entry_in_the_middle_leaves_what_was_before_it() {
    let producer = producer();
    let receipt = submit(&producer, &[1, 1, 1]);
    producer.receipt(0, Some((7, 0)));
    producer.refused(1, Kind::Config { reason: "no".to_owned() }.into());
    let (stored, rest) = outcome(receipt);
    assert_eq!(stored, ["7:0:1"]);
    // The third entry was sent already.
    assert!(matches!(rest, Some((Fate::Unknown, Kind::Config { .. }))), "{rest:?}");
}

#[test]
fn a_lost_connection_leaves_all_unknown() {
    let producer = producer();
    let receipts = [submit(&producer, &[1]), submit(&producer, &[1])];
    producer.fail(Kind::Unavailable { reason: "gone".to_owned() }.into());
    for receipt in receipts {
        assert!(matches!(outcome(receipt).1, Some((Fate::Unknown, Kind::Unavailable { .. }))));
    }
    assert!(producer.is_over());
}

#[test]
fn places_that_go_back_or_come_out_of_turn_are_not_believed() {
    let producer = producer();
    let receipts = [submit(&producer, &[1]), submit(&producer, &[1])];
    producer.receipt(0, Some((7, 4)));
    producer.receipt(1, Some((7, 3)));
    let [first, second] = receipts.map(outcome);
    assert_eq!(first.1, None);
    assert!(matches!(second.1, Some((Fate::Unknown, Kind::Protocol { .. }))));

    let producer = self::producer();
    let receipt = submit(&producer, &[1]);
    producer.receipt(1, Some((7, 3)));
    assert!(matches!(outcome(receipt).1, Some((Fate::Unknown, Kind::Protocol { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_never_comes_is_given_up() {
    let producer = producer();
    let receipt = submit(&producer, &[1]);
    producer.expire(Instant::now());
    tokio::time::advance(Duration::from_secs(30)).await;
    producer.expire(Instant::now());
    assert!(matches!(outcome(receipt).1, Some((Fate::Unknown, Kind::TimedOut { .. }))));
    assert_eq!(producer.room(1).await, Err(Kind::Poisoned.into()));
}

#[tokio::test]
async fn room_is_made_by_receipts() {
    let producer = producer();
    assert_eq!(producer.room(10).await, Ok(()));
    drop(submit(&producer, &[1]));
    assert!(producer.room(10).now_or_never().is_none());
    let flushed = producer.flushed();
    producer.receipt(0, Some((7, 0)));
    flushed.await;
    assert_eq!(producer.room(10).await, Ok(()));
}
