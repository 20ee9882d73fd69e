//! A transport whose calls are answered by the other process.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, Fate, Limit, Outcome,
    ReadBatch, ReaderOptions, Receipt, Result, Risk, Start, Subscription, Transport,
    TransportError,
};
use tokio::sync::oneshot;

use crate::error::gone;
use crate::link::Link;
use crate::protocol::{Answer, Ask, Flat};

/// A handle, a writer, a reader or a subscription in the other process.
#[derive(Debug)]
struct Object {
    link: Arc<Link>,
    number: u64,
}

impl Drop for Object {
    fn drop(&mut self) {
        self.link.leave(self.number, Ask::Drop);
    }
}

impl Object {
    fn new(link: &Arc<Link>) -> Self {
        Self { link: Arc::clone(link), number: link.number() }
    }

    /// Asks; the call goes on in the other process if this is dropped.
    async fn ask(&self, ask: Ask) -> Result<Answer> {
        received(self.link.answer(self.number, ask).await)
    }

    /// Asks; the call is cancelled in the other process, too, if this is dropped.
    async fn call(&self, ask: Ask) -> Result<Answer> {
        self.wait(&mut self.link.answer(self.number, ask)).await
    }

    async fn wait(&self, answer: &mut oneshot::Receiver<Answer>) -> Result<Answer> {
        let mut waiting = Waiting { object: self, is_answered: false };
        let answer = answer.await;
        waiting.is_answered = true;
        received(answer)
    }
}

struct Waiting<'a> {
    object: &'a Object,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.object.link.leave(self.object.number, Ask::Cancel);
        }
    }
}

fn received(answer: Result<Answer, oneshot::error::RecvError>) -> Result<Answer> {
    match answer {
        Ok(Answer::Failed(failed)) => Err(failed.into()),
        Ok(answer) => Ok(answer),
        Err(error) => Err(gone(error).into()),
    }
}

fn unexpected(answer: &Answer) -> TransportError {
    gone(format!("the other process answers something else: {answer:?}")).into()
}

fn done(answer: Answer) -> Result<()> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn flat(records: &[Record]) -> Vec<Flat> {
    records.iter().map(Flat::from).collect()
}

#[derive(Debug)]
pub(crate) struct Remote {
    handle: Object,
    can: Capabilities,
}

impl Remote {
    pub(crate) async fn open(link: &Arc<Link>, can: Capabilities) -> Result<Self> {
        let handle = Object::new(link);
        done(handle.ask(Ask::Open).await?)?;
        Ok(Self { handle, can })
    }

    fn answer_now(&self, ask: Ask) -> Result<Answer> {
        received(Ok(self.handle.link.answer_now(self.handle.number, ask)))
    }
}

