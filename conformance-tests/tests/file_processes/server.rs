//! The other process: does what it is asked to, on handles of its own.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, CreateOptions, Fate, Limit, Outcome, ReaderOptions, Result,
    Subscription, Transport,
};
use msgstream_file::FileTransport;
use tokio::runtime::Builder;
use tokio::select;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::files::config;
use crate::protocol::{Answer, Ask, Flat, Question, Reply, Rest};

/// Serves a folder until its input ends.
pub(crate) fn serve(folder: &Path) -> ExitCode {
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (sender, questions) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(question) => drop(sender.send(question)),
                Err(error) => eprintln!("a question that can't be read: {error}"),
            }
        }
    });
    runtime.block_on(answer_all(questions, folder));
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn answer_all(mut questions: UnboundedReceiver<Question>, folder: &Path) {
    let answers = Answers::default();
    let mut handles: HashMap<u64, Handle> = HashMap::new();
    let mut objects: HashMap<u64, (Inbox, Submits)> = HashMap::new();
    while let Some(Question { id, object, ask }) = questions.recv().await {
        let made = match &ask {
            Ask::Writer { object, .. }
            | Ask::Reader { object, .. }
            | Ask::Subscription { object, .. } => Some(*object),
            _ => None,
        };
        match ask {
            Ask::Open => {
                let opened = FileTransport::open(config(folder)).await;
                let opened = opened.map(|handle| drop(handles.insert(object, Handle::new(handle))));
                answers.send(id, done(opened));
            }
            Ask::Drop => {
                handles.remove(&object);
                objects.remove(&object);
            }
            ask => match (handles.get(&object), made) {
                (Some(handle), Some(made)) => {
                    let (sender, inbox) = unbounded_channel();
                    let submits = Arc::clone(&handle.submits);
                    objects.insert(made, (sender, Arc::clone(&submits)));
                    let calls = Calls { id, inbox, submits, answers: answers.clone() };
                    tokio::spawn(calls.serve(Arc::clone(&handle.transport), ask));
                }
                (Some(handle), None) => {
                    let (handle, answers) = (handle.clone(), answers.clone());
                    tokio::spawn(async move { answers.send(id, on_handle(&handle, ask).await) });
                }
                (None, _) => {
                    // It may be gone already, if its opening failed.
                    let Some((inbox, submits)) = objects.get(&object) else { continue };
                    let is_submit = matches!(ask, Ask::Submit { .. });
                    submits.send_modify(|count| *count += usize::from(is_submit));
                    drop(inbox.send((id, ask)));
                }
            },
        }
    }
}

/// How many batches are on their way to the writers of a handle.
type Submits = Arc<watch::Sender<usize>>;

#[derive(Clone)]
struct Handle {
    transport: Arc<FileTransport>,
    submits: Submits,
}

impl Handle {
    fn new(transport: FileTransport) -> Self {
        Self { transport: Arc::new(transport), submits: Arc::default() }
    }

    async fn close(&self) -> Result<()> {
        // Those were submitted before. The sender is here, so this can't fail.
        let _ = self.submits.subscribe().wait_for(|count| *count == 0).await;
        self.transport.close().await
    }
}

/// Where answers are written.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<()>>);

impl Answers {
    fn send(&self, id: u64, answer: Answer) {
        let _whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(&Reply { id, answer }).map_err(io::Error::from);
        let mut output = io::stdout().lock();
        let written =
            line.and_then(|line| writeln!(output, "{line}")).and_then(|()| output.flush());
        if let Err(error) = written {
            eprintln!("an answer wasn't written: {error}");
        }
    }
}

fn answer<T>(result: Result<T>, of: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or_else(|error| Answer::Failed((&error).into()), of)
}

fn done(result: Result<()>) -> Answer {
    answer(result, |()| Answer::Done)
}

fn records(flat: Vec<Flat>) -> Vec<Record> {
    flat.into_iter().map(Record::from).collect()
}

fn outcome(outcome: Outcome) -> Answer {
    let rest = outcome
        .rest
        .map(|rest| Rest { not_stored: rest.fate == Fate::NotStored, error: (&rest.error).into() });
    Answer::Outcome { stored: outcome.stored, rest }
}

async fn on_handle(handle: &Handle, ask: Ask) -> Answer {
    let transport = &handle.transport;
    match ask {
        Ask::Create { channel, properties } => {
            done(transport.create_with(&channel, CreateOptions::from(properties)).await)
        }
        Ask::Delete { channel } => done(transport.delete(&channel).await),
        Ask::Trim { channel, before } => done(transport.trim(&channel, before).await),
        Ask::List { prefix } => answer(transport.list(&prefix).await, Answer::Names),
        Ask::Describe { channel } => {
            answer(transport.describe(&channel).await, |info| Answer::Info {
                incarnation: info.incarnation,
                first: info.first,
                end: info.end,
                records: info.records,
                properties: info.properties,
            })
        }
        Ask::Unsubscribe { channel, name } => done(transport.unsubscribe(&channel, &name).await),
        Ask::Subscriptions { channel } => {
            answer(transport.subscriptions(&channel).await, Answer::Names)
        }
        Ask::EncodePosition { position } => {
            answer(transport.encode_position(position), Answer::Bytes)
        }
        Ask::DecodePosition { bytes } => {
            answer(transport.decode_position(&bytes), |position| Answer::Position(Some(position)))
        }
        Ask::Close => done(handle.close().await),
        _ => Answer::Cancelled,
    }
}

