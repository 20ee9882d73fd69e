//! Kafka by rdkafka: a `ThreadedProducer` and a `BaseConsumer`, each for all channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryFutureExt as _;
use msgstream_core::registry::Registry;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::load::{Found, Load, Message};
use crate::side::{Broker, Error, Raw, Result, Side, Work, for_each};

const URL: &str = "MSGSTREAM_KAFKA_URL";

/// The longest wait for anything.
const LONG: Duration = Duration::from_secs(30);

/// What a channel has in flight, in KiB, as the transport has it by default. It counts headers and
/// framing, of which the client counts nothing.
const WINDOW_KIB: usize = 8_192;
/// What the transport counts for the framing of a record and of each of its headers, in bytes.
const RECORD_OVERHEAD: usize = 36;
const HEADER_OVERHEAD: usize = 10;

/// What the transport sets, too.
const WRITING: &[(&str, &str)] = &[
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("linger.ms", "1"),
    ("queue.buffering.max.messages", "0"),
];
const READING: &[(&str, &str)] = &[
    ("group.id", "msgstream-bench"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("fetch.wait.max.ms", "25"),
    ("queued.max.messages.kbytes", "1024"),
    ("fetch.queue.backoff.ms", "2"),
];

pub(crate) async fn open() -> Result<Broker> {
    let url = std::env::var(URL).map_err(|_| format!("the variable {URL} is not set"))?;
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    let transport = registry.connect(&url).await?;
    let servers = url.trim_start_matches("kafka://").to_owned();
    Ok(Broker { transport, raw: Box::new(Plain { servers, producers: Mutex::default() }) })
}

struct Plain {
    servers: String,
    /// By what is in flight, in KiB as the client counts. They stay from one run to
    /// the next, as the transport's does: a new one waits for its identity and its first answer.
    producers: Mutex<BTreeMap<usize, Arc<Producer>>>,
}

impl Plain {
    fn config(&self, properties: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        for (name, value) in properties {
            config.set(*name, *value);
        }
        config
    }

    /// One that has as many messages of the load in flight as the transport.
    fn producer(&self, load: &Load) -> Result<Arc<Producer>> {
        let message = load.message(0);
        let headers = message.headers();
        let headers =
            headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD);
        let payload = message.payload.len();
        let counted = payload + headers.sum::<usize>() + RECORD_OVERHEAD;
        let window = WINDOW_KIB * load.channels.len() * payload / counted;
        let mut producers = self.producers.lock().map_err(|_| "a producer failed")?;
        if let Some(producer) = producers.get(&window) {
            return Ok(Arc::clone(producer));
        }
        let mut config = self.config(WRITING);
        config.set("queue.buffering.max.kbytes", window.to_string());
        let producer: Arc<Producer> = Arc::new(config.create_with_context(Deliveries::default())?);
        producers.insert(window, Arc::clone(&producer));
        Ok(producer)
    }
}

#[async_trait]
impl Side for Plain {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        let producer = self.producer(load)?;
        let (load, known) = (Arc::clone(load), Arc::clone(&producer));
        let topics = load.channels.clone();
        // The transport's writers look at their topics when they are opened, too.
        let look = move || {
            let see = |topic: &String| known.client().fetch_metadata(Some(topic), LONG);
            topics.iter().try_for_each(|topic| see(topic).map(drop))
        };
        spawn_blocking(look).await??;
        let deliveries = producer.context();
        deliveries.missing.store(load.total(), Ordering::Release);
        Ok(Box::new(Publish { load, producer }))
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        let consumer: BaseConsumer = self.config(READING).create()?;
        let mut start = TopicPartitionList::new();
        for channel in &load.channels {
            start.add_partition_offset(channel, 0, Offset::Offset(0))?;
        }
        consumer.assign(&start)?;
        Ok(Box::new(Read { load: Arc::clone(load), consumer: Arc::new(consumer) }))
    }
}

