//! The prefetch of a reader: messages of an ephemeral pull consumer.
//!
//! The server keeps no acknowledgements for it and repeats nothing. If anything goes wrong with it, the
//! reader drops it and opens another one after the last record that it returned.

use std::mem;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::client::{Handle, Slot};
use crate::error::lost_by;
use crate::link::Link;

/// The most messages that are requested at once: fewer than the client keeps for one subscription.
const BATCH: usize = 1_000;

/// How long the server waits without a message before it sends a heartbeat.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long the server may be silent before the consumer counts as lost.
const SILENCE: Duration = Duration::from_secs(3);

/// How long one request for messages is valid.
const EXPIRES: Duration = Duration::from_secs(30);

/// How long a consumer may be idle before the server deletes it.
const INACTIVE: Duration = Duration::from_secs(60);

/// What a message may have besides what the server's limit counts, in bytes: subjects.
const ENVELOPE: usize = 2 << 10;

/// A message of a stream.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) sequence: u64,
    /// How many messages of the stream followed it when it was sent.
    pub(crate) behind: u64,
    pub(crate) message: Message,
}

#[derive(Debug)]
pub(crate) struct Prefetch {
    link: Arc<Link>,
    /// The subject of requests for messages.
    next_subject: String,
    gone_subject: String,
    inbox: String,
    messages: Subscriber,
    /// The next delivery, taken from the subscription and not returned yet.
    held: Option<Delivery>,
    /// How many messages the consumer has sent.
    received: u64,
    /// How many messages were requested and haven't arrived.
    asked: usize,
    asked_bytes: usize,
    /// The most that is requested, in bytes.
    budget: usize,
    /// The next message is larger than the budget, so it is requested alone.
    oversized: bool,
    /// When the server sent something last, or got a request while none was open.
    heard: Instant,
    /// Something has arrived since.
    is_heard: bool,
    /// When the server reported that it has nothing to send, and all that it sent had arrived.
    quiet: Option<Instant>,
}

impl Prefetch {
    /// Opens a consumer that begins where the policy says, and returns its first sequence. Each has a
    /// name of its own: the cluster may have placed the previous one on a server that is gone.
    pub(crate) async fn open(
        handle: &Handle,
        slot: &Slot,
        stream: &str,
        policy: Value,
        limit: Duration,
    ) -> Result<(Self, u64), Failure> {
        let link = handle.link(slot).await?;
        let inbox = link.client.new_inbox();
        let consumer = inbox.rsplit('.').next().unwrap_or_default().to_owned();
        let subscribed = link.client.subscribe(format!("{inbox}.*")).await;
        let messages = subscribed.map_err(lost_by)?;
        let budget = handle.config.options.prefetch_bytes;
        let prefetch = Self {
            next_subject: handle.api(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}")),
            gone_subject: handle.api(&format!("CONSUMER.DELETE.{stream}.{consumer}")),
            inbox,
            messages,
            held: None,
            received: 0,
            asked: 0,
            asked_bytes: 0,
            // Half of it is requested at a time, and has room for any message.
            budget: budget.max(2 * (link.client.max_payload() + ENVELOPE)),
            oversized: false,
            heard: Instant::now(),
            is_heard: false,
            quiet: None,
            link,
        };
        let mut config = json!({
            "name": consumer,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanoseconds(INACTIVE),
        });
        if let (Value::Object(config), Value::Object(policy)) = (&mut config, policy) {
            config.extend(policy);
        }
        let made = handle.create_consumer(stream, &consumer, config, limit).await?;
        Ok((prefetch, made.delivered.stream_seq + 1))
    }

    /// Returns the next delivery if it has arrived.
    pub(crate) fn peek(&mut self) -> Result<Option<&Delivery>, Failure> {
        while self.held.is_none() {
            match self.messages.next().now_or_never() {
                None => return Ok(None),
                Some(message) => self.take(message)?,
            }
        }
        Ok(self.held.as_ref())
    }

    /// Drops the delivery that was peeked at.
    pub(crate) fn pop(&mut self) {
        self.held = None;
    }

