//! Writing.

use std::sync::Arc;

use async_nats::message::OutboundMessage;
use async_nats::subject::Subject;
use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, ReceiptSender, Result, TransportError,
    TransportErrorKind,
};
use tokio::sync::{mpsc, watch};

use crate::client::Handle;
use crate::headers::{encode, measure};
use crate::in_flight::{Task, WINDOW};

/// Hands batches to a task of its own, which sends them and matches the acknowledgements.
#[derive(Debug)]
pub(crate) struct NatsWriter {
    at: Arc<Channel>,
    names: MsgTypeNames,
    /// `None` once the writer is closed.
    batches: Option<mpsc::UnboundedSender<Batch>>,
    state: Arc<watch::Sender<State>>,
}

/// The stream that a writer writes to.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) handle: Arc<Handle>,
    pub(crate) name: String,
    pub(crate) stream: String,
    pub(crate) subject: Subject,
    /// The limit to a message, in bytes with headers.
    pub(crate) limit: usize,
}

impl Channel {
    fn check_size(&self, bytes: usize) -> Result<(), Failure> {
        let limit = self.limit;
        if bytes > limit {
            return Err(TransportErrorKind::TooLarge { bytes, limit }.into());
        }
        Ok(())
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.name)
    }
}

/// What a writer and its task both change.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What was submitted and has no receipt yet.
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) poisoned: bool,
    /// The task has ended: every receipt is there.
    pub(crate) done: bool,
}

/// The records of one `submit`.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<OutboundMessage>,
    pub(crate) bytes: usize,
    pub(crate) receipt: ReceiptSender,
}

impl NatsWriter {
    pub(crate) async fn open(
        handle: &Arc<Handle>,
        channel: &str,
        stream: String,
    ) -> Result<Self, Failure> {
        let info = handle.stream_info(&stream).await?;
        let Some(subject) = info.subject() else {
            let reason = format!(
                "the stream `{stream}` has only patterns as subjects: add a subject without `*` and `>`"
            );
            return Err(TransportErrorKind::Config { reason }.into());
        };
        let link = handle.while_open(handle.writing()).await?;
        let limit = info.max_message().unwrap_or(usize::MAX).min(link.client.max_payload());
        let at = Arc::new(Channel {
            handle: Arc::clone(handle),
            name: channel.to_owned(),
            subject: subject.into(),
            stream,
            limit,
        });
        let (batches, receiver) = mpsc::unbounded_channel();
        let state = Arc::new(watch::Sender::new(State::default()));
        let task = Task::open(Arc::clone(&at), link, receiver, Arc::clone(&state), &info).await?;
        tokio::spawn(task.run());
        Ok(Self { at, names: MsgTypeNames::default(), batches: Some(batches), state })
    }

    fn encode(&self, record: &Record) -> Result<(OutboundMessage, usize), Failure> {
        let (headers, bytes) = encode(record, &self.names)?;
        self.at.check_size(bytes)?;
        let (subject, payload) = (self.at.subject.clone(), record.payload.clone());
        Ok((OutboundMessage { subject, reply: None, payload, headers: Some(headers) }, bytes))
    }

    /// Returns why no more records are accepted.
    fn ended(&self) -> Option<TransportErrorKind> {
        let closed = self.batches.is_none() || self.at.handle.check_open().is_err();
        let poisoned = || self.state.borrow().poisoned.then_some(TransportErrorKind::Poisoned);
        closed.then_some(TransportErrorKind::Closed).or_else(poisoned)
    }

    fn hand_over(&self, records: &[Record]) -> Result<Receipt, Failure> {
        if let Some(kind) = self.ended() {
            return Err(kind.into());
        }
        if records.is_empty() {
            return Ok(Receipt::ready(Outcome::stored(Vec::new())));
        }
        let mut messages = Vec::with_capacity(records.len());
        let mut bytes = 0;
        for record in records {
            let (message, size) = self.encode(record).inspect_err(|_| {
                self.state.send_modify(|state| state.poisoned = true);
            })?;
            messages.push(message);
            bytes += size;
        }
        let (receipt, pending) = Receipt::pending();
        self.state.send_modify(|state| {
            state.records += messages.len();
            state.bytes += bytes;
        });
        let sender = self.batches.as_ref().ok_or(TransportErrorKind::Closed)?;
        // The task ends by itself if it failed or if the handle was closed just now.
        sender
            .send(Batch { messages, bytes, receipt })
            .map_err(|_| self.ended().unwrap_or(TransportErrorKind::Poisoned))?;
        Ok(pending)
    }

    async fn wait_for_room(&self) -> Result<(), Failure> {
        let window = self.at.handle.config.options.window_bytes;
        let mut state = self.state.subscribe();
        let room = |s: &State| s.poisoned || (s.records < WINDOW && s.bytes < window);
        // The sender is here, so this can't fail.
        let _ = state.wait_for(room).await;
        self.ended().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

#[async_trait]
impl ChannelWriter for NatsWriter {
    async fn ready(&mut self) -> Result<()> {
        let closed = self.ended().filter(|kind| *kind == TransportErrorKind::Closed);
        let room = match closed {
            Some(kind) => Err(kind.into()),
            None => self.at.handle.while_open(self.wait_for_room()).await,
        };
        room.map_err(|failure| self.at.error("ready", failure))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let checked = records.iter().try_for_each(|record| {
            measure(record, &self.names).and_then(|bytes| self.at.check_size(bytes))
        });
        checked.map_err(|failure| self.at.error("check", failure))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.hand_over(&records).unwrap_or_else(|failure| {
            let error = self.at.error("submit", failure);
            Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.batches = None;
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.done).await;
        Ok(())
    }
}
