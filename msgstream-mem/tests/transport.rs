//! What handles, writers, readers and subscriptions do together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::array::TryFromSliceError;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use msgstream_core::adapter::cause;
use msgstream_core::record::{Meta, Position, Record};
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Fate, Limit, Outcome, ReadBatch, ReaderOptions, Start, Transport,
    TransportErrorKind as Kind, TransportExt as _, Unstored,
};
use msgstream_mem::{MemConfig, MemTransport};

const LONG: Duration = Duration::from_secs(3600);

async fn with_channel(config: MemConfig) -> MemTransport {
    let transport = MemTransport::new(config);
    transport.create("a").await.unwrap();
    transport
}

fn records(payloads: &[&'static str]) -> Vec<Record> {
    payloads.iter().map(|p| Record::new(Meta::default(), *p)).collect()
}

async fn write(writer: &mut dyn ChannelWriter, payloads: &[&'static str]) -> Vec<u64> {
    writer.ready().await.unwrap();
    let outcome = writer.submit(records(payloads)).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    outcome.stored.iter().map(|p| p.offset()).collect()
}

async fn read(reader: &mut dyn ChannelReader) -> ReadBatch {
    reader.read(Limit::default().with_wait(Duration::ZERO)).await.unwrap()
}

fn payloads(batch: &ReadBatch) -> Vec<&[u8]> {
    batch.records.iter().map(|r| &*r.payload).collect()
}

fn refused(outcome: Outcome) -> Kind {
    assert!(outcome.stored.is_empty());
    let Unstored { fate, error, .. } = outcome.rest.expect("it was refused");
    assert_eq!(fate, Fate::NotStored);
    error.kind().clone()
}

/// Polls once: what waits now hears of everything from now on.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn what_is_written_is_read_in_order_by_every_reader() {
    let transport = with_channel(MemConfig::default()).await;
    let mut writer = transport.writer("a").await.unwrap();
    assert_eq!(write(&mut *writer, &["x", "y"]).await, [0, 1]);
    assert_eq!(write(&mut *writer, &[]).await, [0; 0]);
    assert_eq!(write(&mut *writer, &["z"]).await, [2]);
    for _ in 0..2 {
        let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
        let batch = read(&mut *reader).await;
        assert_eq!(payloads(&batch), [b"x", b"y", b"z"]);
        assert_eq!((batch.next, batch.caught_up), (Position::new(3), true));
        let batch = read(&mut *reader).await;
        assert_eq!((batch.records.len(), batch.next, batch.caught_up), (0, Position::new(3), true));
    }
}

#[tokio::test]
async fn a_read_is_bounded_and_a_larger_record_comes_alone() {
    let transport = with_channel(MemConfig::default()).await;
    write(&mut *transport.writer("a").await.unwrap(), &["one", "two", "six"]).await;
    let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
    for limit in [Limit::default().with_records(0), Limit::default().with_bytes(0)] {
        reader.seek(Start::Earliest).await.unwrap();
        for (wanted, caught_up) in [(b"one", false), (b"two", false), (b"six", true)] {
            let batch = reader.read(limit).await.unwrap();
            assert_eq!((payloads(&batch), batch.caught_up), (vec![wanted.as_slice()], caught_up));
        }
    }
}

#[tokio::test]
async fn a_waiting_reader_wakes_for_a_record_and_a_cancelled_one_loses_none() {
    let transport = with_channel(MemConfig::default()).await;
    let mut writer = transport.writer("a").await.unwrap();
    let mut reader = transport.reader("a", Start::Latest).await.unwrap();
    let limit = Limit::default().with_wait(LONG);
    {
        let mut cancelled = pin!(reader.read(limit));
        assert!(poll(cancelled.as_mut()).is_pending());
        write(&mut *writer, &["x"]).await;
    }
    assert_eq!(payloads(&reader.read(limit).await.unwrap()), [b"x"]);
    let mut waiting = pin!(reader.read(limit));
    assert!(poll(waiting.as_mut()).is_pending());
    write(&mut *writer, &["y"]).await;
    assert_eq!(payloads(&waiting.await.unwrap()), [b"y"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends() {
    let transport = with_channel(MemConfig::default()).await;
    let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
    let batch = reader.read(Limit::default().with_wait(LONG)).await.unwrap();
    assert_eq!(batch, ReadBatch::new(Vec::new(), Position::default(), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_and_readers_lose_and_mix_nothing() {
    const BATCHES: u64 = 300;
    let transport = with_channel(MemConfig::default()).await;
    let writers = (0..3u8).map(|id| {
        let transport = transport.clone();
        tokio::spawn(async move {
            let mut writer = transport.writer("a").await.unwrap();
            for batch in 0..BATCHES {
                let len = 1 + (batch % 50) as usize;
                let record = Record::new(Meta::default(), Bytes::from(vec![id; 1]));
                writer.ready().await.unwrap();
                let outcome = writer.submit(vec![record; len]).await;
                let first = outcome.stored[0].offset();
                let wanted: Vec<_> = (first..first + len as u64).map(Position::new).collect();
                assert_eq!(outcome.stored, wanted);
            }
        })
    });
    let total: u64 = 3 * (0..BATCHES).map(|batch| 1 + batch % 50).sum::<u64>();
    let readers = (0..2).map(|_| {
        let transport = transport.clone();
        tokio::spawn(async move {
            let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
            let mut seen = Vec::new();
            while (seen.len() as u64) < total {
                let batch =
                    reader.read(Limit::default().with_records(70).with_wait(LONG)).await.unwrap();
                for record in &batch.records {
                    assert_eq!(record.position, Position::new(seen.len() as u64));
                    seen.push(record.payload[0]);
                }
            }
            seen
        })
    });
    let (writers, readers): (Vec<_>, Vec<_>) = (writers.collect(), readers.collect());
    for writer in writers {
        writer.await.unwrap();
    }
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.await.unwrap());
    }
    assert_eq!(seen[0], seen[1]);
    for id in 0..3 {
        assert_eq!(seen[0].iter().filter(|by| **by == id).count() as u64, total / 3);
    }
}

#[tokio::test]
async fn an_oversized_payload_refuses_its_batch_and_poisons_the_writer() {
    let transport = with_channel(MemConfig::default().with_max_payload(3)).await;
    assert_eq!(transport.capabilities().max_payload, Some(3));
    let mut writer = transport.writer("a").await.unwrap();
    write(&mut *writer, &["abc"]).await;
    let batch = records(&["a", "abcd", "b"]);
    let error = writer.check(&batch).unwrap_err();
    let too_large = Kind::TooLarge { bytes: 4, limit: 3 };
    assert_eq!((error.kind(), error.channel()), (&too_large, Some("a")));
    // Asking is harmless.
    writer.ready().await.unwrap();
    writer.check(&batch[..1]).unwrap();
    assert_eq!(refused(writer.submit(batch).await), too_large);
    assert_eq!(refused(writer.submit(records(&["a"])).await), Kind::Poisoned);
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
    let mut writer = transport.writer("a").await.unwrap();
    assert_eq!(write(&mut *writer, &["a"]).await, [1]);
}

#[tokio::test]
async fn retention_drops_the_oldest_and_tells_the_reader() {
    let size = records(&["abc"])[0].footprint() as u64;
    let transport = with_channel(MemConfig::default().with_retention_bytes(2 * size)).await;
    let mut writer = transport.writer("a").await.unwrap();
    let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
    for payload in ["one", "two", "six", "ten"] {
        write(&mut *writer, &[payload]).await;
    }
    let info = transport.describe("a").await.unwrap();
    assert_eq!((info.first, info.end), (Some(Position::new(2)), Position::new(4)));
    let gone = Kind::PositionTrimmed { position: Position::new(0), first: Position::new(2) };
    for _ in 0..2 {
        assert_eq!(*reader.read(Limit::default()).await.unwrap_err().kind(), gone);
    }
    let error = transport.reader("a", Start::At(Position::new(0))).await.unwrap_err();
    assert_eq!(*error.kind(), gone);
    reader.seek(Start::Earliest).await.unwrap();
    assert_eq!(payloads(&read(&mut *reader).await), [b"six", b"ten"]);
}

#[tokio::test]
async fn with_retention_a_small_payload_keeps_no_large_buffer() {
    let transport = with_channel(MemConfig::default().with_retention_bytes(1 << 20)).await;
    let large = Bytes::from(vec![1; 1 << 20]);
    let mut writer = transport.writer("a").await.unwrap();
    let receipt = writer.submit(vec![Record::new(Meta::default(), large.slice(..4))]);
    assert!(receipt.await.rest.is_none());
    assert!(large.is_unique());
}

#[tokio::test]
async fn a_recreated_channel_is_another() {
    let transport = with_channel(MemConfig::default()).await;
    let old = transport.describe("a").await.unwrap().incarnation;
    let mut writer = transport.writer("a").await.unwrap();
    let mut reader = transport
        .reader_with("a", ReaderOptions::new(Start::Earliest).with_incarnation(old))
        .await
        .unwrap();
    let subscription = transport.subscription("a", "s").await.unwrap();
    write(&mut *writer, &["x"]).await;

    transport.delete("a").await.unwrap();
    assert_eq!(*reader.read(Limit::default()).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(*subscription.acked().await.unwrap_err().kind(), Kind::NotFound);

    transport.create("a").await.unwrap();
    let new = transport.describe("a").await.unwrap().incarnation;
    assert_ne!(old, new);
    let wrong = Kind::WrongIncarnation { expected: old, found: new };
    assert_eq!(refused(writer.submit(records(&["y"])).await), wrong);
    assert_eq!(*reader.read(Limit::default()).await.unwrap_err().kind(), wrong);
    assert_eq!(*reader.seek(Start::Earliest).await.unwrap_err().kind(), wrong);
    assert_eq!(*subscription.ack(Position::default()).await.unwrap_err().kind(), wrong);
    let error = transport
        .reader_with("a", ReaderOptions::new(Start::Earliest).with_incarnation(old))
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), wrong);
    assert_eq!(transport.describe("a").await.unwrap().end, Position::default());
    assert_eq!(transport.subscription("a", "s").await.unwrap().acked().await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_channel_wakes_its_reader() {
    let transport = with_channel(MemConfig::default()).await;
    let mut reader = transport.reader("a", Start::Earliest).await.unwrap();
    let mut waiting = pin!(reader.read(Limit::default().with_wait(LONG)));
    assert!(poll(waiting.as_mut()).is_pending());
    transport.delete("a").await.unwrap();
    assert_eq!(*waiting.await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn closing_ends_one_handle_and_wakes_its_readers() {
    let name = "closing_ends_one_handle";
    let (one, other) = (MemTransport::named(name), MemTransport::named(name));
    one.create("a").await.unwrap();
    let mut writer = one.writer("a").await.unwrap();
    let mut reader = one.reader("a", Start::Earliest).await.unwrap();
    let subscription = one.subscription("a", "s").await.unwrap();
    let mut others_reader = other.reader("a", Start::Earliest).await.unwrap();
    {
        let mut waiting = pin!(reader.read(Limit::default().with_wait(LONG)));
        let mut others = pin!(others_reader.read(Limit::default().with_wait(LONG)));
        assert!(poll(waiting.as_mut()).is_pending());
        assert!(poll(others.as_mut()).is_pending());
        one.close().await.unwrap();
        one.close().await.unwrap();
        assert_eq!(*waiting.await.unwrap_err().kind(), Kind::Closed);
        assert!(poll(others.as_mut()).is_pending());
    }
    let closed = [
        one.create("b").await.unwrap_err(),
        one.delete("a").await.unwrap_err(),
        one.list("").await.unwrap_err(),
        one.describe("a").await.unwrap_err(),
        one.writer("a").await.unwrap_err(),
        one.reader("a", Start::Earliest).await.unwrap_err(),
        one.subscription("a", "s").await.err().unwrap(),
        one.unsubscribe("a", "s").await.unwrap_err(),
        reader.seek(Start::Latest).await.unwrap_err(),
        writer.ready().await.unwrap_err(),
        subscription.ack(Position::default()).await.unwrap_err(),
        subscription.acked().await.unwrap_err(),
    ];
    for error in closed {
        assert_eq!(*error.kind(), Kind::Closed, "{error}");
    }
    assert_eq!(refused(writer.submit(records(&["x"])).await), Kind::Closed);
    writer.close().await.unwrap();

    write(&mut *other.writer("a").await.unwrap(), &["x"]).await;
    assert_eq!(payloads(&read(&mut *others_reader).await), [b"x"]);
}

#[tokio::test]
async fn a_closed_writer_says_so() {
    let transport = with_channel(MemConfig::default()).await;
    let mut writer = transport.writer("a").await.unwrap();
    writer.close().await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Closed);
    assert_eq!(refused(writer.submit(records(&["x"])).await), Kind::Closed);
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test]
async fn a_cursor_moves_forward_only_and_outlives_its_handle() {
    let name = "a_cursor_moves_forward_only";
    let transport = MemTransport::named(name);
    transport.create("a").await.unwrap();
    write(&mut *transport.writer("a").await.unwrap(), &["x", "y"]).await;
    let subscription = transport.subscription("a", "s").await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), None);
    for (ack, wanted) in [(0, 0), (2, 2), (1, 2)] {
        subscription.ack(Position::new(ack)).await.unwrap();
        assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(wanted)));
    }
    let error = subscription.ack(Position::new(3)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::PositionBeyondEnd { .. }), "{error}");
    let error = subscription.ack(Position::from_words([1, 1, 0])).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    transport.close().await.unwrap();
    drop((transport, subscription));

    let later = MemTransport::named(name);
    let cursor = |name| later.subscription("a", name);
    assert_eq!(cursor("s").await.unwrap().acked().await.unwrap(), Some(Position::new(2)));
    assert_eq!(cursor("t").await.unwrap().acked().await.unwrap(), None);
    let error = cursor("").await.err().unwrap();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
}

#[tokio::test]
async fn a_removed_cursor_begins_again_and_leaves_the_others() {
    let transport = with_channel(MemConfig::default()).await;
    write(&mut *transport.writer("a").await.unwrap(), &["x", "y"]).await;
    let (s, t) =
        (transport.subscription("a", "s").await.unwrap(), transport.subscription("a", "t").await);
    let t = t.unwrap();
    s.ack(Position::new(2)).await.unwrap();
    t.ack(Position::new(1)).await.unwrap();
    for _ in 0..2 {
        transport.unsubscribe("a", "s").await.unwrap();
    }
    assert_eq!(s.acked().await.unwrap(), None);
    assert_eq!(t.acked().await.unwrap(), Some(Position::new(1)));
    s.ack(Position::new(1)).await.unwrap();
    assert_eq!(s.acked().await.unwrap(), Some(Position::new(1)));
}

#[tokio::test]
async fn channels_are_found_by_name() {
    let transport = MemTransport::new(MemConfig::default());
    let properties = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    for name in ["b", "a/2", "a/1", "größe und mehr"] {
        transport.create_with(name, properties.clone().into()).await.unwrap();
    }
    assert_eq!(transport.list("").await.unwrap(), ["a/1", "a/2", "b", "größe und mehr"]);
    assert_eq!(transport.list("a/").await.unwrap(), ["a/1", "a/2"]);
    let info = transport.describe("b").await.unwrap();
    assert_eq!((info.properties, info.first), (properties, None));
    let error = transport.create("b").await.unwrap_err();
    assert_eq!((error.kind(), error.channel()), (&Kind::AlreadyExists, Some("b")));
    let long = "x".repeat(256);
    for name in ["", "a\nb", &long] {
        let error = transport.create(name).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::InvalidName { .. }), "{error}");
    }
    let missing = [
        transport.delete("c").await.unwrap_err(),
        transport.describe("c").await.unwrap_err(),
        transport.writer("c").await.unwrap_err(),
        transport.reader("c", Start::Earliest).await.unwrap_err(),
        transport.subscription("c", "s").await.err().unwrap(),
        transport.unsubscribe("c", "s").await.unwrap_err(),
    ];
    for error in missing {
        assert_eq!((error.kind(), error.channel()), (&Kind::NotFound, Some("c")));
    }
}

#[test]
fn positions_are_eight_bytes_little_endian() {
    let transport = MemTransport::new(MemConfig::default());
    let bytes = transport.encode_position(Position::new(258)).unwrap();
    assert_eq!(bytes, [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(transport.decode_position(&bytes).unwrap(), Position::new(258));
    assert!(transport.decode_position(&bytes[1..]).is_err());
    assert!(transport.encode_position(Position::from_words([1, 0, 1])).is_err());
}

#[tokio::test]
async fn what_is_wrong_with_a_position_stays_the_cause() {
    let error = MemTransport::new(MemConfig::default()).decode_position(b"short").unwrap_err();
    let kept = cause::<TryFromSliceError>(&error).unwrap();
    assert!(!error.to_string().contains(&kept.to_string()), "{error}");
}
