//! Durable cursors.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::transport::{
    Incarnation, Position, Result, Subscription, TransportError, TransportErrorKind as Kind,
};
use tokio::sync::Mutex;

use crate::admin::incarnation_of;
use crate::client::Client;
use crate::ledgers::entry_place;
use crate::topic::Topic;

/// The property of a cursor that was moved. By its place alone it can't be told from one that never
/// was.
const MOVED: &str = "msgstream.moved";

/// A subscription of the broker's, with no consumer on it. Its cursor stands between entries.
#[derive(Debug)]
pub(crate) struct PulsarSubscription {
    client: Arc<Client>,
    topic: Topic,
    name: String,
    incarnation: Incarnation,
    /// The last position that was acknowledged here.
    acked: Mutex<Option<Position>>,
}

impl PulsarSubscription {
    pub(crate) async fn open(client: Arc<Client>, topic: Topic, name: &str) -> Result<Self, Kind> {
        // Whoever subscribes makes the topic; we don't.
        let incarnation = incarnation_of(&client.rest.properties(&topic).await?);
        client.rest.subscribe(&topic, name).await?;
        let (name, acked) = (name.to_owned(), Mutex::default());
        Ok(Self { client, topic, name, incarnation, acked })
    }

    fn error(&self, operation: &'static str, kind: Kind) -> TransportError {
        TransportError::new(operation, kind).on(&*self.topic.channel)
    }

    async fn move_to(&self, before: Position) -> Result<(), Kind> {
        // One after the other: an earlier one mustn't overtake a later one.
        let mut acked = self.acked.lock().await;
        if acked.is_some_and(|acked| acked >= before) {
            return Ok(());
        }
        let (rest, topic, name) = (&self.client.rest, &self.topic, &self.name);
        let (properties, stats) =
            tokio::try_join!(rest.properties(topic), rest.internal_stats(topic))?;
        let found = incarnation_of(&properties);
        if found != self.incarnation {
            return Err(Kind::WrongIncarnation { expected: self.incarnation, found });
        }
        match stats.ledgers()?.check(before) {
            // What is gone needs no cursor.
            Ok(()) | Err(Kind::PositionTrimmed { .. }) => {}
            Err(kind) => return Err(kind),
        }
        let stands = match stats.cursor(name)? {
            Some(stands) => stands,
            None => {
                rest.subscribe(topic, name).await?;
                entry_place(0, 0)
            }
        };
        if acked.is_none() {
            rest.set_cursor_properties(topic, name, &BTreeMap::from([(MOVED, "1")])).await?;
        }
        let [ledger, entry, _] = before.words();
        // The end of a channel without records is not an entry's place, and needs no move.
        if entry != u64::MAX && entry_place(ledger, entry) > stands {
            rest.move_cursor(topic, name, (ledger, entry)).await?;
        }
        *acked = Some(before);
        Ok(())
    }

    async fn stands(&self) -> Result<Option<Position>, Kind> {
        let (rest, topic, name) = (&self.client.rest, &self.topic, &self.name);
        let stats = rest.internal_stats(topic).await?;
        let Some(stands) = stats.cursor(name)? else { return Ok(None) };
        if !rest.cursor_properties(topic, name).await?.contains_key(MOVED) {
            return Ok(None);
        }
        let [ledger, ..] = stands.words();
        // All of a ledger was acknowledged, and it is gone: the cursor is before the next one.
        let oldest = stats.ledgers()?.oldest().filter(|oldest| *oldest > ledger);
        Ok(Some(oldest.map_or(stands, |oldest| entry_place(oldest, 0))))
    }
}

#[async_trait]
impl Subscription for PulsarSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        let moved = self.client.while_open(self.move_to(before)).await;
        moved.map_err(|kind| self.error("ack", kind))
    }

    async fn acked(&self) -> Result<Option<Position>> {
        let stands = self.client.while_open(self.stands()).await;
        stands.map_err(|kind| self.error("acked", kind))
    }
}
