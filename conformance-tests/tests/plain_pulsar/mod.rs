//! Pulsar without a client library, which would refuse to write what another one can't read.

mod entry;

use async_trait::async_trait;
use msgstream_conformance::{BadKind, BrokerError, PlainClient, PlainRecord};
use prost::Message as _;
use pulsar::message::proto;
use pulsar::message::proto::base_command::Type;
use pulsar::proto::BaseCommand;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::entry::Entry;

/// The entries that are under way.
const WINDOW: usize = 100;

const PRODUCER: u64 = 1;

/// The namespace of the channels.
const NAMESPACE: &str = "public/default";

/// A client of the brokers at some addresses.
pub(crate) struct PlainPulsar {
    pub(crate) hosts: Vec<String>,
}

#[async_trait]
impl PlainClient for PlainPulsar {
    fn bad_kinds(&self) -> &[BadKind] {
        entry::BAD_KINDS
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        let topic = format!("persistent://{NAMESPACE}/{channel}");
        let mut broker = self.broker_of(&topic).await?;
        let entries = entry::entries(records);
        for (window, number) in entries.chunks(WINDOW).zip(0_u64..) {
            let mut sent = Vec::new();
            for (entry, sequence) in window.iter().zip(number * WINDOW as u64..) {
                sent.extend(send(entry, sequence));
            }
            broker.0.write_all(&sent).await?;
            for _ in window {
                broker.answer(Type::SendReceipt).await?;
            }
        }
        Ok(())
    }
}

impl PlainPulsar {
    /// A way to the topic, by the one of the brokers that has it.
    async fn broker_of(&self, topic: &str) -> Result<Broker, BrokerError> {
        let mut refused = BrokerError::from("the URL has no host");
        for host in &self.hosts {
            let mut broker = Broker(TcpStream::connect(host).await?);
            match broker.attach(topic.to_owned()).await {
                Ok(()) => return Ok(broker),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

struct Broker(TcpStream);

impl Broker {
    /// Makes the way to the topic.
    async fn attach(&mut self, topic: String) -> Result<(), BrokerError> {
        let connect = proto::CommandConnect {
            client_version: "plain".to_owned(),
            protocol_version: Some(12),
            ..Default::default()
        };
        let connect = BaseCommand { connect: Some(connect), ..Default::default() };
        self.ask(Type::Connect, connect, Type::Connected).await?;
        // A broker takes a topic that it was asked for.
        let lookup = proto::CommandLookupTopic {
            topic: topic.clone(),
            request_id: 1,
            authoritative: Some(false),
            ..Default::default()
        };
        let lookup = BaseCommand { lookup_topic: Some(lookup), ..Default::default() };
        self.ask(Type::Lookup, lookup, Type::LookupResponse).await?;
        let producer = proto::CommandProducer {
            topic,
            producer_id: PRODUCER,
            request_id: 2,
            ..Default::default()
        };
        let producer = BaseCommand { producer: Some(producer), ..Default::default() };
        self.ask(Type::Producer, producer, Type::ProducerSuccess).await
    }

    async fn ask(
        &mut self,
        kind: Type,
        command: BaseCommand,
        wanted: Type,
    ) -> Result<(), BrokerError> {
        self.0.write_all(&frame(kind, command, &[])).await?;
        self.answer(wanted).await
    }

    /// Waits for a command of a type. Another one is an error, for the broker has nothing else to say.
    async fn answer(&mut self, wanted: Type) -> Result<(), BrokerError> {
        loop {
            let length = self.0.read_u32().await? as usize;
            let mut frame = vec![0; length];
            self.0.read_exact(&mut frame).await?;
            let (_, command) = frame.split_at_checked(4).ok_or("an answer that is too short")?;
            let command = BaseCommand::decode(command)?;
            match Type::try_from(command.r#type)? {
                Type::Ping => {
                    let pong =
                        BaseCommand { pong: Some(proto::CommandPong {}), ..Default::default() };
                    self.0.write_all(&self::frame(Type::Pong, pong, &[])).await?;
                }
                kind if kind == wanted => return Ok(()),
                _ => return Err(format!("the broker said {command:?}").into()),
            }
        }
    }
}

/// A command, with what belongs to it.
fn frame(kind: Type, command: BaseCommand, rest: &[u8]) -> Vec<u8> {
    let command = BaseCommand { r#type: kind as i32, ..command }.encode_to_vec();
    let whole = (4 + command.len() + rest.len()) as u32;
    let length = command.len() as u32;
    [&whole.to_be_bytes()[..], &length.to_be_bytes(), &command, rest].concat()
}

fn send(entry: &Entry, sequence_id: u64) -> Vec<u8> {
    let send = proto::CommandSend {
        producer_id: PRODUCER,
        sequence_id,
        num_messages: Some(entry.messages),
        is_chunk: entry.is_chunk.then_some(true),
        ..Default::default()
    };
    let command = BaseCommand { send: Some(send), ..Default::default() };
    frame(Type::Send, command, &entry.bytes(sequence_id))
}
