//! Every decoder over the seeds of its fuzz target and changes to them that come out the same on
//! every run: what a fuzzer would do, where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decoders;
#[path = "decoders/numbers.rs"]
mod numbers;

use std::fs;
use std::path::Path;

use numbers::Numbers;

const CHANGES_PER_SEED: u64 = 1_500;

/// Cuts off, changes, puts in, takes out or repeats bytes, once or a few times.
fn change(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(data.len() + 1);
        let interesting = [0, 1, 0x7f, 0x80, 0xff, numbers.next() as u8][numbers.below(6)];
        match numbers.below(6) {
            0 => data.truncate(at),
            1 => data.insert(at, interesting),
            2 => drop(data.drain(at..data.len().min(at + 1 + numbers.below(4)))),
            3 => data.extend_from_slice(&seed[numbers.below(seed.len())..]),
            _ if at == data.len() => data.push(interesting),
            4 => data[at] ^= 1 << numbers.below(8),
            _ => data[at] = interesting,
        }
    }
    data
}

#[test]
fn no_decoder_panics_on_changed_seeds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, decoder) in decoders::ALL {
        let mut files: Vec<_> = fs::read_dir(corpus.join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            // What a fuzzer found on this machine isn't part of the test.
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("seed-"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "there are no seeds for {name}");
        for file in files {
            let seed = fs::read(&file).unwrap();
            decoder(&seed);
            let mut numbers = Numbers(0);
            for _ in 0..CHANGES_PER_SEED {
                let data = change(&seed, &mut numbers);
                if std::panic::catch_unwind(|| decoder(&data)).is_err() {
                    panic!("{name} fails on {data:02x?}, made from {}", file.display());
                }
            }
        }
    }
}

/// What a program stored must stay readable.
#[test]
fn stored_checkpoints_are_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/checkpoint");
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("seed-") {
            let json = fs::read(&path).unwrap();
            serde_json::from_slice::<msgstream_core::Checkpoint>(&json)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}
