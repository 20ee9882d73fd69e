//! What a reader gets its messages from: an ephemeral pull consumer.
//!
//! The server keeps no acknowledgements for it and repeats nothing. Whatever goes wrong with it, the
//! reader throws it away and opens another one behind the last record that it handed out.

use std::mem;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use msgstream_core::transport::TransportErrorKind;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::admin::API;
use crate::client::{Handle, Slot};
use crate::error::lost;
use crate::link::Link;

/// How many messages are asked for at most; less than the client keeps for one subscription.
const BATCH: usize = 1_000;

/// After so long without a message the server says that it is still there.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// So long without anything, and the consumer counts as lost.
const SILENCE: Duration = Duration::from_secs(3);

/// How long one request for messages stands.
const EXPIRES: Duration = Duration::from_secs(30);

/// The server forgets a consumer that nobody asked for so long.
const INACTIVE: Duration = Duration::from_secs(60);

/// What a message may have beside what the server's limit counts, in bytes: subjects.
const ENVELOPE: usize = 2 << 10;

/// A message of a stream.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) sequence: u64,
    /// How many messages of the stream came behind it when it was sent.
    pub(crate) behind: u64,
    pub(crate) message: Message,
}

#[derive(Debug)]
pub(crate) struct Feed {
    link: Arc<Link>,
    stream: String,
    consumer: String,
    /// Where messages are asked for.
    next_subject: String,
    inbox: String,
    messages: Subscriber,
    /// The next delivery, taken from the subscription and not yet handed out.
    held: Option<Delivery>,
    /// How many messages the consumer has sent us.
    received: u64,
    /// What was asked for and hasn't come.
    asked: usize,
    asked_bytes: usize,
    /// The most that is asked for, in bytes.
    budget: usize,
    /// A message is larger than the budget: it is asked for alone.
    oversized: bool,
    /// When the server was heard last, or asked after it owed nothing.
    heard: Instant,
    /// Something has come since.
    is_heard: bool,
    /// When the server said that it has nothing to send, and all that it sent had come.
    quiet: Option<Instant>,
}

impl Feed {
    /// Opens a consumer that begins as a policy says, and gives its first sequence. Each has a name
    /// of its own: the cluster may have placed the one before on a server that is gone.
    pub(crate) async fn open(
        handle: &Handle,
        slot: &Slot,
        stream: &str,
        policy: Value,
        limit: Duration,
    ) -> Result<(Self, u64), TransportErrorKind> {
        let link = handle.link(slot).await?;
        let inbox = link.client.new_inbox();
        let consumer = inbox.rsplit('.').next().unwrap_or_default().to_owned();
        let subscribed = link.client.subscribe(format!("{inbox}.*")).await;
        let messages = subscribed.map_err(|_| lost())?;
        let budget = handle.config.options.prefetch;
        let feed = Self {
            next_subject: format!("{API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            stream: stream.to_owned(),
            consumer,
            inbox,
            messages,
            held: None,
            received: 0,
            asked: 0,
            asked_bytes: 0,
            // Half of it is asked for at a time, and takes any message.
            budget: budget.max(2 * (link.client.max_payload() + ENVELOPE)),
            oversized: false,
            heard: Instant::now(),
            is_heard: false,
            quiet: None,
            link,
        };
        let mut config = json!({
            "name": feed.consumer,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanoseconds(INACTIVE),
        });
        if let (Value::Object(config), Value::Object(policy)) = (&mut config, policy) {
            config.extend(policy);
        }
        let made = handle.create_consumer(stream, &feed.consumer, config, limit).await?;
        Ok((feed, made.delivered.stream_seq + 1))
    }

    /// The next delivery that is there already.
    pub(crate) fn peek(&mut self) -> Result<Option<&Delivery>, TransportErrorKind> {
        while self.held.is_none() {
            match self.messages.next().now_or_never() {
                None => return Ok(None),
                Some(message) => self.take(message)?,
            }
        }
        Ok(self.held.as_ref())
    }

    /// Lets go of the delivery that was peeked at.
    pub(crate) fn pop(&mut self) {
        self.held = None;
    }

    /// Whether the connection is there through which it gets its messages.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_alive()
    }

    /// Whether the server has said since a time that it has nothing more to send.
    pub(crate) fn is_quiet_since(&self, time: Instant) -> bool {
        self.quiet.is_some_and(|quiet| quiet >= time)
    }

