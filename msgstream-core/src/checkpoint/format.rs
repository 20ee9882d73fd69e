//! The format of a checkpoint's file: a line with the format's version, a checksum and the length
//! of the rest; a line of JSON; and the program's state, unchanged.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Checkpoint;
use super::store::{Generation, Stored};

const NAME: &str = "msgstream-checkpoint";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Json {
    generation: Generation,
    checkpoint: Option<Checkpoint>,
}

pub(super) fn encode(stored: &Stored) -> serde_json::Result<Vec<u8>> {
    let Stored { generation, checkpoint, state } = stored;
    let json = Json { generation: *generation, checkpoint: checkpoint.clone() };
    let mut body = serde_json::to_vec(&json)?;
    body.push(b'\n');
    body.extend_from_slice(state);
    let mut file = head(&body).into_bytes();
    file.append(&mut body);
    Ok(file)
}

/// Decodes a file, or returns what is wrong with it.
pub(super) fn decode(file: &[u8]) -> Result<Stored, String> {
    let (found, body) = after_line(file).ok_or("it has no first line")?;
    if found != head(body).as_bytes() {
        let version = format!(" {VERSION} ");
        let rest = found.strip_prefix(NAME.as_bytes());
        return Err(if rest.is_some_and(|rest| !rest.starts_with(version.as_bytes())) {
            format!("its first line names another version of the format than {VERSION}")
        } else {
            format!("its first line is not that of the {} bytes that follow", body.len())
        });
    }
    let (json, state) = after_line(body).ok_or("it has no second line")?;
    let json: Json = serde_json::from_slice(json).map_err(|e| format!("its second line: {e}"))?;
    let state = Bytes::copy_from_slice(state);
    Ok(Stored::new(json.generation, json.checkpoint, state))
}

fn head(body: &[u8]) -> String {
    format!("{NAME} {VERSION} {:08x} {}\n", crc32fast::hash(body), body.len())
}

/// Returns the first line, including its end, and the rest.
fn after_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(bytes.split_at(end + 1))
}

#[cfg(test)]
mod tests {
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
            prop_assert_eq!(decode(&encode(&stored).unwrap()), Ok(stored));
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
        let stored =
            Stored::new(generation, Some(Checkpoint::default()), Bytes::from_static(b"42\n"));
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
        let stored = Stored::new(
            Generation::from_parts(7, 0xabcd),
            Some(checkpoint),
            Bytes::from_static(b"42"),
        );
        assert_eq!(String::from_utf8(encode(&stored).unwrap()).unwrap(), file);
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let newer = decode(b"msgstream-checkpoint 2 00000000 0\n").unwrap_err();
        assert!(newer.contains("another version"), "{newer}");
        let damaged = decode(b"msgstream-checkpoint 1 00000001 0\n").unwrap_err();
        assert!(damaged.contains("not that of the 0 bytes"), "{damaged}");
    }
}
