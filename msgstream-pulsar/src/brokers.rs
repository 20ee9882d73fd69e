//! The brokers of a cluster, and the connections to them.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use msgstream_core::adapter::Failure;
use msgstream_core::registry::Url;
use msgstream_core::transport::TransportErrorKind as Kind;
use pulsar::proto::CommandLookupTopicResponse;
use pulsar::proto::command_lookup_topic_response::LookupType;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::PulsarConfig;
use crate::config::Address;
use crate::connection::{Connection, Target, lock};
use crate::error::{refusal, unreachable, unreachable_by};
use crate::frames;
use crate::hosts::Hosts;
use crate::name::Topic;

/// How often a lookup may be redirected to another broker.
const MAX_REDIRECTS: usize = 16;

/// The connections to brokers, each made when it is needed, until they are closed.
pub(crate) struct Brokers {
    config: PulsarConfig,
    services: Hosts<Address>,
    tls: Arc<rustls::ClientConfig>,
    connections: Mutex<HashMap<Place, Slot>>,
    closed: watch::Sender<bool>,
}

impl fmt::Debug for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Brokers");
        debug.field("services", &self.services).field("closed", &*self.closed.borrow());
        debug.finish_non_exhaustive()
    }
}

/// What a connection is for: receipts don't queue up behind what readers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    Read,
    Write,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: Address,
    behind_proxy: Option<String>,
    used: Use,
}

impl Address {
    fn at(&self, used: Use) -> Place {
        Place { address: self.clone(), behind_proxy: None, used }
    }
}

/// Opening holds the lock, so that it is done once.
type Slot = Arc<AsyncMutex<Option<Arc<Connection>>>>;

/// Opens a connection in place of one that ended, which stays if this fails.
async fn reopen(
    slot: &mut Option<Arc<Connection>>,
    target: &Target,
) -> Result<Arc<Connection>, Failure> {
    let broker = &target.address;
    let opened = Connection::open(target).await;
    match (&opened, &slot) {
        (Ok(_), Some(_)) => info!(%broker, "connected to a broker again"),
        (Ok(_), None) => debug!(%broker, "connected to a broker"),
        (Err(error), _) => debug!(%broker, %error, "connecting to a broker failed"),
    }
    Ok(Arc::clone(slot.insert(opened?)))
}