#[async_trait]
impl Raw for Plain {
    fn about(&self) -> String {
        let (_, version) = rdkafka::util::get_rdkafka_version();
        let shared = |properties: &[(&str, &str)]| {
            let shown = properties.iter().filter(|(name, _)| *name != "group.id");
            shown.map(|(name, value)| format!("`{name}={value}`")).collect::<Vec<_>>().join(", ")
        };
        format!(
            "- Client: rdkafka 0.39 with librdkafka {version}, `ThreadedProducer` and `BaseConsumer`\n- In flight: {WINDOW_KIB} KiB for each channel, with headers and framing\n- Writing: {}\n- Reading: {}\n",
            shared(WRITING),
            shared(READING)
        )
    }

    async fn stored(&self, channel: &str) -> Result<u64> {
        let (config, channel) = (self.config(READING), channel.to_owned());
        let ask = move || {
            let consumer: BaseConsumer = config.create()?;
            let (low, high) = consumer.fetch_watermarks(&channel, 0, LONG)?;
            Ok(u64::try_from(high - low)?)
        };
        spawn_blocking(ask).await?
    }
}

type Producer = ThreadedProducer<Deliveries>;

/// Counts what became of messages.
#[derive(Default)]
struct Deliveries {
    missing: AtomicU64,
    failed: AtomicU64,
    done: Notify,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::AcqRel);
        }
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

struct Publish {
    load: Arc<Load>,
    producer: Arc<Producer>,
}

#[async_trait]
impl Work<()> for Publish {
    async fn run(&mut self) -> Result<()> {
        let writing = (0..self.load.channels.len()).map(|channel| {
            let (load, producer) = (Arc::clone(&self.load), Arc::clone(&self.producer));
            let work = spawn_blocking(move || write(&producer, &load, &load.channels[channel]));
            work.map_err(Error::from).and_then(std::future::ready)
        });
        for_each(writing).await?;
        let deliveries = self.producer.context();
        deliveries.done.notified().await;
        match deliveries.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            failed => Err(format!("{failed} messages weren't stored").into()),
        }
    }
}

fn write(producer: &Producer, load: &Load, topic: &str) -> Result<()> {
    for number in 0..load.messages {
        let message = load.message(number);
        let mut headers = OwnedHeaders::new_with_capacity(5);
        for (key, value) in message.headers() {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        let record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(&message.payload);
        let mut record = record.headers(headers);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_micros(100));
            record = again;
        }
    }
    Ok(())
}

struct Read {
    load: Arc<Load>,
    consumer: Arc<BaseConsumer>,
}

#[async_trait]
impl Work<Found> for Read {
    async fn run(&mut self) -> Result<Found> {
        let (load, consumer) = (Arc::clone(&self.load), Arc::clone(&self.consumer));
        spawn_blocking(move || read(&consumer, &load)).await?
    }
}

fn read(consumer: &BaseConsumer, load: &Load) -> Result<Found> {
    let mut found: FxHashMap<&str, Found> =
        load.channels.iter().map(|channel| (channel.as_str(), Found::default())).collect();
    let mut missing = load.total();
    while missing > 0 {
        // It returns early after events that aren't messages.
        let Some(message) = consumer.poll(LONG) else { continue };
        let message = message?;
        let channel = found.get_mut(message.topic()).ok_or("a message of another topic")?;
        channel.add(timestamp(&message)?, message.payload().unwrap_or_default())?;
        missing -= 1;
    }
    Ok(Found::sum(found.into_values()))
}

fn timestamp(message: &BorrowedMessage<'_>) -> Result<u64> {
    let headers = message.headers().ok_or("a message without headers")?;
    let value = headers.iter().find(|header| header.key == Message::TIMESTAMP);
    let value = value.and_then(|header| header.value).ok_or("a message without a timestamp")?;
    Ok(std::str::from_utf8(value)?.parse()?)
}
