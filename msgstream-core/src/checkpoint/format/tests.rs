#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::checkpoint::Mark;
use crate::record::Timestamp;
use crate::record::{Incarnation, Position};

prop_compose! {
    fn marks()(
        words: [u64; 3],
        watermark: Option<u64>,
        cut: Option<[u64; 3]>,
        incarnation: Option<u128>,
    ) -> Mark {
        Mark {
            resume: Position::from_words(words),
            watermark: watermark.map(Timestamp),
            cut: cut.map(Position::from_words),
            incarnation: incarnation.map(Incarnation),
            ..Mark::default()
        }
    }
}

prop_compose! {
    fn all_stored()(
        number: u64,
        owner: u64,
        checkpoint in proptest::option::of(btree_map(".{0,8}", marks(), 0..4)),
        frontier: Option<u64>,
        state in vec(any::<u8>(), 0..40),
    ) -> Stored {
        let checkpoint = checkpoint.map(|channels| Checkpoint {
            frontier: frontier.map(Timestamp),
            channels: channels.into_iter().map(|(name, mark)| (Arc::from(name), mark)).collect(),
        });
        Stored::new(Generation::from_parts(number, owner), checkpoint, state.into())
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(stored in all_stored()) {
        prop_assert_eq!(decode(&encode(&stored).unwrap()).unwrap(), stored);
    }

    #[test]
    fn no_file_that_was_cut_off_is_read(stored in all_stored()) {
        let file = encode(&stored).unwrap();
        for end in 0..file.len() {
            prop_assert!(decode(&file[..end]).is_err(), "the first {end} bytes were read");
        }
    }

    #[test]
    fn no_file_with_a_flipped_bit_is_read(stored in all_stored(), at: Index, bit in 0..8) {
        let mut file = encode(&stored).unwrap();
        let at = at.index(file.len());
        file[at] ^= 1u8 << bit;
        prop_assert!(decode(&file).is_err(), "bit {bit} of byte {at}");
    }

    #[test]
    fn no_file_with_something_after_it_is_read(
        stored in all_stored(),
        more in vec(any::<u8>(), 1..9),
    ) {
        let mut file = encode(&stored).unwrap();
        file.extend(more);
        prop_assert!(decode(&file).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..60)) {
        prop_assert!(decode(&bytes).is_err());
    }
}

/// Every bit of one file, beside the random ones.
#[test]
fn no_flipped_bit_of_a_whole_file_is_overlooked() {
    let generation = Generation::from_parts(7, 0xabcd);
    let stored = Stored::new(generation, Some(Checkpoint::default()), Bytes::from_static(b"42\n"));
    let file = encode(&stored).unwrap();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            assert!(decode(&flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
}

/// Files that programs have must stay readable.
#[test]
fn the_format_is_this() {
    let file = "msgstream-checkpoint 1 2b187891 86\n\
        {\"generation\":{\"number\":7,\"owner\":43981},\"checkpoint\":{\"frontier\":5,\"channels\":{}}}\n\
        42";
    let checkpoint = Checkpoint { frontier: Some(Timestamp(5)), ..Checkpoint::default() };
    let stored =
        Stored::new(Generation::from_parts(7, 0xabcd), Some(checkpoint), Bytes::from_static(b"42"));
    assert_eq!(String::from_utf8(encode(&stored).unwrap()).unwrap(), file);
}

#[test]
fn another_version_is_told_from_damage() {
    let newer = decode(b"msgstream-checkpoint 2 00000000 0\n").unwrap_err();
    assert!(newer.what.contains("another version"), "{newer:?}");
    let damaged = decode(b"msgstream-checkpoint 1 00000001 0\n").unwrap_err();
    assert!(damaged.what.contains("not that of the 0 bytes"), "{damaged:?}");
}

#[test]
fn what_the_parser_found_is_kept() {
    let body = b"{}\n";
    let file = [head(body).as_bytes(), body].concat();
    let wrong = decode(&file).unwrap_err();
    assert!(wrong.source.is_some_and(|error| error.to_string().contains("generation")));
}
