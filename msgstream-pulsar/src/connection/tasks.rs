//! The two tasks of a connection.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use msgstream_core::adapter::Failure;
use pulsar::message::Message;
use pulsar::proto::BaseCommand;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use super::{Read, Shared, State, Write, lock, lost};
use crate::config::Token;
use crate::error::{refusal, unreachable, unreachable_by};
use crate::frames;
use crate::framing::Frame;
use crate::in_flight::Producer;

/// How often deadlines are checked.
const TICK: Duration = Duration::from_millis(250);

/// Writes what is sent, many frames at a time.
pub(super) async fn write_out(
    shared: Arc<Shared>,
    mut outgoing: mpsc::UnboundedReceiver<Message>,
    mut write: Write,
) {
    while let Some(first) = outgoing.recv().await {
        let mut written = write.feed(first).await;
        while let (Ok(()), Ok(next)) = (&written, outgoing.try_recv()) {
            written = write.feed(next).await;
        }
        if written.is_ok() {
            written = write.flush().await;
        }
        if let Err(error) = written {
            return shared.end(unreachable_by("writing to the broker failed", error));
        }
    }
}

/// Reads what the broker says, and passes it on.
pub(super) struct Incoming {
    pub(super) shared: Arc<Shared>,
    pub(super) out: mpsc::UnboundedSender<Message>,
    pub(super) token: Option<Token>,
    /// How long the broker may be silent before it gets a ping, and again before the connection is given up.
    pub(super) silence: Duration,
    /// For the log.
    pub(super) broker: String,
}

impl Incoming {
    pub(super) async fn run(self, mut read: Read) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut asked) = (Instant::now(), false);
        let why = loop {
            tokio::select! {
                frame = read.next() => match frame {
                    Some(Ok(frame)) => {
                        (heard, asked) = (Instant::now(), false);
                        self.take(frame);
                    }
                    Some(Err(error)) => {
                        break unreachable_by("reading from the broker failed", error);
                    }
                    None => break lost(),
                },
                now = ticks.tick() => {
                    self.shared.expire(now);
                    if now > heard + self.silence * 2 {
                        break unreachable("the broker fell silent");
                    }
                    if now > heard + self.silence && !asked {
                        asked = true;
                        self.say(frames::ping());
                    }
                }
            }
        };
        warn!(broker = self.broker, error = %why, "the connection to a broker was lost");
        self.shared.end(why);
    }

    fn say(&self, frame: Message) {
        // If the writing task has ended, reading ends, too.
        let _ = self.out.send(frame);
    }

    fn take(&self, Frame { command, entry }: Frame) {
        if let Some(message) = &command.message {
            let inbox = lock(&self.shared.state).inboxes.get(&message.consumer_id).cloned();
            if let Some(inbox) = inbox {
                let id = &message.message_id;
                inbox.push(message.consumer_id, id.ledger_id, id.entry_id, entry);
            }
        } else if let Some(receipt) = command.send_receipt {
            let id = receipt.message_id.map(|id| (id.ledger_id, id.entry_id));
            self.shared.with_producer(receipt.producer_id, |producer| {
                producer.receipt(receipt.sequence_id, id);
            });
        } else if let Some(error) = command.send_error {
            let failure = refusal(error.error, &error.message);
            self.shared.with_producer(error.producer_id, |producer| {
                producer.refused(error.sequence_id, failure);
            });
        } else if let Some(close) = command.close_producer {
            let producer = lock(&self.shared.state).producers.remove(&close.producer_id);
            if let Some(producer) = producer {
                producer.fail(unreachable(
                    "the broker closed the writer, because the topic moves or was deleted",
                ));
            }
        } else if let Some(close) = command.close_consumer {
            let inbox = lock(&self.shared.state).inboxes.remove(&close.consumer_id);
            if let Some(inbox) = inbox {
                inbox.lost(close.consumer_id);
            }
        } else if command.ping.is_some() {
            self.say(frames::pong());
        } else if command.auth_challenge.is_some() {
            // Without a token the broker ends the connection, and the next attempt to connect says why.
            let token = self.token.as_ref().and_then(|token| token.read().ok());
            self.say(frames::authenticate(token));
        } else if let Some(id) = request_id(&command) {
            let sender = lock(&self.shared.state).requests.remove(&id);
            if let Some(sender) = sender {
                // Who asked may not wait any more.
                let _ = sender.send(command);
            }
        }
    }
}

/// The request that a command answers.
fn request_id(command: &BaseCommand) -> Option<u64> {
    let BaseCommand { success, error, producer_success, lookup_topic_response, .. } = command;
    let last = command.get_last_message_id_response.as_ref();
    (success.as_ref().map(|c| c.request_id))
        .or(error.as_ref().map(|c| c.request_id))
        .or(producer_success.as_ref().map(|c| c.request_id))
        .or(lookup_topic_response.as_ref().map(|c| c.request_id))
        .or(last.map(|c| c.request_id))
}

impl Shared {
    fn with_producer(&self, id: u64, act: impl FnOnce(&Producer)) {
        let producer = lock(&self.state).producers.get(&id).cloned();
        if let Some(producer) = producer {
            act(&producer);
            if producer.is_over() {
                lock(&self.state).producers.remove(&id);
            }
        }
    }

    /// Gives up what no receipt came for in time.
    fn expire(&self, now: Instant) {
        let producers: Vec<_> =
            lock(&self.state).producers.iter().map(|(id, p)| (*id, Arc::clone(p))).collect();
        for (id, producer) in producers {
            producer.expire(now);
            if producer.is_over() {
                lock(&self.state).producers.remove(&id);
            }
        }
    }

    /// Ends the connection for all its users.
    pub(super) fn end(&self, why: Failure) {
        let State { producers, inboxes, .. } = {
            let mut state = lock(&self.state);
            let ended = Some(state.ended.clone().unwrap_or_else(|| why.clone()));
            std::mem::replace(&mut *state, State { ended, ..State::default() })
        };
        for producer in producers.into_values() {
            producer.fail(why.clone());
        }
        for (id, inbox) in inboxes {
            inbox.lost(id);
        }
    }
}
