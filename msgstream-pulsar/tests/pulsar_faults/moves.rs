//! Topics that move, shrink, and hold more than a reader takes.

use std::time::Duration;

use msgstream_core::transport::{Limit, Start, TransportErrorKind as Kind, TransportExt as _};

use crate::support::{
    admin, ask_admin, create, drain, nothing_is_lost, open, open_with, read_count, read_from,
    read_until, record, shared, times, topic, write,
};

/// Nothing takes as long, on the busiest machine.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_moves_in_mid_stream_loses_and_repeats_nothing() {
    const COUNT: u64 = 100_000;
    let url = shared();
    let transport = open(&url).await;
    let unload = async |channel: &str| {
        for part in 1..4_u64 {
            // It moves while it is written to and read.
            let mut watch = transport.reader(channel, Start::Earliest).await.unwrap();
            read_until(&mut *watch, part * COUNT / 10).await;
            admin(&url, "PUT", &topic(channel, "unload"), "").await;
        }
    };
    nothing_is_lost(&*transport, COUNT, unload).await;
}

#[tokio::test]
async fn what_retention_drops_is_told() {
    let url = shared();
    let transport = open_with(&url, "&prefetch_bytes=1").await.unwrap();
    let channel = create(&*transport).await;
    let mut positions = write(&*transport, &channel, (0..10).map(record).collect()).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let four = Limit::default().with_records(4).with_wait(LONG);
    assert_eq!(times(&reader.read(four).await.unwrap().records), [0, 1, 2, 3]);
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(positions[9]).await.unwrap();
    cursor.ack(transport.describe(&channel).await.unwrap().end).await.unwrap();

    // Another ledger begins, so that the first can go.
    admin(&url, "PUT", &topic(&channel, "unload"), "").await;
    positions.extend(write(&*transport, &channel, (10..12).map(record).collect()).await);
    let none = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    admin(&url, "POST", &topic(&channel, "retention"), none).await;
    // The policy is there when it was told to the topic, for which there is no event.
    while transport.describe(&channel).await.unwrap().first.unwrap() < positions[9] {
        admin(&url, "POST", &topic(&channel, "trim"), "").await;
    }
    for start in [Start::At(positions[0]), Start::After(positions[4])] {
        let error = transport.reader(&channel, start).await.unwrap_err();
        let Kind::PositionTrimmed { first, .. } = *error.kind() else { panic!("{error}") };
        assert!(first <= positions[10] && first > positions[9], "{first}");
    }
    let left = read_from(&*transport, &channel, Start::Earliest).await;
    assert_eq!(times(&left), [10, 11]);
    // Everything before the cursor is gone, and nothing behind it.
    let acked = cursor.acked().await.unwrap().unwrap();
    assert_eq!(times(&read_from(&*transport, &channel, Start::At(acked)).await), [10, 11]);
}

#[tokio::test]
async fn a_prefetch_that_is_too_small_loses_nothing() {
    let transport = open_with(&shared(), "&prefetch_bytes=20000").await.unwrap();
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut last = None;
    for number in 0..400 {
        let mut record = record(number);
        // What comes is first small and then large, so that more comes than was expected.
        record.payload = vec![b'x'; if number % 100 < 90 { 10 } else { 15_000 }].into();
        last = Some(writer.submit(vec![record]));
    }
    assert!(last.unwrap().await.rest.is_none());
    let read = read_from(&*transport, &channel, Start::Earliest).await;
    assert_eq!(times(&read), Vec::from_iter(0..400));
}

/// A reader of the plain client hangs, for ever: its subscription is exclusive, and taken by itself.
#[tokio::test]
async fn a_reader_seeks_while_the_broker_sends() {
    let transport = open_with(&shared(), "&prefetch_bytes=4000").await.unwrap();
    let channel = create(&*transport).await;
    let positions = write(&*transport, &channel, (0..2_000).map(record).collect()).await;
    let more = write(&*transport, &channel, (2_000..4_000).map(record).collect()).await;
    let positions = [positions, more].concat();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let few = Limit::default().with_records(5).with_wait(LONG);
    for at in [3_000, 17, 1_999, 2_000, 0, 3_999, 1_234] {
        reader.seek(Start::At(positions[at])).await.unwrap();
        // Some is read, and more is on its way.
        let batch = reader.read(few).await.unwrap();
        let wanted = at as u64..(at as u64 + 5).min(4_000);
        let read = times(&batch.records);
        assert!(!read.is_empty() && wanted.take(read.len()).eq(read), "{at}");
    }
    reader.seek(Start::After(positions[3_998])).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [3_999]);
}

