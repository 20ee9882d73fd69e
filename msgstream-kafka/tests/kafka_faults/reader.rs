//! What a reader is told by its client, and when.

use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{Limit, Start, TransportErrorKind as Kind, TransportExt as _};

use crate::support::{
    LONG, connect, create, delete_until, open, record_of, times, url, write, write_numbers,
};

#[tokio::test]
async fn that_retention_passes_is_told_behind_what_was_read_ahead() {
    // It reads some 12 records ahead, and asks for more when 3 of them are gone.
    let url = format!("{}?fetch.message.max.bytes=50000&queued.max.messages.kbytes=40", url());
    let transport = connect(&url).await.unwrap();
    let channel = create(&*transport).await;
    // In batches that are smaller than that, for a broker gives a whole one at the least.
    for first in (0..200).step_by(5) {
        let five = (first..first + 5).map(|n| record_of(n, 4096));
        write(&*transport, &channel, five.collect()).await;
    }
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let one = Limit::default().with_records(1);
    let mut read = reader.read(one).await.unwrap().records;
    delete_until(&channel, 190).await;
    while read.len() < 5 {
        read.extend(reader.read(one).await.unwrap().records);
    }
    // Meanwhile the client is told.
    for _ in 0..10 {
        transport.describe(&channel).await.unwrap();
    }
    let last = async {
        loop {
            match reader.read(Limit::default()).await {
                Ok(batch) => read.extend(batch.records),
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(LONG, last).await.unwrap();
    assert_eq!(times(&read), Vec::from_iter(0..read.len() as u64));
    let (position, first) = (Position::new(read.len() as u64), Position::new(190));
    assert_eq!(*error.kind(), Kind::PositionTrimmed { position, first });
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_also_where_it_has_sought() {
    // Shorter than the time after which a reader looks by itself.
    let limit = Limit::default().with_wait(Duration::from_millis(900));
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    // The broker may need longer now and then.
    for attempt in 0..20 {
        reader.seek(Start::Latest).await.unwrap();
        let number = attempt..attempt + 1;
        let write = write_numbers(&*transport, &channel, number.clone());
        let (batch, ()) = tokio::join!(biased; reader.read(limit), write);
        let records = batch.unwrap().records;
        if !records.is_empty() {
            assert_eq!(times(&records), Vec::from_iter(number));
            return;
        }
    }
    panic!("nothing came while the reader waited");
}
