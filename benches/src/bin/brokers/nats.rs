//! NATS by async-nats: JetStream's own publishing and pull consumers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::traits::Publisher as _;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture};
use async_nats::jetstream::message::OutboundMessage;
use async_nats::jetstream::{self, Context};
use async_nats::subject::Subject;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use msgstream_core::registry::Registry;

use crate::load::{Found, Load, Message};
use crate::side::{Broker, Raw, Result, Side, Work, for_each};

const URL: &str = "MSGSTREAM_NATS_URL";

/// Messages in flight for each channel, as the transport has them by default.
const WINDOW: usize = 1_024;

/// Messages that a reader asks for, as the transport does.
const BATCH: usize = 1_000;

pub(crate) async fn open() -> Result<Broker> {
    let url = std::env::var(URL).map_err(|_| format!("the variable {URL} is not set"))?;
    let mut registry = Registry::new();
    msgstream_nats::register(&mut registry);
    let transport = registry.connect(&url).await?;
    let client = async_nats::connect(&url).await?;
    Ok(Broker { transport, raw: Box::new(Plain { context: jetstream::new(client) }) })
}

struct Plain {
    context: Context,
}

#[async_trait]
impl Side for Plain {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        Ok(Box::new(Publish { load: Arc::clone(load), client: self.context.client() }))
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        let mut consumers = Vec::new();
        for channel in &load.channels {
            let config = pull::Config {
                ack_policy: AckPolicy::None,
                memory_storage: true,
                num_replicas: 1,
                ..pull::Config::default()
            };
            consumers.push(self.context.create_consumer_on_stream(config, channel).await?);
        }
        Ok(Box::new(Read { load: Arc::clone(load), consumers }))
    }
}

#[async_trait]
impl Raw for Plain {
    fn about(&self) -> String {
        let version = self.context.client().server_info().version;
        format!(
            "- Server: {version}, client: async-nats 0.51\n- In flight: {WINDOW} messages for each channel, acknowledged in order\n- Reading: a pull consumer without acknowledgements, {BATCH} messages at a time\n"
        )
    }

    async fn stored(&self, channel: &str) -> Result<u64> {
        Ok(self.context.get_stream(channel).await?.cached_info().state.messages)
    }
}

struct Publish {
    load: Arc<Load>,
    client: async_nats::Client,
}

#[async_trait]
impl Work<()> for Publish {
    async fn run(&mut self) -> Result<()> {
        let writing = self.load.channels.iter().map(|channel| {
            let context = ContextBuilder::new().max_ack_inflight(WINDOW).build(self.client.clone());
            write(context, channel.as_str().into(), Arc::clone(&self.load))
        });
        for_each(writing).await.map(drop)
    }
}

async fn write(context: Context, subject: Subject, load: Arc<Load>) -> Result<()> {
    let mut in_flight: VecDeque<PublishAckFuture> = VecDeque::with_capacity(WINDOW);
    for number in 0..load.messages {
        if in_flight.len() == WINDOW
            && let Some(oldest) = in_flight.pop_front()
        {
            oldest.await?;
        }
        let message = load.message(number);
        let mut headers = HeaderMap::new();
        for (name, value) in message.headers() {
            headers.insert(name, value);
        }
        let message = OutboundMessage::new(subject.clone(), message.payload, Some(headers));
        in_flight.push_back(context.publish_message(message).await?);
    }
    for ack in in_flight {
        ack.await?;
    }
    Ok(())
}

struct Read {
    load: Arc<Load>,
    consumers: Vec<PullConsumer>,
}

#[async_trait]
impl Work<Found> for Read {
    async fn run(&mut self) -> Result<Found> {
        let messages = self.load.messages;
        let reading = self.consumers.iter().cloned().map(|consumer| read(consumer, messages));
        Ok(Found::sum(for_each(reading).await?))
    }
}

async fn read(consumer: PullConsumer, messages: u64) -> Result<Found> {
    // A server on a busy machine may be late by seconds.
    let stream = consumer.stream().max_messages_per_batch(BATCH).heartbeat(Duration::from_secs(10));
    let mut stream = stream.expires(Duration::from_secs(30)).messages().await?;
    let mut found = Found::default();
    while found.messages < messages {
        let message = stream.try_next().await?.ok_or("the consumer ended")?;
        let timestamp = message.headers.as_ref().and_then(|h| h.get(Message::TIMESTAMP));
        let timestamp = timestamp.ok_or("a message without a timestamp")?.as_str().parse()?;
        found.add(timestamp, &message.payload)?;
    }
    Ok(found)
}
