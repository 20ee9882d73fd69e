//! Pulsar by the crate `pulsar`: its batching producer and its reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use msgstream_core::registry::{Registry, Url};
use pulsar::consumer::InitialPosition;
use pulsar::producer::{self, ProducerOptions, SendFuture};
use pulsar::reader::Reader;
use pulsar::{ConsumerOptions, DeserializeMessage, Payload, Producer, Pulsar, TokioExecutor};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::{Found, Load, Message};
use crate::side::{Broker, Raw, Result, Side, Work, for_each};

const URL: &str = "MSGSTREAM_PULSAR_URL";

/// In flight for each channel, as the transport has it by default, in bytes.
const INFLIGHT: usize = 8 << 20;
/// What a message has beside its payload, about, in bytes.
const PROPERTIES: usize = 130;

/// Messages in a batch, and its bytes: with less it is slower, for one batch is in flight, and with
/// more it isn't faster.
const BATCH: u32 = 4_000;
const BATCH_BYTES: usize = 512 << 10;
/// What is left at the end is flushed, so this hardly ever passes.
const BATCH_TIMEOUT: Duration = Duration::from_millis(5);

/// Messages that a reader lets come.
const QUEUE: u32 = 5_000;

pub(crate) async fn open() -> Result<Broker> {
    let url = std::env::var(URL).map_err(|_| format!("the variable {URL} is not set"))?;
    let mut registry = Registry::new();
    msgstream_pulsar::register(&mut registry);
    let transport = registry.connect(&url).await?;
    let mut service = Url::parse(&url)?;
    let admin = service.query_pairs().find(|(name, _)| name == "admin");
    let admin = admin.and_then(|(_, admin)| Some(admin.strip_prefix("http://")?.to_owned()));
    let admin = admin.ok_or("the URL has no option admin=http://HOST:PORT")?;
    let namespace = service.path().trim_matches('/').to_owned();
    service.set_path("");
    service.set_query(None);
    let client = Pulsar::builder(service.as_str(), TokioExecutor).build().await?;
    Ok(Broker { transport, raw: Box::new(Plain { client, admin, namespace }) })
}

struct Plain {
    client: Pulsar<TokioExecutor>,
    /// Host and port.
    admin: String,
    namespace: String,
}

impl Plain {
    fn topic(&self, channel: &str) -> String {
        format!("persistent://{}/{channel}", self.namespace)
    }
}

#[async_trait]
impl Side for Plain {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        let mut producers = Vec::new();
        for channel in &load.channels {
            let options = ProducerOptions {
                batch_size: Some(BATCH),
                batch_byte_size: Some(BATCH_BYTES),
                batch_timeout: Some(BATCH_TIMEOUT),
                block_queue_if_full: true,
                ..ProducerOptions::default()
            };
            let producer = self.client.producer().with_topic(self.topic(channel));
            producers.push(producer.with_options(options).build().await?);
        }
        Ok(Box::new(Publish { load: Arc::clone(load), producers }))
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        let mut readers = Vec::new();
        for channel in &load.channels {
            let options =
                ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
            let reader = self.client.reader().with_topic(self.topic(channel));
            let reader = reader.with_options(options).with_batch_size(QUEUE);
            readers.push(reader.into_reader().await?);
        }
        Ok(Box::new(Read { load: Arc::clone(load), readers }))
    }
}

#[async_trait]
impl Raw for Plain {
    fn about(&self) -> String {
        format!(
            "- Server: Pulsar standalone, client: pulsar 6.9\n- In flight: {} MiB for each channel; the plain producer has one batch of up to {BATCH} messages or {} KiB on its way, and blocks when its queue is full\n- Reading: an exclusive reader, up to {QUEUE} messages in advance\n",
            INFLIGHT >> 20,
            BATCH_BYTES >> 10,
        )
    }

    async fn stored(&self, channel: &str) -> Result<u64> {
        let Self { admin, namespace, .. } = self;
        let request = format!(
            "GET /admin/v2/persistent/{namespace}/{channel}/stats HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, count) = answer.split_once("\"msgInCounter\":").ok_or("no count of messages")?;
        let digits = count.split(|c: char| !c.is_ascii_digit()).next();
        Ok(digits.unwrap_or_default().parse()?)
    }
}

struct Publish {
    load: Arc<Load>,
    producers: Vec<Producer<TokioExecutor>>,
}

#[async_trait]
impl Work<()> for Publish {
    async fn run(&mut self) -> Result<()> {
        let writing = self.producers.drain(..).map(|p| write(p, Arc::clone(&self.load)));
        self.producers = for_each(writing).await?;
        Ok(())
    }
}

async fn write(
    mut producer: Producer<TokioExecutor>,
    load: Arc<Load>,
) -> Result<Producer<TokioExecutor>> {
    let mut in_flight: VecDeque<SendFuture> = VecDeque::new();
    for number in 0..load.messages {
        let message = load.message(number);
        if in_flight.len() > INFLIGHT / (message.payload.len() + PROPERTIES)
            && let Some(oldest) = in_flight.pop_front()
        {
            oldest.await?;
        }
        let properties = message.headers().map(|(name, value)| (name.to_owned(), value)).into();
        let payload = message.payload.into();
        let message = producer::Message { payload, properties, ..producer::Message::default() };
        in_flight.push_back(producer.send_non_blocking(message).await?);
    }
    producer.send_batch().await?;
    for receipt in in_flight {
        receipt.await?;
    }
    Ok(producer)
}

struct Read {
    load: Arc<Load>,
    readers: Vec<Reader<Untouched, TokioExecutor>>,
}

/// A message is taken as it is.
struct Untouched;

impl DeserializeMessage for Untouched {
    type Output = ();

    fn deserialize_message(_: &Payload) {}
}

#[async_trait]
impl Work<Found> for Read {
    async fn run(&mut self) -> Result<Found> {
        let messages = self.load.messages;
        let reading = self.readers.drain(..).map(|reader| read(reader, messages));
        let (readers, found): (Vec<_>, Vec<_>) = for_each(reading).await?.into_iter().unzip();
        self.readers = readers;
        Ok(Found::sum(found))
    }
}

async fn read(
    mut reader: Reader<Untouched, TokioExecutor>,
    messages: u64,
) -> Result<(Reader<Untouched, TokioExecutor>, Found)> {
    let mut found = Found::default();
    while found.messages < messages {
        let message = reader.try_next().await?.ok_or("the reader ended")?;
        let properties = &message.metadata().properties;
        let timestamp = properties.iter().find(|property| property.key == Message::TIMESTAMP);
        let timestamp = timestamp.ok_or("a message without a timestamp")?.value.parse()?;
        found.add(timestamp, &message.payload.data)?;
    }
    Ok((reader, found))
}