type Inbox = UnboundedSender<(u64, Ask)>;

/// The calls of one writer, reader or subscription, one after the other.
struct Calls {
    /// The call that is answered now.
    id: u64,
    inbox: UnboundedReceiver<(u64, Ask)>,
    submits: Submits,
    answers: Answers,
}

impl Calls {
    async fn serve(mut self, handle: Arc<FileTransport>, ask: Ask) {
        match ask {
            Ask::Writer { channel, .. } => {
                if let Some(writer) = self.open(handle.writer(&channel)).await {
                    self.answer(Answer::Done);
                    self.writer(writer).await;
                }
            }
            Ask::Reader { channel, start, incarnation, .. } => {
                let options = ReaderOptions::new(start).with_incarnation(incarnation);
                if let Some(reader) = self.open(handle.reader_with(&channel, options)).await {
                    self.answer(Answer::Reader { incarnation: reader.incarnation() });
                    self.reader(reader).await;
                }
            }
            Ask::Subscription { channel, name, .. } => {
                let opening = handle.subscription(&channel, &name);
                if let Some(subscription) = self.open(opening).await {
                    self.answer(Answer::Done);
                    self.subscription(subscription).await;
                }
            }
            _ => {}
        }
    }

    /// Waits for a call, unless whoever asked waits no longer: that is what comes next then.
    async fn unless_cancelled<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        select! {
            biased;
            done = call => Some(done),
            _ = self.inbox.recv() => {
                self.answer(Answer::Cancelled);
                None
            }
        }
    }

    async fn open<T>(&mut self, opening: impl Future<Output = Result<T>>) -> Option<T> {
        match self.unless_cancelled(opening).await? {
            Ok(object) => Some(object),
            Err(error) => {
                self.answer(Answer::Failed((&error).into()));
                None
            }
        }
    }

    fn answer(&self, answer: Answer) {
        self.answers.send(self.id, answer);
    }

    async fn next(&mut self) -> Option<Ask> {
        let (id, ask) = self.inbox.recv().await?;
        self.id = id;
        Some(ask)
    }

    async fn writer(&mut self, mut writer: Box<dyn ChannelWriter>) {
        let mut receipts = JoinSet::new();
        while let Some(ask) = self.next().await {
            let result = match ask {
                Ask::Ready => self.unless_cancelled(writer.ready()).await,
                Ask::Close => {
                    let closing = async {
                        let closed = writer.close().await;
                        // Their answers come first.
                        while receipts.join_next().await.is_some() {}
                        closed
                    };
                    self.unless_cancelled(closing).await
                }
                Ask::Check { records: flat } => Some(writer.check(&records(flat))),
                Ask::Submit { records: flat } => {
                    let receipt = writer.submit(records(flat));
                    self.submits.send_modify(|count| *count -= 1);
                    let (id, answers) = (self.id, self.answers.clone());
                    receipts.spawn(async move { answers.send(id, outcome(receipt.await)) });
                    None
                }
                _ => None,
            };
            if let Some(result) = result {
                self.answer(done(result));
            }
        }
        receipts.detach_all();
    }

    async fn reader(&mut self, mut reader: Box<dyn ChannelReader>) {
        while let Some(ask) = self.next().await {
            match ask {
                Ask::Read { records, bytes, wait } => {
                    let limit = Limit::default().with_records(records);
                    let limit = limit.with_bytes(bytes).with_wait(wait);
                    if let Some(read) = self.unless_cancelled(reader.read(limit)).await {
                        self.answer(answer(read, |batch| Answer::Batch {
                            records: batch.records.iter().map(Flat::from).collect(),
                            next: batch.next,
                            caught_up: batch.caught_up,
                        }));
                    }
                }
                Ask::Seek { start } => {
                    if let Some(sought) = self.unless_cancelled(reader.seek(start)).await {
                        self.answer(done(sought));
                    }
                }
                _ => {}
            }
        }
    }

    async fn subscription(&mut self, subscription: Arc<dyn Subscription>) {
        while let Some(ask) = self.next().await {
            let (id, answers, own) = (self.id, self.answers.clone(), Arc::clone(&subscription));
            // Calls of a subscription don't wait for one another.
            tokio::spawn(async move {
                let answer = match ask {
                    Ask::Ack { before } => done(own.ack(before).await),
                    _ => answer(own.acked().await, Answer::Position),
                };
                answers.send(id, answer);
            });
        }
    }
}
