//! The task of a writer, which sends messages and matches their acknowledgements.
//!
//! Acknowledgements come on an inbox of the writer, one for each message, with the message's number
//! at the end of their subject. They are taken in the order of the messages, so that success is a
//! prefix. Nothing is ever sent twice: at the first failure the writer ends.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::vec;

use async_nats::message::OutboundMessage;
use async_nats::subject::Subject;
use async_nats::{Client, Message, Subscriber};
use futures::{FutureExt as _, Sink, StreamExt as _};
use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{Fate, Outcome, ReceiptSender, TransportErrorKind};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::client::WriterCount;
use crate::error::{lost, lost_by, unreadable_answer};
use crate::link::{Link, SUBSCRIPTION};
use crate::refusal::ServerError;
use crate::stream_info::StreamInfo;
use crate::writer::{Batch, Channel, State};

/// How many messages are in flight at most: their acknowledgements must fit into the subscription.
pub(crate) const WINDOW: usize = 1_024;
const _: () = assert!(WINDOW <= SUBSCRIPTION / 2);

/// A batch on its way.
struct Sending {
    unsent: vec::IntoIter<OutboundMessage>,
    count: usize,
    bytes: usize,
    stored: Vec<Position>,
    receipt: ReceiptSender,
}

pub(crate) struct Task {
    at: Arc<Channel>,
    link: Arc<Link>,
    client: Client,
    submitted: mpsc::UnboundedReceiver<Batch>,
    state: Arc<watch::Sender<State>>,
    /// Closing the handle waits for this.
    _count: WriterCount,
    /// The subject of the last acknowledgement that was requested: the inbox, a dot, a number.
    reply: String,
    inbox_len: usize,
    acks: Subscriber,
    /// In their order; the front one is acknowledged next.
    batches: VecDeque<Sending>,
    /// The first batch that isn't sent whole.
    unsent: usize,
    /// The answers to what was sent, from the oldest that isn't settled on.
    in_flight: VecDeque<Option<Result<u64, Failure>>>,
    /// The number of the oldest message in flight.
    oldest: u64,
    /// The sequence of the last message that is known to be in the stream.
    last: u64,
    incarnation: msgstream_core::record::Incarnation,
    /// When the oldest message in flight counts as lost.
    deadline: Instant,
}

/// The answer to a message.
#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    error: Option<ServerError>,
}

impl Task {
    pub(crate) async fn open(
        at: Arc<Channel>,
        link: Arc<Link>,
        submitted: mpsc::UnboundedReceiver<Batch>,
        state: Arc<watch::Sender<State>>,
        info: &StreamInfo,
    ) -> Result<Self, Failure> {
        let client = link.client.clone();
        let inbox = client.new_inbox();
        let acks = client.subscribe(format!("{inbox}.*")).await.map_err(lost_by)?;
        Ok(Self {
            _count: at.handle.count_writer(),
            at,
            link,
            client,
            submitted,
            state,
            inbox_len: inbox.len(),
            reply: inbox,
            acks,
            batches: VecDeque::new(),
            unsent: 0,
            in_flight: VecDeque::new(),
            oldest: 0,
            last: info.end() - 1,
            incarnation: info.incarnation(),
            deadline: Instant::now(),
        })
    }

    pub(crate) async fn run(mut self) {
        if let Err(failure) = self.write().await {
            self.fail(failure);
        }
        self.state.send_modify(|state| state.done = true);
    }