#[tokio::test]
async fn retention_that_passes_an_open_reader_is_told() {
    let url = shared();
    let transport = open_with(&url, "&prefetch_bytes=1").await.unwrap();
    let channel = create(&*transport).await;
    // Each is an entry of its own, of which the reader has one or two.
    let mut positions = Vec::new();
    for number in 0..10 {
        positions.extend(write(&*transport, &channel, vec![record(number)]).await);
    }
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut read = times(&read_count(&mut *reader, 1).await);
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(transport.describe(&channel).await.unwrap().end).await.unwrap();
    admin(&url, "PUT", &topic(&channel, "unload"), "").await;
    positions.extend(write(&*transport, &channel, (10..12).map(record).collect()).await);
    let none = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    admin(&url, "POST", &topic(&channel, "retention"), none).await;
    while transport.describe(&channel).await.unwrap().first.unwrap() < positions[9] {
        admin(&url, "POST", &topic(&channel, "trim"), "").await;
    }
    let first = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => read.extend(times(&batch.records)),
            Err(error) => match *error.kind() {
                Kind::PositionTrimmed { first, .. } => break first,
                _ => assert!(error.is_temporary(), "{error}"),
            },
        }
    };
    assert!(read.len() < 10, "nothing was passed");
    assert_eq!(read, Vec::from_iter(0..read.len() as u64));
    reader.seek(Start::At(first)).await.unwrap();
    assert_eq!(times(&read_count(&mut *reader, 2).await), [10, 11]);
}

/// What expires is passed over by all cursors, those of readers too. The log has it all the same.
#[tokio::test]
async fn what_expires_is_read_while_it_is_there() {
    let url = shared();
    for more in [false, true] {
        // Everything that is older than a second. It is refused while it is under way.
        passed_records_are_read(more, async |channel| {
            let expire = topic(channel, "all_subscription/expireMessages/1");
            while backlog(channel, "").await > 0 {
                ask_admin(&url, "POST", &expire, "").await;
            }
        })
        .await;
    }
}

/// A quota that an operator sets later, when nobody asks any more, evicts from cursors that last.
/// Those of readers stay.
#[tokio::test]
async fn what_a_quota_evicts_is_read_while_it_is_there() {
    let url = shared();
    for more in [false, true] {
        passed_records_are_read(more, async |channel| {
            let transport = open(&url).await;
            let cursor = transport.subscription(channel, "cursor").await.unwrap();
            let first = transport.describe(channel).await.unwrap().first.unwrap();
            cursor.ack(first).await.unwrap();
            assert!(backlog(channel, "cursor").await > 0);
            let quota = r#"{"limitSize":1,"limitTime":-1,"policy":"consumer_backlog_eviction"}"#;
            admin(&url, "POST", &topic(channel, "backlogQuota"), quota).await;
            // It rounds down, so one message is left.
            while backlog(channel, "cursor").await > 1 {}
            assert!(backlog(channel, "").await > 1 + 8, "the reader's cursor was moved, too");
        })
        .await;
    }
}

/// How many messages the cursors haven't passed whose names hold this, in all.
async fn backlog(channel: &str, name: &str) -> u64 {
    let stats = admin(&shared(), "GET", &topic(channel, "stats"), "").await;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    let all = stats["subscriptions"].as_object().unwrap();
    let named: Vec<_> = all.iter().filter(|(found, _)| found.contains(name)).collect();
    assert!(!named.is_empty());
    named.into_iter().map(|(_, one)| one["msgBacklog"].as_u64().unwrap()).sum()
}

/// The broker moves cursors over what an open reader hasn't read.
async fn passed_records_are_read(more: bool, pass: impl AsyncFnOnce(&str)) {
    let transport = open_with(&shared(), "&prefetch_bytes=1&timeout_ms=10000").await.unwrap();
    let channel = create(&*transport).await;
    for number in 0..10 {
        write(&*transport, &channel, vec![record(number)]).await;
    }
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let one = Limit::default().with_records(1).with_wait(LONG);
    assert_eq!(times(&reader.read(one).await.unwrap().records), [0]);
    pass(&channel).await;
    // With nothing behind it, the reader waits for what doesn't come; else that comes first.
    let last = if more { 11 } else { 10 };
    write(&*transport, &channel, (10..last).map(record).collect()).await;
    let read = times(&read_count(&mut *reader, last as usize - 1).await);
    assert_eq!(read, Vec::from_iter(1..last));
}
