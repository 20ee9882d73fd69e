#![allow(clippy::unwrap_used)]

use std::future::pending;

use msgstream_core::record::Record;
use msgstream_core::transport::{
    Capabilities, Fate, Limit, Outcome, Receipt, ReceiptSender, Start, TransportErrorKind as Kind,
    TransportExt as _,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

const AFTER: Duration = Duration::from_secs(3);

/// A transport that never answers, but for opening what never answers either.
#[derive(Debug)]
struct Silent {
    inner: Arc<dyn Transport>,
    /// What sends the outcomes of batches.
    senders: mpsc::UnboundedSender<ReceiptSender>,
}

fn silent() -> (Timeout, mpsc::UnboundedReceiver<ReceiptSender>) {
    let (senders, receiver) = mpsc::unbounded_channel();
    let inner = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    (Timeout::over(Arc::new(Silent { inner, senders }), AFTER), receiver)
}

#[async_trait]
impl Transport for Silent {
    delegate!(self => self.inner, Transport {
        create_with, subscription, unsubscribe, subscriptions, encode_position, decode_position,
    });

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn delete(&self, _: &str) -> Result<()> {
        pending().await
    }

    async fn trim(&self, _: &str, _: Position) -> Result<()> {
        pending().await
    }

    async fn list(&self, _: &str) -> Result<Vec<String>> {
        pending().await
    }

    async fn describe(&self, _: &str) -> Result<ChannelInfo> {
        pending().await
    }

    async fn risks(&self, _: &str) -> Result<Vec<Risk>> {
        pending().await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let (inner, senders) = (self.inner.writer(channel).await?, self.senders.clone());
        Ok(Box::new(SilentWriter { inner, senders }))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        self.inner.reader_with(channel, options).await
    }

    async fn close(&self) -> Result<()> {
        pending().await
    }
}

#[derive(Debug)]
struct SilentWriter {
    inner: Box<dyn ChannelWriter>,
    senders: mpsc::UnboundedSender<ReceiptSender>,
}

#[async_trait]
impl ChannelWriter for SilentWriter {
    delegate!(self => self.inner, ChannelWriter { ready, check });

    fn submit(&mut self, _: Vec<Record>) -> Receipt {
        let (sender, receipt) = Receipt::pending();
        self.senders.send(sender).unwrap();
        receipt
    }

    async fn close(&mut self) -> Result<()> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn calls_end_at_the_deadline() {
    let (timed, _receiver) = silent();
    timed.create("orders").await.unwrap();
    let begin = Instant::now();
    let errors = [
        timed.delete("orders").await.unwrap_err(),
        timed.trim("orders", Position::new(1)).await.unwrap_err(),
        timed.describe("orders").await.unwrap_err(),
        timed.risks("orders").await.unwrap_err(),
        timed.writer("orders").await.unwrap().close().await.unwrap_err(),
    ];
    assert_eq!(begin.elapsed(), 5 * AFTER);
    for error in errors {
        assert_eq!(
            (error.kind(), error.channel()),
            (&Kind::TimedOut { after: AFTER }, Some("orders"))
        );
    }
    assert_eq!(
        timed.list("").await.unwrap_err().to_string(),
        "list failed: no answer within 3000 ms: check that the broker answers, or set a longer timeout"
    );
    assert!(timed.close().await.unwrap_err().is_temporary());
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_as_long_as_it_is_told() {
    let (timed, _receiver) = silent();
    timed.create("orders").await.unwrap();
    let mut reader = timed.reader("orders", Start::Earliest).await.unwrap();
    let begin = Instant::now();
    let batch = reader.read(Limit::default().with_wait(4 * AFTER)).await.unwrap();
    assert!(batch.records.is_empty() && begin.elapsed() == 4 * AFTER);
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_an_outcome_poisons_what_follows() {
    let (timed, mut senders) = silent();
    timed.create("orders").await.unwrap();
    let mut writer = timed.writer("orders").await.unwrap();
    let [stored, lost, after] = [(); 3].map(|()| writer.submit(vec![Record::default()]));
    let mut sent = |position| {
        let outcome = Outcome::stored(vec![Position::new(position)]);
        senders.try_recv().unwrap().send(outcome);
    };
    sent(0);
    let late = senders.try_recv().unwrap();
    let mut sent = |position| {
        let outcome = Outcome::stored(vec![Position::new(position)]);
        senders.try_recv().unwrap().send(outcome);
    };
    sent(2);
    let rest = lost.await.rest.unwrap();
    assert_eq!((rest.fate, rest.error.kind()), (Fate::Unknown, &Kind::TimedOut { after: AFTER }));
    // It is too late for that one, and so it is for what follows, though that is stored.
    late.send(Outcome::stored(vec![Position::new(1)]));
    let outcome = after.await;
    assert_eq!((outcome.stored.len(), outcome.rest.unwrap().fate), (0, Fate::Unknown));
    // What was before it is stored, however late it is asked for.
    assert_eq!(stored.await.stored, [Position::new(0)]);
    assert_eq!(writer.ready().await.unwrap_err().kind(), &Kind::Poisoned);
    let refused = writer.submit(vec![Record::default()]).await.rest.unwrap();
    assert_eq!((refused.fate, refused.error.kind()), (Fate::NotStored, &Kind::Poisoned));
    assert!(senders.try_recv().is_err());
}

#[tokio::test]
async fn for_ever_is_no_overflow() {
    let inner = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    let timed = Timeout::over(inner, Duration::MAX);
    timed.create("orders").await.unwrap();
    let stored = timed.writer("orders").await.unwrap().submit(vec![Record::default()]).await.stored;
    assert_eq!(stored.len(), 1);
}
