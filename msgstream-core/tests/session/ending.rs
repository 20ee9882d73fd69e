//! Channels that have ended: nothing that follows would ever be delivered.

use msgstream_core::produce::fence;
use msgstream_core::record::END_HEADER;
use msgstream_core::record::{Header, Meta, Position, Record};
use msgstream_core::repack::{HashKeys, RepackError, Repacked};
use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{Limit, Start, Transport};
use msgstream_core::{Error, Message, MsgPack, MsgStream, MsgType, Timestamp};

use crate::faults::{Flaky, SOME_TIME};
use crate::{AB, config, flaky, open, pack, records, session};

fn ended<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Ended { channel }) => channel,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it may write"),
    }
}

/// Ends one channel.
async fn end(flaky: &Flaky, channel: &str) {
    let mut stream = MsgStream::new(flaky.arc());
    stream.create_producers(&[channel]).await.unwrap();
    stream.start().unwrap();
    stream.end(Timestamp(9)).await.unwrap();
    stream.close().await.unwrap();
}

async fn plain(flaky: &Flaky) -> Result<MsgStream, Error> {
    let mut stream = MsgStream::new(flaky.arc());
    stream.create_producers(&AB).await?;
    stream.start()?;
    Ok(stream)
}

/// Writes records as they are.
async fn write(flaky: &Flaky, channel: &str, records: Vec<Record>) {
    let outcome = flaky.inner.writer(channel).await.unwrap().submit(records).await;
    assert!(outcome.rest.is_none());
}

#[tokio::test]
async fn who_opens_a_channel_that_has_ended_is_refused() {
    let flaky = flaky().await;
    drop(session(&flaky).await);
    end(&flaky, "b").await;
    let before = records(&flaky, "b").await.len();
    assert_eq!(ended(plain(&flaky).await), "b");
    assert_eq!(ended(open(&flaky.arc(), config()).await), "b");
    // Reading from a time on may begin behind the end.
    let end = flaky.inner.describe("b").await.unwrap().end;
    for since in [Position::default(), end] {
        flaky.script().since = Some(since);
        let bounded = config().with_scan_since(SOME_TIME);
        assert_eq!(ended(open(&flaky.arc(), bounded).await), "b");
    }
    assert_eq!(records(&flaky, "b").await.len(), before, "nothing was written");
    // What fences alone minds no end.
    fence(&flaky.arc(), config(), &AB).await.unwrap();
}

#[tokio::test]
async fn an_end_is_found_behind_late_copies() {
    let flaky = flaky().await;
    for ts in 0..200 {
        write(&flaky, "b", vec![Record::new(Meta::new(MsgType::INSERT, Timestamp(ts)), "m")]).await;
    }
    end(&flaky, "b").await;
    let late = records(&flaky, "b").await[..60].to_vec();
    write(&flaky, "b", late).await;
    assert_eq!(ended(plain(&flaky).await), "b");
    assert_eq!(ended(open(&flaky.arc(), config()).await), "b");
}

#[tokio::test]
async fn an_end_behind_a_newer_sessions_fence_is_none() {
    let flaky = flaky().await;
    let (mut zombie, _) = session(&flaky).await;
    session(&flaky).await;
    zombie.end(Timestamp(5)).await.unwrap();
    drop(zombie);
    plain(&flaky).await.unwrap();
    let last = records(&flaky, "a").await.len() as u64 - 1;
    for since in [None, Some(Position::new(last))] {
        flaky.script().since = since;
        let bounded = config().with_scan_since(SOME_TIME);
        let (mut stream, _) = open(&flaky.arc(), bounded).await.unwrap();
        stream.produce(pack([11, 12])).await.unwrap();
    }
    // A session's own end is one.
    let (mut stream, _) = session(&flaky).await;
    stream.end(Timestamp(20)).await.unwrap();
    assert_eq!(ended(open(&flaky.arc(), config()).await), "a");
    assert_eq!(ended(plain(&flaky).await), "a");
}

/// The end of a channel, as a program gets it that copies one channel to another.
async fn copied_end() -> MsgPack {
    let source = Flaky::new(&["s"]).await;
    let tick = Meta::new(MsgType::TIME_TICK, Timestamp(9));
    let mut record = Record::new(tick, Vec::new());
    record.extra.push(Header::new(END_HEADER, "1"));
    write(&source, "s", vec![record]).await;
    let mut stream = MsgStream::new(source.arc());
    stream.create_consumers(None, &["s"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    stream.consume().await.unwrap().unwrap()
}

#[tokio::test]
async fn nothing_follows_an_end_that_is_produced() {
    for with_session in [false, true] {
        let flaky = flaky().await;
        let mut stream = match with_session {
            true => session(&flaky).await.0,
            false => plain(&flaky).await.unwrap(),
        };
        stream.set_repack(|msgs: Vec<Message>, _: &HashKeys, _: usize| {
            Ok::<_, RepackError>(Repacked::from([(0, MsgPack::new(msgs))]))
        });
        let mut both = copied_end().await;
        both.msgs.extend(pack([10]).msgs);
        assert_eq!(ended(stream.produce(both).await), "a", "in one pack");
        stream.produce(copied_end().await).await.unwrap();
        assert_eq!(ended(stream.produce(pack([10])).await), "a");
        assert_eq!(ended(stream.tick(Timestamp(10)).await), "a");
        assert_eq!(ended(stream.submit(pack([10]))), "a");
        let mut reader = flaky.inner.reader("a", Start::Earliest).await.unwrap();
        let stored = reader.read(Limit::default()).await.unwrap().records;
        assert!(stored.last().unwrap().header(END_HEADER).is_some());
    }
}
