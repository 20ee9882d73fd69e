//! Appending.

use std::sync::Arc;

use async_nats::message::OutboundMessage;
use async_nats::subject::Subject;
use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, ReceiptSender, Result, TransportError,
    TransportErrorKind,
};
use tokio::sync::{mpsc, watch};

use crate::client::Handle;
use crate::headers::{encode, measure};
use crate::in_flight::Task;

/// However many records the window allows, no more is in flight than this, in bytes, and one batch.
const WINDOW_BYTES: usize = 16 << 20;

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
    /// The greatest message that is taken, in bytes with headers.
    pub(crate) limit: usize,
}

impl Channel {
    const fn check_size(&self, bytes: usize) -> Result<(), TransportErrorKind> {
        let limit = self.limit;
        if bytes > limit { Err(TransportErrorKind::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    fn error(&self, operation: &'static str, kind: TransportErrorKind) -> TransportError {
        TransportError::new(operation, kind).on(&self.name)
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

/// What `submit` was given.
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
    ) -> Result<Self, TransportErrorKind> {
        let info = handle.stream_info(&stream).await?;
        let Some(subject) = info.subject() else {
            let reason = format!(
                "stream `{stream}` takes messages by patterns alone: add a subject without `*` and `>`"
            );
            return Err(TransportErrorKind::Config { reason });
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

    fn encode(&self, record: &Record) -> Result<(OutboundMessage, usize), TransportErrorKind> {
        let (headers, bytes) = encode(record, &self.names)?;
        self.at.check_size(bytes)?;
        let (subject, payload) = (self.at.subject.clone(), record.payload.clone());
        Ok((OutboundMessage { subject, reply: None, payload, headers: Some(headers) }, bytes))
    }

    /// Why nothing is taken any more.
    fn ended(&self) -> Option<TransportErrorKind> {
        let closed = self.batches.is_none() || self.at.handle.check_open().is_err();
        let poisoned = || self.state.borrow().poisoned.then_some(TransportErrorKind::Poisoned);
        closed.then_some(TransportErrorKind::Closed).or_else(poisoned)
    }

    fn hand_over(&self, records: &[Record]) -> Result<Receipt, TransportErrorKind> {
        if let Some(kind) = self.ended() {
            return Err(kind);
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
        // The task ends by itself where it failed or where the handle was closed just now.
        sender
            .send(Batch { messages, bytes, receipt })
            .map_err(|_| self.ended().unwrap_or(TransportErrorKind::Poisoned))?;
        Ok(pending)
    }

    async fn wait_for_room(&self) -> Result<(), TransportErrorKind> {
        let window = self.at.handle.config.options.window;
        let mut state = self.state.subscribe();
        let room = |s: &State| s.poisoned || (s.records < window && s.bytes < WINDOW_BYTES);
        // The sender is here, so this can't fail.
        let _ = state.wait_for(room).await;
        self.ended().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl ChannelWriter for NatsWriter {
    async fn ready(&mut self) -> Result<()> {
        let closed = self.ended().filter(|kind| *kind == TransportErrorKind::Closed);
        let room = match closed {
            Some(kind) => Err(kind),
            None => self.at.handle.while_open(self.wait_for_room()).await,
        };
        room.map_err(|kind| self.at.error("ready", kind))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let checked = records.iter().try_for_each(|record| {
            measure(record, &self.names).and_then(|bytes| self.at.check_size(bytes))
        });
        checked.map_err(|kind| self.at.error("check", kind))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.hand_over(&records).unwrap_or_else(|kind| {
            let error = self.at.error("submit", kind);
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