impl Brokers {
    pub(crate) fn new(config: &PulsarConfig) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self {
            services: Hosts::new(config.services.clone()),
            tls: Arc::new(crate::tls::config(config.ca.as_deref())?),
            connections: Mutex::default(),
            closed: watch::Sender::new(false),
            config: config.clone(),
        }))
    }

    /// Returns a connection to one of the brokers of the URL.
    pub(crate) async fn greet(&self) -> Result<Arc<Connection>, Failure> {
        self.any_service(|service| self.connection(service.at(Use::Read))).await
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until they are closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is here, so this can't fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Makes no more connections. Those that are there stay.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Ends all connections.
    pub(crate) async fn end(&self) {
        let slots: Vec<_> = lock(&self.connections).drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            // Readers and writers that weren't dropped don't keep it open.
            if let Some(connection) = slot.lock().await.take() {
                connection.end(Kind::Closed.into());
            }
        }
    }

    /// Asks one of the brokers of the URL after the other, until one answers.
    async fn any_service<A, Asking: Future<Output = Result<A, Failure>>>(
        &self,
        ask: impl Fn(Address) -> Asking,
    ) -> Result<A, Failure> {
        let answered = self.services.ask(self.config.timeout, |service, after| {
            let answer = timeout(after, ask(service));
            async move {
                match answer.await.unwrap_or(Err(Kind::TimedOut { after }.into())) {
                    Err(failure) if failure.is_temporary() => ControlFlow::Continue(failure),
                    answer => ControlFlow::Break(answer),
                }
            }
        });
        answered.await
    }

    /// Returns the broker of a topic and the connection to it, which may lead through a proxy.
    pub(crate) async fn owner(
        &self,
        topic: &Topic,
        used: Use,
    ) -> Result<(Address, Arc<Connection>), Failure> {
        let (service, mut answer) = self
            .any_service(|service| async move {
                let asked = self.connection(service.at(used)).await?;
                Ok((service, self.look_up(&asked, topic, false).await?))
            })
            .await?;
        for _ in 0..MAX_REDIRECTS {
            if answer.response() == LookupType::Failed {
                return Err(refusal(answer.error() as i32, answer.message()));
            }
            let address = broker_in(&answer, service.tls)?;
            let place = match answer.proxy_through_service_url() {
                true => Place { behind_proxy: Some(address.to_string()), ..service.at(used) },
                false => address.at(used),
            };
            let connection = self.connection(place).await?;
            if answer.response() == LookupType::Connect {
                return Ok((address, connection));
            }
            answer = self.look_up(&connection, topic, answer.authoritative()).await?;
        }
        Err(unreachable("the brokers redirect too often"))
    }

    /// Asks a broker which broker serves a topic.
    async fn look_up(
        &self,
        asked: &Connection,
        topic: &Topic,
        authoritative: bool,
    ) -> Result<CommandLookupTopicResponse, Failure> {
        let (topic, listener) = (topic.to_string(), self.config.listener.clone());
        let answer = asked.request(|id| frames::lookup(id, topic, authoritative, listener)).await?;
        answer.lookup_topic_response.ok_or_else(|| {
            let reason = "the broker didn't answer a lookup with a lookup".to_owned();
            Kind::Protocol { reason }.into()
        })
    }

    async fn connection(&self, place: Place) -> Result<Arc<Connection>, Failure> {
        let slot = Arc::clone(lock(&self.connections).entry(place.clone()).or_default());
        // The lock is mostly free.
        if let Ok(slot) = slot.try_lock()
            && let Some(connection) = slot.as_ref().filter(|connection| connection.is_alive())
        {
            return Ok(Arc::clone(connection));
        }
        let hosts = u32::try_from(self.config.services.len()).unwrap_or(u32::MAX);
        let target = Target {
            address: place.address,
            behind_proxy: place.behind_proxy,
            token: self.config.token.clone(),
            tls: Arc::clone(&self.tls),
            timeout: self.config.timeout,
            patience: self.config.timeout / hosts.max(1),
        };
        self.open_connection(slot, target).await
    }

    /// Opens a connection, in a task of its own: a caller that isn't polled for a while, such as a
    /// read of a stream that acknowledges, must not keep all others from the connection. The task
    /// ends with the handle.
    async fn open_connection(
        &self,
        slot: Slot,
        target: Target,
    ) -> Result<Arc<Connection>, Failure> {
        let after = self.config.timeout;
        let mut closed = self.closed.subscribe();
        let attempt = async move {
            let mut slot = slot.lock_owned().await;
            if let Some(connection) = slot.as_ref().filter(|connection| connection.is_alive()) {
                return Ok(Arc::clone(connection));
            }
            reopen(&mut slot, &target).await
        };
        let opened = tokio::spawn(async move {
            tokio::select! {
                biased;
                // Closed, or dropped.
                _ = closed.wait_for(|closed| *closed) => Err(Kind::Closed.into()),
                opened = timeout(after, attempt) => opened.unwrap_or(Err(Kind::TimedOut { after }.into())),
            }
        });
        opened.await.unwrap_or_else(|ended| {
            Err(unreachable_by("connecting to a broker was cut short", ended))
        })
    }
}

/// Returns the broker that an answer names.
fn broker_in(answer: &CommandLookupTopicResponse, tls: bool) -> Result<Address, Failure> {
    let url = match tls {
        true => answer.broker_service_url_tls(),
        false => answer.broker_service_url(),
    };
    let wrong = || Kind::Protocol {
        reason: format!("a lookup returned the address `{url}`, which can't be used"),
    };
    let parsed = Url::parse(url).map_err(|error| Failure::new(wrong(), error))?;
    let all = Address::all(&parsed, "").map_err(|error| Failure::new(wrong(), error))?;
    all.into_iter().next().ok_or_else(|| wrong().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::error::Error;

    use msgstream_core::registry::ConnectError;

    use super::*;
    use crate::error::tests::keeps;

    fn keeps_like<E: Error + 'static>(_: E, failure: Failure) -> bool {
        keeps::<E>(failure)
    }

    #[test]
    fn what_is_wrong_with_an_address_stays_the_cause() {
        let broker = |url: &str| {
            let broker_service_url = Some(url.to_owned());
            let answer = CommandLookupTopicResponse { broker_service_url, ..Default::default() };
            broker_in(&answer, false).unwrap_err()
        };
        assert!(keeps_like(Url::parse("::").unwrap_err(), broker("::")));
        assert!(keeps::<ConnectError>(broker("http://a")));
    }
}
