//! A connection to a server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, Message, ReconnectToServer, Request, ServerAddr,
    ServerError,
};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::NatsConfig;
use crate::error::{connect_error, lost, lost_because};

/// How many messages may wait in one subscription. The client drops what is over it, so whoever
/// subscribes asks for less.
pub(crate) const SUBSCRIPTION: usize = 4_096;

/// How long a connection may be silent until it is asked for a sign of life; three such questions
/// without an answer end it.
const PING: Duration = Duration::from_secs(2);

/// No server is given less time to greet than this, however many there are.
const SHORTEST_GREETING: Duration = Duration::from_secs(1);

/// Where nobody listens.
const NOWHERE: &str = "nats://0.0.0.0:0";

/// One connection, which is never opened again: what waits in the client when it is lost is not
/// sent later, behind what was sent again. Whoever needs another opens another link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    lost: watch::Receiver<bool>,
    /// What the server said last, beside what is denied: mostly why it ends the connection.
    last_words: Arc<Mutex<Option<String>>>,
    denied: broadcast::Sender<Arc<str>>,
}

impl Link {
    pub(crate) async fn open(config: &NatsConfig) -> Result<Self, TransportErrorKind> {
        let servers = addresses(config)?;
        #[cfg(not(feature = "tls"))]
        refuse_tls(config).await?;

        // At each connection anew, for what is in a file may have been replaced.
        let proof = config.credentials.load().await?;
        let opened = Arc::new(AtomicBool::new(false));
        let (lost_sender, lost_receiver) = watch::channel(false);
        let (denied, _) = broadcast::channel(64);
        let last_words = Arc::new(Mutex::new(None));
        let options = ConnectOptions::with_auth_callback(move |nonce| {
            let answer = proof.answer(&nonce);
            async move { answer }
        });
        let options = options
            .name("msgstream")
            .max_reconnects(servers.len())
            .reconnect_to_server_callback({
                let opened = Arc::clone(&opened);
                // `None` is the client's own choice. Later the pool has one address, and nobody is
                // there.
                move |pool, _| {
                    let first = pool.into_iter().next().filter(|_| opened.load(Ordering::Acquire));
                    let delay = Some(Duration::ZERO);
                    let chosen = first.map(|s| ReconnectToServer { addr: s.addr, delay });
                    async move { chosen }
                }
            })
            .ignore_discovered_servers()
            .connection_timeout(greeting(config.options.timeout, servers.len()))
            .request_timeout(None)
            .ping_interval(PING)
            .subscription_capacity(SUBSCRIPTION)
            .event_callback({
                let (denied, last_words) = (denied.clone(), Arc::clone(&last_words));
                move |event| {
                    match event {
                        Event::Disconnected | Event::Closed => {
                            lost_sender.send_replace(true);
                        }
                        Event::ServerError(ServerError::Other(text)) if is_denial(&text) => {
                            // Nobody waiting is no error.
                            drop(denied.send(text.into()));
                        }
                        Event::ServerError(error) => {
                            let mut words =
                                last_words.lock().unwrap_or_else(PoisonError::into_inner);
                            *words = Some(error.to_string());
                        }
                        _ => {}
                    }
                    async {}
                }
            });
        let options = config.tls.apply(options)?;
        let client = options.connect(servers).await.map_err(|e| connect_error(&e))?;
        // The client can't be told not to reconnect. So it has nowhere to go, and gives up.
        client.set_server_pool(NOWHERE).await.map_err(|_| lost())?;
        opened.store(true, Ordering::Release);
        Ok(Self { client, lost: lost_receiver, last_words, denied })
    }

    pub(crate) fn is_alive(&self) -> bool {
        // The sender goes away with the client's tasks, which may end without an event.
        self.lost.has_changed().is_ok()
            && !*self.lost.borrow()
            && self.client.connection_state() == State::Connected
    }

    /// Waits for the end of the connection.
    pub(crate) async fn lost(&self) {
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }

    /// Why it ended, as far as the server has said it.
    pub(crate) fn why_lost(&self) -> TransportErrorKind {
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.as_deref().map_or_else(lost, lost_because)
    }