    /// Waits for the next delivery, asking for more where enough has come. [`Self::peek`] has it
    /// then.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(crate) async fn wait(&mut self) -> Result<(), TransportErrorKind> {
        while self.peek()?.is_none() {
            self.ask().await?;
            // One look at the clock for all that has come.
            if mem::take(&mut self.is_heard) {
                self.heard = Instant::now();
            }
            let message = tokio::select! {
                biased;
                message = timeout_at(self.heard + SILENCE, self.messages.next()) => message,
                () = self.link.lost() => return Err(self.link.why_lost()),
            };
            match message {
                Ok(message) => self.take(message)?,
                Err(_) => {
                    let reason = "the server stopped sending to the reader".to_owned();
                    return Err(TransportErrorKind::Unavailable { reason });
                }
            }
        }
        Ok(())
    }

    /// Asks for more messages, where half of those that were asked for have come.
    ///
    /// # Cancel safety
    /// A cancelled call has asked and counted it, or neither.
    pub(crate) async fn ask(&mut self) -> Result<(), TransportErrorKind> {
        if self.asked > BATCH / 2 || self.asked_bytes > self.budget / 2 {
            return Ok(());
        }
        let mut request = json!({
            "expires": nanoseconds(EXPIRES),
            "idle_heartbeat": nanoseconds(HEARTBEAT),
        });
        let (batch, bytes) = match self.oversized {
            true => (1, 0),
            false => (BATCH - self.asked, self.budget - self.asked_bytes),
        };
        request["batch"] = batch.into();
        if bytes > 0 {
            request["max_bytes"] = bytes.into();
        }
        let client = &self.link.client;
        let reply = format!("{}.pull", self.inbox);
        let body = Bytes::from(request.to_string());
        let sent = client.publish_with_reply(self.next_subject.clone(), reply, body);
        sent.await.map_err(|_| self.link.why_lost())?;
        if self.asked == 0 {
            self.heard = Instant::now();
        }
        self.asked += batch;
        self.asked_bytes += bytes;
        Ok(())
    }

    /// Holds a delivery, or learns from what is none.
    fn take(&mut self, message: Option<Message>) -> Result<(), TransportErrorKind> {
        let message = message.ok_or_else(|| self.link.why_lost())?;
        self.is_heard = true;
        // A message of the stream may have a status too, if another program gave it one.
        let Some(place) = message.reply.as_deref().and_then(Place::read) else {
            let reason = "a message without its place in the stream".to_owned();
            let protocol = Err(TransportErrorKind::Protocol { reason });
            return message.status.map_or(protocol, |status| self.learn(status, &message));
        };
        self.quiet = None;
        if place.delivery != self.received + 1 {
            // The client drops what is over the capacity of its subscription.
            let reason = format!(
                "delivery {} came after {}: something was lost on the way",
                place.delivery, self.received
            );
            return Err(TransportErrorKind::Unavailable { reason });
        }
        self.received += 1;
        self.asked = self.asked.saturating_sub(1);
        self.asked_bytes = match self.asked {
            0 => 0,
            _ => self.asked_bytes.saturating_sub(message.length),
        };
        self.oversized = false;
        self.held = Some(Delivery { sequence: place.sequence, behind: place.behind, message });
        Ok(())
    }

    fn learn(&mut self, status: StatusCode, message: &Message) -> Result<(), TransportErrorKind> {
        let text = message.description.as_deref().unwrap_or_default();
        match status.as_u16() {
            // A sign of life, where there is nothing else to send. What was sent came before it.
            100 => {
                let sent: Option<u64> = left(message.headers.as_ref(), "Nats-Last-Consumer");
                self.quiet = sent.filter(|sent| *sent == self.received).map(|_| Instant::now());
                return Ok(());
            }
            // The request has ended: nothing there, its time is over, or its bytes are used up.
            404 | 408 => {}
            409 if text.contains("MaxBytes") => {
                self.oversized = self.received_nothing_since(message);
            }
            409 if text.contains("Batch Completed") => {}
            _ => {
                let reason = format!("the server ended the reader's consumer: {status} {text}");
                return Err(TransportErrorKind::Unavailable { reason });
            }
        }
        let headers = message.headers.as_ref();
        let left = |name: &str| left(headers, name).unwrap_or_default();
        self.asked = self.asked.saturating_sub(left("Nats-Pending-Messages"));
        self.asked_bytes = match self.asked {
            0 => 0,
            _ => self.asked_bytes.saturating_sub(left("Nats-Pending-Bytes")),
        };
        Ok(())
    }

    /// Whether a request ended as it began: the next message alone is larger.
    fn received_nothing_since(&self, message: &Message) -> bool {
        let left: Option<usize> = left(message.headers.as_ref(), "Nats-Pending-Bytes");
        left.is_some_and(|left| left >= self.budget)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Where this can't be sent at once, the server forgets the consumer by itself.
        let subject = format!("{API}.CONSUMER.DELETE.{}.{}", self.stream, self.consumer);
        let reply = format!("{}.gone", self.inbox);
        let _ = self.link.client.publish_with_reply(subject, reply, Bytes::new()).now_or_never();
    }
}

fn left<T: FromStr>(headers: Option<&HeaderMap>, name: &str) -> Option<T> {
    headers?.get(name)?.as_str().parse().ok()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the reply subject of a message tells.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    sequence: u64,
    /// Its number among those that the consumer sent, from 1 on.
    delivery: u64,
    behind: u64,
}

impl Place {
    /// `$JS.ACK.STREAM.CONSUMER.TRIES.SEQUENCE.DELIVERY.TIME.BEHIND`, or with two parts more in
    /// front of the stream and perhaps more at the end.
    fn read(reply: &str) -> Option<Self> {
        let mut parts = [""; 9];
        let mut count = 0;
        for (part, place) in reply.strip_prefix("$JS.ACK.")?.split('.').zip(&mut parts) {
            *place = part;
            count += 1;
        }
        let [sequence, delivery, _, behind] = match count {
            7 => [parts[3], parts[4], parts[5], parts[6]],
            9 => [parts[5], parts[6], parts[7], parts[8]],
            _ => return None,
        };
        Some(Self {
            sequence: sequence.parse().ok()?,
            delivery: delivery.parse().ok()?,
            behind: behind.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_both_forms() {
        let place = Place { sequence: 42, delivery: 7, behind: 3 };
        assert_eq!(Place::read("$JS.ACK.orders.c1.1.42.7.1700000000.3"), Some(place));
        let place = Place { sequence: 42, delivery: 7, behind: 3 };
        assert_eq!(Place::read("$JS.ACK._.hash.orders.c1.1.42.7.1700000000.3.rnd"), Some(place));
        for other in ["", "_INBOX.x", "$JS.ACK.a.b", "$JS.ACK.orders.c1.1.x.7.1700000000.3"] {
            assert_eq!(Place::read(other), None, "{other}");
        }
    }
}
