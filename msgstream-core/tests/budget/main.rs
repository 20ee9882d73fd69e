//! The memory of a stream, measured by an allocator that counts: it stays in the budget however
//! far one channel is ahead of another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod generator;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use msgstream_core::merge::MergeCounts;
use msgstream_core::transport::Start;
use msgstream_core::{ConsumerConfig, TtMsgStream};
use peak_alloc::PeakAlloc;

use crate::generator::{Generator, PAYLOAD, Script};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One measurement at a time: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const BUDGET: usize = 16 << 20;

/// Reads all channels to their ends, and checks each message and the heap.
#[track_caller]
fn consume_all(scripts: BTreeMap<String, Script>) -> MergeCounts {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let names: Vec<String> = scripts.keys().cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen: BTreeMap<String, (u64, u64)> =
        scripts.keys().map(|name| (name.clone(), (0, 0))).collect();
    let transport = Arc::new(Generator(scripts.clone()));

    HEAP.reset_peak_usage();
    let baseline = HEAP.current_usage();
    let counts = runtime.block_on(async {
        let config = ConsumerConfig::default().with_budget_bytes(BUDGET);
        let mut stream = TtMsgStream::new(transport, config).unwrap();
        stream.create_consumers(None, &names, Start::Earliest).await.unwrap();
        stream.start().unwrap();
        while let Some(pack) = stream.consume().await.unwrap() {
            for msg in &pack.msgs {
                let stored = msg.stored().unwrap();
                let payload = &stored.record.payload;
                let offset = u64::from_le_bytes(payload[..8].try_into().unwrap());
                assert_eq!((payload.len(), stored.late), (PAYLOAD, false));
                assert_eq!(offset, stored.record.position.offset());
                let (count, sum) = seen.get_mut(&*stored.channel).unwrap();
                *count += 1;
                *sum += offset;
            }
        }
        stream.status().merge.counts
    });
    let peak = HEAP.peak_usage() - baseline;
    println!("{peak} bytes at the peak, {counts:?}");

    for (name, script) in &scripts {
        let n = script.messages();
        // The sum of all offsets but those of the ticks.
        let offsets = n + script.windows;
        let ticks: u64 = (1..=script.windows).map(|w| w * (script.msgs + 1) - 1).sum();
        assert_eq!(seen[name], (n, offsets * (offsets - 1) / 2 - ticks), "`{name}`");
    }
    assert!(peak <= BUDGET + BUDGET / 10, "{peak} bytes of {BUDGET}");
    // It was used, too: a bound that nothing comes near would show nothing.
    assert!(peak > BUDGET / 4, "{peak} bytes of {BUDGET}");
    counts
}

fn script(windows: u64, msgs: u64, span: u64, slow: Option<usize>) -> Script {
    Script { windows, msgs, span, slow, vchannel: 0, stamped: false }
}

#[test]
fn a_channel_a_million_messages_ahead_of_one_that_only_ticks() {
    let counts = consume_all(BTreeMap::from([
        ("fast".to_owned(), script(10_000, 100, 10, None)),
        ("slow".to_owned(), script(10_000, 0, 10, Some(1))),
    ]));
    assert_eq!(counts.delivered, 1_000_000);
}

#[test]
fn large_windows_beside_a_channel_that_is_ahead_make_it_give_up_what_it_read() {
    // One window of the slow channel is 11 MiB.
    let counts = consume_all(BTreeMap::from([
        ("fast".to_owned(), script(1000, 100, 10, None)),
        ("slow".to_owned(), script(10, 9000, 1000, Some(50))),
    ]));
    assert!(counts.evictions > 0);
}

#[test]
fn names_of_virtual_channels_are_memory_too() {
    for (vchannel, windows) in [(1_000, 1_000), (100_000, 40)] {
        let fast = Script { vchannel, ..script(windows, 100, 10, None) };
        consume_all(BTreeMap::from([
            ("fast".to_owned(), fast),
            ("slow".to_owned(), script(windows, 0, 10, Some(1))),
        ]));
    }
}

#[test]
fn stamps_are_memory_too() {
    let fast = Script { stamped: true, vchannel: 100, ..script(2_000, 100, 10, None) };
    consume_all(BTreeMap::from([
        ("fast".to_owned(), fast),
        ("slow".to_owned(), script(2_000, 0, 10, Some(1))),
    ]));
}

#[test]
fn many_channels_share_the_budget() {
    let fast = |n: u64| (format!("fast-{n:02}"), script(100, 20 + n, 10, None));
    let mut scripts: BTreeMap<_, _> = (0..63).map(fast).collect();
    scripts.insert("slow".to_owned(), script(100, 10, 10, Some(1)));
    consume_all(scripts);
}

#[test]
fn ticks_without_messages_are_memory_too() {
    let counts = consume_all(BTreeMap::from([
        ("fast".to_owned(), script(300_000, 0, 10, None)),
        ("slow".to_owned(), script(3000, 1, 1000, Some(1))),
    ]));
    assert_eq!(counts.packs, 300_000);
}
