#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

#[test]
fn offsets_of_other_lengths_and_negative_ones_are_refused() {
    assert!(offset_from_bytes(&[1, 2, 3]).is_err());
    assert!(offset_from_bytes(&[0; 9]).is_err());
    assert!(offset_from_bytes(&(-2i64).to_le_bytes()).is_err());
}

#[test]
fn absent_values_are_minus_one() {
    let id = EntryId { ledger: 1, entry: 2, partition: -1, batch_index: -1 };
    assert_eq!(EntryId::from_bytes(&[8, 1, 16, 2]).unwrap(), id);
}

#[test]
fn an_id_without_ledger_or_entry_is_refused() {
    for bytes in [[].as_slice(), &[8, 1], &[16, 2], &[24, 0, 32, 0]] {
        assert!(EntryId::from_bytes(bytes).is_err(), "{bytes:?}");
    }
}

fn entry_ids() -> impl Strategy<Value = EntryId> {
    (0..3u64, 0..3u64, -1..2i32, -1..3i32).prop_map(|(ledger, entry, partition, batch_index)| {
        EntryId { ledger, entry, partition, batch_index }
    })
}

proptest! {
    #[test]
    fn the_order_of_positions_is_that_of_the_ids(a in entry_ids(), b in entry_ids()) {
        let numbers = |id: EntryId| (id.ledger, id.entry, id.batch_index);
        prop_assert_eq!(a.position().cmp(&b.position()), numbers(a).cmp(&numbers(b)));
        prop_assert_eq!(EntryId::from_position(a.position(), a.partition).unwrap(), a);
    }

    #[test]
    fn words_that_are_no_batch_index_are_refused(third in (i32::MAX as u64 + 2)..) {
        prop_assert!(EntryId::from_position(Position::from_words([1, 1, third]), 0).is_err());
    }
}
