//! Durable cursors.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{Result, Subscription, TransportError, TransportErrorKind as Kind};
use tokio::sync::Mutex;

use crate::client::Client;
use crate::error::unreachable_by;
use crate::ledgers::entry_place;
use crate::name::Topic;
use crate::transport::{check_incarnation, incarnation_of};

/// The property of a cursor that was moved: its place alone doesn't show whether it ever was.
const MOVED: &str = "msgstream.moved";

/// A subscription of the broker's, with no consumer on it. Its cursor stands between entries.
#[derive(Debug)]
pub(crate) struct PulsarSubscription(Arc<Cursor>);

#[derive(Debug)]
struct Cursor {
    client: Arc<Client>,
    topic: Topic,
    name: String,
    incarnation: Incarnation,
    /// The last position that was acknowledged here.
    acked: Mutex<Option<Position>>,
}

impl PulsarSubscription {
    pub(crate) async fn open(
        client: Arc<Client>,
        topic: Topic,
        name: &str,
    ) -> Result<Self, Failure> {
        // Whoever subscribes makes the topic; we don't.
        let incarnation = incarnation_of(&client.rest.channel_properties(&topic).await?);
        client.rest.check_cursors(&topic).await?;
        client.rest.subscribe(&topic, name).await?;
        // Moving the cursor would throw them out.
        if client.rest.consumers(&topic, name).await? > 0 {
            let reason = format!("the subscription `{name}` has consumers; use another name");
            return Err(Kind::InUse { reason }.into());
        }
        let (name, acked) = (name.to_owned(), Mutex::default());
        Ok(Self(Arc::new(Cursor { client, topic, name, incarnation, acked })))
    }
}

impl Cursor {
    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&*self.topic.channel)
    }

    async fn move_to(&self, before: Position) -> Result<(), Failure> {
        // One after the other: an earlier one mustn't overtake a later one.
        let mut acked = self.acked.lock().await;
        if acked.is_some_and(|acked| acked >= before) {
            return Ok(());
        }
        let (rest, topic, name) = (&self.client.rest, &self.topic, &self.name);
        let (properties, stats) =
            tokio::try_join!(rest.properties(topic), rest.internal_stats(topic))?;
        check_incarnation(self.incarnation, &properties)?;
        match stats.ledgers()?.check(before) {
            // What is gone needs no cursor.
            Ok(()) | Err(Failure { kind: Kind::PositionTrimmed { .. }, .. }) => {}
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

    async fn stands(&self) -> Result<Option<Position>, Failure> {
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
        // In a task of its own: an `ack` that isn't polled must not keep the others from the cursor.
        let cursor = Arc::clone(&self.0);
        let moved =
            tokio::spawn(async move { cursor.client.while_open(cursor.move_to(before)).await });
        let moved = moved
            .await
            .unwrap_or_else(|ended| Err(unreachable_by("moving the cursor was cut short", ended)));
        moved.map_err(|failure| self.0.error("ack", failure))
    }

    async fn acked(&self) -> Result<Option<Position>> {
        let stands = self.0.client.while_open(self.0.stands()).await;
        stands.map_err(|failure| self.0.error("acked", failure))
    }
}
