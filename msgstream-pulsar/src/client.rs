//! What a transport handle shares with its writers, readers and subscriptions.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, Weak};

use msgstream_core::registry::Url;
use msgstream_core::transport::{Retry, TransportErrorKind as Kind};
use pulsar::proto::CommandLookupTopicResponse;
use pulsar::proto::command_lookup_topic_response::LookupType;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::PulsarConfig;
use crate::config::Address;
use crate::connection::{Connection, Target, lock};
use crate::error::{refusal, unreachable};
use crate::hosts::Hosts;
use crate::producer::Producer;
use crate::rest::Rest;
use crate::topic::Topic;
use crate::{frames, tls};

/// Any broker may send us on to another one.
const MAX_REDIRECTS: usize = 16;

/// The connections, and whether the handle is closed.
pub(crate) struct Client {
    pub(crate) config: PulsarConfig,
    pub(crate) rest: Rest,
    services: Hosts<Address>,
    /// The greatest message that the brokers took when the handle was opened, in bytes.
    pub(crate) max_message: usize,
    tls: Arc<rustls::ClientConfig>,
    connections: Mutex<HashMap<Place, Slot>>,
    closed: watch::Sender<bool>,
    /// Those for which closing waits.
    producers: Mutex<Vec<Weak<Producer>>>,
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Client");
        debug.field("config", &self.config).field("closed", &*self.closed.borrow());
        debug.finish_non_exhaustive()
    }
}

impl Client {
    /// Connects once. A broker that isn't there is told at once.
    pub(crate) async fn open(config: PulsarConfig) -> Result<Arc<Self>, Kind> {
        let rest = Rest::new(&config)?;
        let mut client = Self {
            rest,
            services: Hosts::new(config.services.clone()),
            max_message: 0,
            tls: Arc::new(tls::config(config.ca.as_deref())?),
            connections: Mutex::default(),
            closed: watch::Sender::new(false),
            producers: Mutex::default(),
            config,
        };
        let greeted = client.any_service(|service| client.connection(service.at(Use::Read)));
        client.max_message = greeted.await?.max_message;
        // A wrong admin address or namespace is told now, not at the first use.
        let PulsarConfig { tenant, namespace, .. } = &client.config;
        client.rest.list(tenant, namespace).await?;
        Ok(Arc::new(client))
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

    pub(crate) fn topic(&self, channel: &str) -> Topic {
        Topic::new(&self.config, channel)
    }

    pub(crate) fn check_open(&self) -> Result<(), Kind> {
        if *self.closed.borrow() { Err(Kind::Closed) } else { Ok(()) }
    }

    /// Waits until the handle is closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is here, so this can't fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Does something that waits, unless the handle is closed or gets closed meanwhile.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, Kind>>,
    ) -> Result<T, Kind> {
        self.check_open()?;
        tokio::select! {
            biased;
            () = self.closed() => Err(Kind::Closed),
            done = work => done,
        }
    }

    /// For something that is tried until it is done, or fails for good, or for too long.
    pub(crate) fn retry(&self) -> Retry {
        Retry::new(self.config.timeout)
    }

    /// The connection to the broker that has a topic.
    pub(crate) async fn broker_of(
        &self,
        topic: &Topic,
        used: Use,
    ) -> Result<Arc<Connection>, Kind> {
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
                return Ok(connection);
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
        let target = Target {
            address: place.address,
            behind_proxy: place.behind_proxy,
            token: self.config.token.clone(),
            tls: Arc::clone(&self.tls),
            timeout: self.config.timeout,
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

    /// Closing waits for what this one has in flight.
    pub(crate) fn add_producer(&self, producer: &Arc<Producer>) {
        let mut producers = lock(&self.producers);
        producers.retain(|producer| producer.strong_count() > 0);
        producers.push(Arc::downgrade(producer));
    }

    /// Ends the handle, once all receipts are there.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let producers: Vec<_> = lock(&self.producers).iter().filter_map(Weak::upgrade).collect();
        for producer in producers {
            producer.flushed().await;
        }
        let slots: Vec<_> = lock(&self.connections).drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            // Readers and writers that nobody dropped don't keep it.
            if let Some(connection) = slot.lock().await.take() {
                connection.end(Kind::Closed);
            }
        }
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
