//! Writing.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Receipt, Result, TransportError, TransportErrorKind as Kind,
};
use tokio::task::coop;

use crate::batch::{self, ENTRY_OVERHEAD};
use crate::brokers::Use;
use crate::client::Client;
use crate::connection::Connection;
use crate::frames;
use crate::in_flight::Producer;
use crate::name::{Topic, nonce};

/// Appends entries, many in flight, on a connection that it shares.
///
/// It sends each record once: after a failure only the caller knows what may be sent again.
#[derive(Debug)]
pub(crate) struct PulsarWriter {
    client: Arc<Client>,
    connection: Arc<Connection>,
    producer: Arc<Producer>,
    id: u64,
    /// No other writer has had it: a broker that looks for repeats goes by it.
    name: String,
    channel: String,
    names: MsgTypeNames,
    /// The limit to an encoded record, in bytes.
    limit: usize,
    closed: bool,
}

impl PulsarWriter {
    pub(crate) async fn open(client: Arc<Client>, topic: Topic) -> Result<Self, Failure> {
        // Requesting a producer would create a missing topic, so check that it exists.
        client.rest.channel_properties(&topic).await?;
        let own = client.rest.max_message_size(&topic).await?.unwrap_or(usize::MAX);
        let (_, connection) = client.brokers.owner(&topic, Use::Write).await?;
        let producer = Producer::new(&topic.channel, client.config.timeout);
        let (id, name) = (connection.next_id(), format!("msgstream-{:032x}", nonce()));
        let limit = client.max_message.min(connection.max_message).min(own);
        connection.add_producer(id, &producer)?;
        client.add_producer(&producer);
        // From here on, dropping the writer closes the producer at the broker.
        let writer = Self {
            limit: limit.saturating_sub(ENTRY_OVERHEAD),
            channel: topic.channel.clone(),
            names: MsgTypeNames::default(),
            client,
            connection,
            producer,
            id,
            name: name.clone(),
            closed: false,
        };
        let made = writer
            .connection
            .request(|request| frames::producer(request, id, topic.to_string(), name));
        match made.await?.producer_success {
            Some(_) => Ok(writer),
            None => Err(Kind::Protocol {
                reason: "the broker didn't answer the request for a producer with one".to_owned(),
            }
            .into()),
        }
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&*self.channel)
    }

    fn check_all(&self, records: &[Record]) -> Result<(), Failure> {
        records.iter().try_for_each(|record| batch::check(record, &self.names, self.limit))
    }
}

/// Returns the wall clock in milliseconds; a time before 1970 counts as 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl ChannelWriter for PulsarWriter {
    async fn ready(&mut self) -> Result<()> {
        // Lets others run: a loop of writes would keep its thread for itself.
        coop::consume_budget().await;
        let room = self.client.while_open(self.producer.room(self.client.config.window_bytes));
        room.await.map_err(|failure| self.error("ready", failure))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.check_all(records).map_err(|failure| self.error("check", failure))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        if let Err(failure) = self.client.check_open() {
            return self.producer.refuse(failure);
        }
        if let Err(failure) = self.check_all(&records) {
            return self.producer.poison(failure);
        }
        let now = unix_ms();
        self.producer.submit(batch::encode(&records, &self.names, self.limit), |sequence, entry| {
            let messages = i32::try_from(entry.messages).unwrap_or(i32::MAX);
            let name = self.name.clone();
            self.connection.send(frames::send(
                self.id,
                name,
                sequence,
                messages,
                now,
                entry.payload,
            ));
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.producer.close();
        self.producer.flushed().await;
        self.end();
        Ok(())
    }
}

impl PulsarWriter {
    /// Tells the broker, behind all that was sent.
    fn end(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.connection.close_producer(self.id);
        }
    }
}

impl Drop for PulsarWriter {
    fn drop(&mut self) {
        self.producer.abandon();
        self.end();
    }
}