    /// Writes until nothing more is submitted, and all of it is settled.
    async fn write(&mut self) -> Result<(), Failure> {
        let handle = Arc::clone(&self.at.handle);
        let link = Arc::clone(&self.link);
        let mut denied = Box::pin(link.denied(&self.at.subject));
        let mut lost_link = Box::pin(link.lost());
        let mut closed = Box::pin(handle.closed());
        let (mut is_closed, mut is_ended) = (false, false);
        while !(is_ended && self.batches.is_empty()) {
            let has_unsent = self.unsent < self.batches.len() && self.in_flight.len() < WINDOW;
            let deadline = (!self.in_flight.is_empty()).then_some(self.deadline);
            tokio::select! {
                biased;
                ack = self.acks.next() => {
                    self.take(ack)?;
                    while let Some(ack) = self.acks.next().now_or_never() {
                        self.take(ack)?;
                    }
                    self.settle().await?;
                }
                batch = self.submitted.recv(), if !is_ended => match batch {
                    Some(batch) => self.accept(batch),
                    None => is_ended = true,
                },
                ready = poll_fn(|cx| Pin::new(&mut self.client).poll_ready(cx)), if has_unsent => {
                    ready.map_err(lost_by)?;
                    self.send()?;
                }
                // What was submitted before is still written.
                () = &mut closed, if !is_closed => {
                    is_closed = true;
                    self.submitted.close();
                }
                kind = &mut denied => return Err(kind.into()),
                () = &mut lost_link => return Err(self.link.why_lost().into()),
                () = sleep_until_some(deadline) => {
                    return Err(TransportErrorKind::TimedOut { after: self.at.handle.timeout() }.into());
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, batch: Batch) {
        let count = batch.messages.len();
        self.batches.push_back(Sending {
            unsent: batch.messages.into_iter(),
            count,
            bytes: batch.bytes,
            stored: Vec::with_capacity(count),
            receipt: batch.receipt,
        });
    }

    /// Sends one message, for which there is room, and more while the client takes them.
    fn send(&mut self) -> Result<(), Failure> {
        while let Some(mut message) = self.next_unsent() {
            let number = self.oldest + self.in_flight.len() as u64;
            message.reply = Some(self.reply_to(number));
            if self.in_flight.is_empty() {
                self.deadline = Instant::now() + self.at.handle.timeout();
            }
            self.in_flight.push_back(None);
            Pin::new(&mut self.client).start_send(message).map_err(lost_by)?;
            if self.in_flight.len() >= WINDOW {
                break;
            }
            let ready = poll_fn(|cx| Pin::new(&mut self.client).poll_ready(cx)).now_or_never();
            match ready {
                Some(ready) => ready.map_err(lost_by)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Returns the subject of the answer to a message.
    fn reply_to(&mut self, number: u64) -> Subject {
        self.reply.truncate(self.inbox_len);
        // Writing to a string can't fail.
        let _ = write!(self.reply, ".{number}");
        self.reply.as_str().into()
    }

    fn next_unsent(&mut self) -> Option<OutboundMessage> {
        loop {
            let batch = self.batches.get_mut(self.unsent)?;
            match batch.unsent.next() {
                Some(message) => return Some(message),
                None => self.unsent += 1,
            }
        }
    }

    /// Notes an answer.
    fn take(&mut self, answer: Option<Message>) -> Result<(), Failure> {
        let answer = answer.ok_or_else(lost)?;
        let number = answer.subject.rsplit('.').next().and_then(|n| n.parse::<u64>().ok());
        let at = number.and_then(|n| usize::try_from(n.checked_sub(self.oldest)?).ok());
        // What is settled already isn't waited for.
        if let Some(place) = at.and_then(|at| self.in_flight.get_mut(at)) {
            *place = Some(read(&answer));
        }
        Ok(())
    }

    /// Settles what is answered, in the order of the messages.
    async fn settle(&mut self) -> Result<(), Failure> {
        while let Some(answer) = self.in_flight.front_mut().and_then(Option::take) {
            let sequence = match answer {
                Ok(sequence) if sequence > self.last => sequence,
                Ok(_) => return Err(self.replaced().await),
                // Nobody listened: the stream is gone, or its server.
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                    return Err(self.missing().await);
                }
                Err(failure) => return Err(failure),
            };
            self.in_flight.pop_front();
            self.oldest += 1;
            self.last = sequence;
            self.deadline = Instant::now() + self.at.handle.timeout();
            let Some(batch) = self.batches.front_mut() else { continue };
            batch.stored.push(Position::new(sequence));
            if batch.stored.len() == batch.count
                && let Some(batch) = self.batches.pop_front()
            {
                self.unsent = self.unsent.saturating_sub(1);
                self.count_off(&batch);
                batch.receipt.send(Outcome::stored(batch.stored));
            }
        }
        Ok(())
    }

    /// Returns why the stream doesn't answer.
    async fn missing(&self) -> Failure {
        match self.at.handle.stream_info(&self.at.stream).await {
            Err(error) => error.into(),
            Ok(info) => {
                let reason = "the stream didn't answer for a moment".to_owned();
                let silent = || TransportErrorKind::Unavailable { reason };
                self.compare(&info).unwrap_or_else(silent).into()
            }
        }
    }

    /// Returns why positions went back.
    async fn replaced(&self) -> Failure {
        let info = self.at.handle.stream_info(&self.at.stream).await;
        let replaced = info.ok().and_then(|info| self.compare(&info));
        let kind = replaced.unwrap_or_else(|| TransportErrorKind::Protocol {
            reason: format!(
                "the server acknowledged a record at a position that isn't after the last one, {}",
                self.last
            ),
        });
        kind.into()
    }

    fn compare(&self, info: &StreamInfo) -> Option<TransportErrorKind> {
        let (expected, found) = (self.incarnation, info.incarnation());
        (expected != found).then_some(TransportErrorKind::WrongIncarnation { expected, found })
    }

    fn count_off(&self, batch: &Sending) {
        self.state.send_modify(|state| {
            state.records = state.records.saturating_sub(batch.count);
            state.bytes = state.bytes.saturating_sub(batch.bytes);
        });
    }

    /// Fails everything that isn't settled. The first batch gets the reason.
    fn fail(&mut self, failure: Failure) {
        // Whoever writes opens another writer, or ends.
        tracing::warn!(channel = self.at.name, error = %failure, "the writer failed and takes no more records");
        self.state.send_modify(|state| state.poisoned = true);
        self.submitted.close();
        while let Ok(batch) = self.submitted.try_recv() {
            self.accept(batch);
        }
        let mut failure = Some(failure);
        while let Some(batch) = self.batches.pop_front() {
            self.count_off(&batch);
            let is_sent = batch.unsent.len() < batch.count;
            let fate = if is_sent { Fate::Unknown } else { Fate::NotStored };
            let failure = failure.take().unwrap_or_else(|| TransportErrorKind::Poisoned.into());
            let error = failure.during("submit").on(&self.at.name);
            batch.receipt.send(Outcome::partial(batch.stored, fate, error));
        }
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Returns the sequence in an answer, or fails with the reason in it: `NotFound` if nobody
/// listened.
fn read(answer: &Message) -> Result<u64, Failure> {
    if answer.status.is_some() {
        return Err(TransportErrorKind::NotFound.into());
    }
    match serde_json::from_slice::<Ack>(&answer.payload) {
        Ok(Ack { error: Some(error), .. }) => Err(error.into()),
        Ok(Ack { seq, error: None }) if seq > 0 => Ok(seq),
        Ok(_) => Err(TransportErrorKind::Protocol {
            reason: "the server acknowledged a record without a sequence".into(),
        }
        .into()),
        Err(error) => Err(unreadable_answer(error)),
    }
}