    /// Returns whether its connection is alive.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_alive()
    }

    /// Returns whether the server has reported since a time that it has nothing more to send.
    pub(crate) fn is_quiet_since(&self, time: Instant) -> bool {
        self.quiet.is_some_and(|quiet| quiet >= time)
    }

    /// Waits for the next delivery, which [`Self::peek`] returns then, and requests more messages
    /// once enough have arrived.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(crate) async fn wait(&mut self) -> Result<(), Failure> {
        while self.peek()?.is_none() {
            self.ask().await?;
            // Reads the clock once for all deliveries that have arrived.
            if mem::take(&mut self.is_heard) {
                self.heard = Instant::now();
            }
            let message = tokio::select! {
                biased;
                message = timeout_at(self.heard + SILENCE, self.messages.next()) => message,
                () = self.link.lost() => return Err(self.link.why_lost().into()),
            };
            match message {
                Ok(message) => self.take(message)?,
                Err(_) => {
                    let reason = "the server fell silent towards the reader".to_owned();
                    return Err(TransportErrorKind::Unavailable { reason }.into());
                }
            }
        }
        Ok(())
    }

    /// Requests more messages once half of those that were requested have arrived.
    ///
    /// # Cancel safety
    /// A cancelled call has sent the request and counted it, or neither.
    pub(crate) async fn ask(&mut self) -> Result<(), Failure> {
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
        sent.await.map_err(|error| Failure::new(self.link.why_lost(), error))?;
        if self.asked == 0 {
            self.heard = Instant::now();
        }
        self.asked += batch;
        self.asked_bytes += bytes;
        Ok(())
    }

    /// Keeps a delivery, or handles a status message.
    fn take(&mut self, message: Option<Message>) -> Result<(), Failure> {
        let message = message.ok_or_else(|| self.link.why_lost())?;
        self.is_heard = true;
        // A message of the stream may have a status too, if another program gave it one.
        let Some(place) = message.reply.as_deref().and_then(Place::read) else {
            let reason = "the server sent a message without its place in the stream".to_owned();
            let protocol = Err(TransportErrorKind::Protocol { reason }.into());
            return message.status.map_or(protocol, |status| self.learn(status, &message));
        };
        self.quiet = None;
        if place.delivery != self.received + 1 {
            // The client drops what is over the capacity of its subscription.
            let reason = format!(
                "delivery {} came after delivery {}: messages were lost on the way",
                place.delivery, self.received
            );
            return Err(TransportErrorKind::Unavailable { reason }.into());
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

    fn learn(&mut self, status: StatusCode, message: &Message) -> Result<(), Failure> {
        let text = message.description.as_deref().unwrap_or_default();
        match status.as_u16() {
            // A heartbeat, sent if there is nothing else to send. What was sent came before it.
            100 => {
                let sent: Option<u64> = left(message.headers.as_ref(), "Nats-Last-Consumer");
                self.quiet = sent.filter(|sent| *sent == self.received).map(|_| Instant::now());
                return Ok(());
            }
            // The request has ended: nothing is there, its time is over, or its bytes are used up.
            404 | 408 => {}
            409 if text.contains("MaxBytes") => {
                self.oversized = self.received_nothing_since(message);
            }
            409 if text.contains("Batch Completed") => {}
            _ => {
                let reason = format!("the server ended the reader's consumer: {status} {text}");
                return Err(TransportErrorKind::Unavailable { reason }.into());
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

    /// Returns whether a request ended without a message: the next message alone is larger.
    fn received_nothing_since(&self, message: &Message) -> bool {
        let left: Option<usize> = left(message.headers.as_ref(), "Nats-Pending-Bytes");
        left.is_some_and(|left| left >= self.budget)
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // If this can't be sent at once, the server deletes the idle consumer by itself.
        let subject = std::mem::take(&mut self.gone_subject);
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

/// What is in the reply subject of a message.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    sequence: u64,
    /// Its number among the messages that the consumer sent, from 1 on.
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