#[async_trait]
impl Transport for Remote {
    fn capabilities(&self) -> Capabilities {
        self.can
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let channel = channel.to_owned();
        done(self.handle.ask(Ask::Create { channel, properties: options.properties }).await?)
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        done(self.handle.ask(Ask::Delete { channel: channel.to_owned() }).await?)
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        done(self.handle.ask(Ask::Trim { channel: channel.to_owned(), before }).await?)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        match self.handle.ask(Ask::List { prefix: prefix.to_owned() }).await? {
            Answer::Names(names) => Ok(names),
            other => Err(unexpected(&other)),
        }
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        match self.handle.ask(Ask::Describe { channel: channel.to_owned() }).await? {
            Answer::Info { incarnation, first, end, records, properties } => {
                let mut info = ChannelInfo::new(incarnation, first, end, properties);
                info.records = records;
                Ok(info)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let writer = Object::new(&self.handle.link);
        let ask = Ask::Writer { channel: channel.to_owned(), object: writer.number };
        done(self.handle.ask(ask).await?)?;
        Ok(Box::new(RemoteWriter(writer)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let object = Object::new(&self.handle.link);
        let ask = Ask::Reader {
            channel: channel.to_owned(),
            object: object.number,
            start: options.start,
            incarnation: options.incarnation,
        };
        match self.handle.ask(ask).await? {
            Answer::Reader { incarnation } => Ok(Box::new(RemoteReader {
                object,
                incarnation,
                asked: None,
                kept: Kept::default(),
            })),
            other => Err(unexpected(&other)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let (channel, name) = (channel.to_owned(), name.to_owned());
        let subscription = Object::new(&self.handle.link);
        let ask = Ask::Subscription { channel, name, object: subscription.number };
        done(self.handle.ask(ask).await?)?;
        Ok(Arc::new(RemoteSubscription(subscription)))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let (channel, name) = (channel.to_owned(), name.to_owned());
        done(self.handle.ask(Ask::Unsubscribe { channel, name }).await?)
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        match self.handle.ask(Ask::Subscriptions { channel: channel.to_owned() }).await? {
            Answer::Names(names) => Ok(names),
            other => Err(unexpected(&other)),
        }
    }

    // Files have none.
    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.describe(channel).await.map(|_| Vec::new())
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        match self.answer_now(Ask::EncodePosition { position })? {
            Answer::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        match self.answer_now(Ask::DecodePosition { bytes: bytes.to_owned() })? {
            Answer::Position(Some(position)) => Ok(position),
            other => Err(unexpected(&other)),
        }
    }

    async fn close(&self) -> Result<()> {
        done(self.handle.ask(Ask::Close).await?)
    }
}

#[derive(Debug)]
struct RemoteWriter(Object);

#[async_trait]
impl ChannelWriter for RemoteWriter {
    async fn ready(&mut self) -> Result<()> {
        done(self.0.call(Ask::Ready).await?)
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let answer = self.0.link.answer_now(self.0.number, Ask::Check { records: flat(records) });
        done(received(Ok(answer))?)
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let (sender, receipt) = Receipt::pending();
        self.0.link.ask(self.0.number, Ask::Submit { records: flat(&records) }, |answer| {
            sender.send(outcome(answer));
        });
        receipt
    }

    async fn close(&mut self) -> Result<()> {
        done(self.0.call(Ask::Close).await?)
    }
}

fn outcome(answer: Answer) -> Outcome {
    match received(Ok(answer)) {
        Ok(Answer::Outcome { stored, rest: None }) => Outcome::stored(stored),
        Ok(Answer::Outcome { stored, rest: Some(rest) }) => {
            let fate = if rest.not_stored { Fate::NotStored } else { Fate::Unknown };
            Outcome::partial(stored, fate, rest.error.into())
        }
        Ok(other) => Outcome::partial(Vec::new(), Fate::Unknown, unexpected(&other)),
        Err(error) => Outcome::partial(Vec::new(), Fate::Unknown, error),
    }
}

#[derive(Debug)]
struct RemoteReader {
    object: Object,
    incarnation: Incarnation,
    /// A read that was cancelled here. It may have been answered already, with records that are the
    /// next ones.
    asked: Option<oneshot::Receiver<Answer>>,
    kept: Kept,
}

/// Records that were read and not yet handed out.
#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Record>,
    next: Position,
    caught_up: bool,
}

impl Kept {
    fn take(&mut self, limit: Limit) -> ReadBatch {
        let count = limit.count(&self.records);
        let records = self.records.drain(..count).collect();
        match self.records.front() {
            Some(left) => ReadBatch::new(records, left.position, false),
            None => ReadBatch::new(records, self.next, self.caught_up),
        }
    }
}

#[async_trait]
impl ChannelReader for RemoteReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        while self.kept.records.is_empty() {
            let is_of_this_call = self.asked.is_none();
            let Object { link, number } = &self.object;
            let asked = self.asked.get_or_insert_with(|| link.answer(*number, Ask::read(limit)));
            let answer = self.object.wait(asked).await;
            self.asked = None;
            match answer? {
                Answer::Batch { records, next, caught_up } => {
                    let records = records.into_iter().map(Record::from).collect();
                    self.kept = Kept { records, next, caught_up };
                    if is_of_this_call {
                        break;
                    }
                }
                Answer::Cancelled => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(self.kept.take(limit))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        done(self.object.call(Ask::Seek { start }).await?)?;
        // What was read before is at another place.
        (self.asked, self.kept) = (None, Kept::default());
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

#[derive(Debug)]
struct RemoteSubscription(Object);

#[async_trait]
impl Subscription for RemoteSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        done(self.0.ask(Ask::Ack { before }).await?)
    }

    async fn acked(&self) -> Result<Option<Position>> {
        match self.0.ask(Ask::Acked).await? {
            Answer::Position(acked) => Ok(acked),
            other => Err(unexpected(&other)),
        }
    }
}