    /// Waits until the server says that it doesn't let us use a subject, from when this is called.
    pub(crate) fn denied(&self, subject: &str) -> impl Future<Output = TransportErrorKind> + use<> {
        let mut said = self.denied.subscribe();
        let subject = format!("\"{subject}\"");
        async move {
            loop {
                match said.recv().await {
                    Ok(text) if text.contains(&subject) => {
                        let reason = format!("{text}; give the account that permission");
                        return TransportErrorKind::Denied { reason };
                    }
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    _ => {}
                }
            }
        }
    }

    /// Sends a request and waits for the answer; `None` where nobody listens.
    ///
    /// # Cancel safety
    /// The request may or may not have been sent.
    pub(crate) async fn request(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Option<Message>, TransportErrorKind> {
        let denied = self.denied(subject);
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        let answer = timeout(limit, self.client.send_request(subject.to_owned(), request));
        tokio::select! {
            biased;
            answer = answer => match answer {
                Err(_) => Err(TransportErrorKind::TimedOut { after: limit }),
                Ok(Ok(message)) => Ok(Some(message)),
                Ok(Err(error)) => match error.kind() {
                    RequestErrorKind::NoResponders => Ok(None),
                    RequestErrorKind::Other => Err(self.why_lost()),
                    _ => Err(TransportErrorKind::Protocol { reason: error.to_string() }),
                },
            },
            kind = denied => Err(kind),
            () = self.lost() => Err(self.why_lost()),
        }
    }

    /// Asks what changes nothing, and asks again where no answer comes, for as long as one may
    /// take: in a cluster nobody answers a question that came while there was no leader. The first
    /// answer counts, to whichever it is.
    pub(crate) async fn question(
        &self,
        subject: &str,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Option<Message>, TransportErrorKind> {
        let deadline = Instant::now() + limit;
        let mut asked = FuturesUnordered::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            asked.push(self.request(subject, HeaderMap::new(), payload.clone(), left));
            tokio::select! {
                biased;
                Some(answer) = asked.next() => return match answer {
                    Err(TransportErrorKind::TimedOut { .. }) => {
                        Err(TransportErrorKind::TimedOut { after: limit })
                    }
                    answer => answer,
                },
                () = sleep(limit / 4) => {}
            }
        }
    }
}

/// How long one server may take to greet: one that hangs must leave time for the others.
fn greeting(limit: Duration, servers: usize) -> Duration {
    let share = u32::try_from(servers).map_or(Duration::ZERO, |servers| limit / servers.max(1));
    share.max(SHORTEST_GREETING).min(limit)
}

/// Whether the server tells that it doesn't let us use a subject, which doesn't end the connection.
fn is_denial(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

fn addresses(config: &NatsConfig) -> Result<Vec<ServerAddr>, TransportErrorKind> {
    let scheme = if config.tls.required { "tls" } else { "nats" };
    let address = |host: &Host| {
        let address = format!("{scheme}://{host}").parse();
        address.map_err(|_| TransportErrorKind::Config {
            reason: format!("the address {host} of a server can't be used"),
        })
    };
    config.servers.iter().map(address).collect()
}

/// Refuses where a server that answers demands TLS. One that doesn't answer is left to the client.
#[cfg(not(feature = "tls"))]
async fn refuse_tls(config: &NatsConfig) -> Result<(), TransportErrorKind> {
    let after = greeting(config.options.timeout, config.servers.len());
    let mut failed = None;
    for host in &config.servers {
        match timeout(after, crate::tls::refuse_if_demanded(host)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(kind)) if kind.is_temporary() => failed = Some(kind),
            Ok(Err(kind)) => return Err(kind),
            Err(_) => failed = Some(TransportErrorKind::TimedOut { after }),
        }
    }
    Err(failed.unwrap_or_else(lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_leaves_time_for_the_others() {
        let [one, five] = [1, 5].map(Duration::from_secs);
        assert_eq!(greeting(five, 1), five);
        assert_eq!(greeting(five, 3), five / 3);
        assert_eq!(greeting(five, 100), one);
        assert_eq!(greeting(one / 2, 3), one / 2);
    }
}
