//! The brokers of a cluster, and the connections to them.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

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
use crate::error::{refusal, unreachable};
use crate::frames;
use crate::hosts::Hosts;
use crate::name::Topic;

/// Any broker may send us on to another one.
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

/// Opens a connection in place of one that is over. That one stays where this fails: there was one.
async fn reopen(
    slot: &mut Option<Arc<Connection>>,
    target: &Target,
) -> Result<Arc<Connection>, Kind> {
    let broker = &target.address;
    let opened = Connection::open(target).await;
    match (&opened, &slot) {
        (Ok(_), Some(_)) => info!(%broker, "connected again to a broker"),
        (Ok(_), None) => debug!(%broker, "connected to a broker"),
        (Err(error), _) => debug!(%broker, %error, "no connection to a broker"),
    }
    Ok(Arc::clone(slot.insert(opened?)))
}

impl Brokers {
    pub(crate) fn new(config: &PulsarConfig) -> Result<Arc<Self>, Kind> {
        Ok(Arc::new(Self {
            services: Hosts::new(config.services.clone()),
            tls: Arc::new(crate::tls::config(config.ca.as_deref())?),
            connections: Mutex::default(),
            closed: watch::Sender::new(false),
            config: config.clone(),
        }))
    }

    /// The connection to one that is asked for others.
    pub(crate) async fn greet(&self) -> Result<Arc<Connection>, Kind> {
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
            // Readers and writers that nobody dropped don't keep it.
            if let Some(connection) = slot.lock().await.take() {
                connection.end(Kind::Closed);
            }
        }
    }

    /// Asks one of the brokers of the URL after the other, until one answers.
    async fn any_service<A, Asking: Future<Output = Result<A, Kind>>>(
        &self,
        ask: impl Fn(Address) -> Asking,
    ) -> Result<A, Kind> {
        let answered = self.services.ask(self.config.timeout, |service, after| {
            let answer = timeout(after, ask(service));
            async move {
                match answer.await.unwrap_or(Err(Kind::TimedOut { after })) {
                    Err(kind) if kind.is_temporary() => ControlFlow::Continue(kind),
                    answer => ControlFlow::Break(answer),
                }
            }
        });
        answered.await
    }

    /// The broker that has a topic, and the connection to it, which may lead over a proxy.
    pub(crate) async fn owner(
        &self,
        topic: &Topic,
        used: Use,
    ) -> Result<(Address, Arc<Connection>), Kind> {
        let (service, mut answer) = self
            .any_service(|service| async move {
                let asked = self.connection(service.at(used)).await?;
                Ok((service, look_up(&asked, topic, false).await?))
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
            answer = look_up(&connection, topic, answer.authoritative()).await?;
        }
        Err(unreachable("the brokers redirect without end"))
    }

    async fn connection(&self, place: Place) -> Result<Arc<Connection>, Kind> {
        let slot = Arc::clone(lock(&self.connections).entry(place.clone()).or_default());
        // Mostly nobody holds it.
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

    /// Opens a connection, in a task of its own: a caller that nobody polls for a while, such as a
    /// read of a stream that acknowledges, must not keep all others from the connection. The task
    /// ends with the handle.
    async fn open_connection(&self, slot: Slot, target: Target) -> Result<Arc<Connection>, Kind> {
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
                _ = closed.wait_for(|closed| *closed) => Err(Kind::Closed),
                opened = timeout(after, attempt) => opened.unwrap_or(Err(Kind::TimedOut { after })),
            }
        });
        opened.await.unwrap_or_else(|_| Err(unreachable("the runtime ends")))
    }
}

/// Asks a broker which one has a topic.
async fn look_up(
    asked: &Connection,
    topic: &Topic,
    authoritative: bool,
) -> Result<CommandLookupTopicResponse, Kind> {
    let topic = topic.to_string();
    let answer = asked.request(|id| frames::lookup(id, topic, authoritative)).await?;
    answer.lookup_topic_response.ok_or_else(|| Kind::Protocol {
        reason: "a lookup was answered with something else".to_owned(),
    })
}

/// The broker that an answer names.
fn broker_in(answer: &CommandLookupTopicResponse, tls: bool) -> Result<Address, Kind> {
    let url = match tls {
        true => answer.broker_service_url_tls(),
        false => answer.broker_service_url(),
    };
    let wrong = |reason: &dyn fmt::Display| Kind::Protocol {
        reason: format!("the broker's address `{url}` can't be used: {reason}"),
    };
    let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
    Ok(Address::all(&parsed, "").map_err(|error| wrong(&error))?.swap_remove(0))
}
