//! What keeps a reader attached to its topic.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::record::{Incarnation, Position};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::brokers::Use;
use crate::client::Client;
use crate::connection::Connection;
use crate::frames;
use crate::ledgers::{ORIGIN, entry_place, is_beginning};
use crate::name::{Topic, nonce};
use crate::prefetch::{Inbox, Job};
use crate::transport::check_incarnation;

/// The pause after a request that got no answer.
const PAUSE: Duration = Duration::from_millis(20);
/// The pause after a failure that the reader returns: it may read on at once.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Attaches the inbox whenever it is detached: after a lost connection, after the topic moved to another
/// broker, after a seek, and after entries that didn't fit.
#[derive(Debug)]
pub(crate) struct Pump {
    pub(crate) client: Arc<Client>,
    pub(crate) topic: Topic,
    pub(crate) incarnation: Incarnation,
    pub(crate) inbox: Arc<Inbox>,
}

/// A consumer that isn't the inbox's own yet. Dropping it ends it.
struct Consumer {
    connection: Arc<Connection>,
    id: u64,
    kept: bool,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if !self.kept {
            self.connection.close_consumer(self.id);
        }
    }
}

impl Pump {
    /// Attaches it until the handle is closed.
    pub(crate) async fn run(self) {
        tokio::select! {
            biased;
            () = self.client.closed() => self.inbox.close(),
            () = self.attach() => {}
        }
    }

    async fn attach(&self) {
        let channel = &*self.topic.channel;
        // While it is tried in vain.
        let mut trying: Option<Retry> = None;
        let mut away = false;
        loop {
            if self.inbox.was_lost() && !std::mem::replace(&mut away, true) {
                warn!(channel, "the reader lost its broker, trying again");
            }
            let done = match self.inbox.job() {
                Job::Join(..) => {
                    let joined = self.join().await;
                    if joined.is_ok() && std::mem::take(&mut away) {
                        info!(channel, "the reader reached its broker again");
                    }
                    joined
                }
                Job::End(id, connection) => {
                    self.ask_end(id, &connection).await;
                    continue;
                }
                Job::Sound(place) => self.sound(place).await,
                Job::Wait => {
                    self.inbox.pump.notified().await;
                    continue;
                }
            };
            let Err(failure) = done else {
                trying = None;
                continue;
            };
            if std::mem::replace(&mut away, true) {
                debug!(channel, error = %failure, "the reader can't reach its broker yet, trying again");
            } else {
                warn!(channel, error = %failure, "the reader can't reach its broker, trying again");
            }
            let retry = trying.get_or_insert_with(|| self.client.retry());
            if let Err(failure) = retry.after(failure).await {
                trying = None;
                self.inbox.fail(failure);
                sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// Attaches the inbox at its place, if it is still the same channel, and if nothing is gone
    /// before that place.
    pub(crate) async fn join(&self) -> Result<(), Failure> {
        let Job::Join(place, moves) = self.inbox.job() else { return Ok(()) };
        let joined = self.join_at(place, moves).await;
        if joined.is_err() {
            self.inbox.not_joined();
        }
        joined
    }

    async fn join_at(&self, place: Position, moves: u64) -> Result<(), Failure> {
        let (_, connection) = self.client.brokers.owner(&self.topic, Use::Read).await?;
        let id = connection.next_id();
        self.inbox.joining(id);
        connection.add_inbox(id, &self.inbox)?;
        let mut consumer = Consumer { connection: Arc::clone(&connection), id, kept: false };
        let [ledger, entry, _] = place.words();
        let start = (!is_beginning(place)).then_some((ledger, entry));
        let name = format!("msgstream-{:032x}", nonce());
        let topic = self.topic.to_string();
        let request = |request| frames::subscribe(request, id, topic, name, start);
        let _turn = connection.turn().await;
        connection.request(request).await?;
        // Only now: a channel that is replaced after this ends the consumer.
        let rest = &self.client.rest;
        let (properties, stats) =
            tokio::try_join!(rest.properties(&self.topic), rest.internal_stats(&self.topic))?;
        check_incarnation(self.incarnation, &properties)?;
        let ledgers = stats.ledgers()?;
        ledgers.check(place)?;
        consumer.kept = self.inbox.joined(moves, id, &connection, ledgers);
        Ok(())
    }

    async fn ask_end(&self, id: u64, connection: &Connection) {
        let asked_at = self.inbox.tail();
        let answer = connection.request(|request| frames::last_message(request, id)).await;
        let last = answer.map(|answer| answer.get_last_message_id_response);
        let Ok(Some(last)) = last else {
            self.inbox.ends(asked_at, None);
            connection.close_consumer(id);
            self.inbox.lost(id);
            return sleep(PAUSE).await;
        };
        let last = last.last_message_id;
        self.inbox.ends(
            asked_at,
            Some(match last.entry_id {
                // There is none.
                u64::MAX => ORIGIN,
                entry => entry_place(last.ledger_id, entry.saturating_add(1)),
            }),
        );
    }

    async fn sound(&self, place: Position) -> Result<(), Failure> {
        let stats = self.client.rest.internal_stats(&self.topic).await?;
        self.inbox.sounded(place, stats.ledgers()?);
        Ok(())
    }
}
