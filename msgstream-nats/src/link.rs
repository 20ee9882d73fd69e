//! A connection to a server.

use std::io;
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
use msgstream_core::adapter::Failure;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::NatsConfig;
use crate::error::{connect_error, lost, lost_because, lost_by};

/// How many messages may wait in one subscription. The client drops messages over this number, so
/// subscribers request fewer.
pub(crate) const SUBSCRIPTION: usize = 4_096;

/// How long a connection may be silent before the client sends a ping. Three pings without an
/// answer end it.
const PING: Duration = Duration::from_secs(2);

/// The least time that a server has to greet, however many there are.
const SHORTEST_GREETING: Duration = Duration::from_secs(1);

/// An address at which nobody listens.
const NOWHERE: &str = "nats://0.0.0.0:0";

/// One connection, which is never opened again: what waits in the client when it is lost must not
/// be sent later, after what was sent again. Whoever needs another connection opens another link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    lost: watch::Receiver<bool>,
    /// The last error that the server sent, other than a denial: mostly why it ends the connection.
    last_words: Arc<Mutex<Option<String>>>,
    denied: broadcast::Sender<Arc<str>>,
}

impl Link {
    pub(crate) async fn open(config: &NatsConfig) -> Result<Self, Failure> {
        let servers = addresses(config)?;
        #[cfg(not(feature = "tls"))]
        refuse_tls(config).await?;

        // For each connection, because a file may have been replaced.
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
                // `None` leaves the choice to the client. Later the pool has a single address, at which
                // nothing listens.
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
        let client = options
            .connect(servers)
            .await
            .map_err(|error| connect_error(error, &config.servers))?;
        // The client has no option against reconnecting. Without a server to connect to, it gives up.
        client.set_server_pool(NOWHERE).await.map_err(lost_by)?;
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

    /// Returns why it ended, with the last error of the server if there was one.
    pub(crate) fn why_lost(&self) -> TransportErrorKind {
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.as_deref().map_or_else(lost, lost_because)
    }

    /// Waits until the server denies the use of a subject, from this call on.
    pub(crate) fn denied(&self, subject: &str) -> impl Future<Output = TransportErrorKind> + use<> {
        let mut said = self.denied.subscribe();
        let subject = format!("\"{subject}\"");
        async move {
            loop {
                match said.recv().await {
                    Ok(text) if text.contains(&subject) => {
                        let reason = format!("{text}; grant the account that permission");
                        return TransportErrorKind::Denied { reason };
                    }
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    _ => {}
                }
            }
        }
    }

    /// Sends a request and waits for the answer, which is `None` if nobody listens.
    ///
    /// # Cancel safety
    /// The request may or may not have been sent.
    pub(crate) async fn request(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Option<Message>, Failure> {
        let denied = self.denied(subject);
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        let answer = timeout(limit, self.client.send_request(subject.to_owned(), request));
        tokio::select! {
            biased;
            answer = answer => match answer {
                Err(_) => Err(TransportErrorKind::TimedOut { after: limit }.into()),
                Ok(Ok(message)) => Ok(Some(message)),
                Ok(Err(error)) => match error.kind() {
                    RequestErrorKind::NoResponders => Ok(None),
                    RequestErrorKind::Other => Err(Failure::new(self.why_lost(), error)),
                    _ => {
                        let reason = "the request can't be sent".to_owned();
                        Err(Failure::new(TransportErrorKind::Protocol { reason }, error))
                    }
                },
            },
            kind = denied => Err(kind.into()),
            () = self.lost() => Err(self.why_lost().into()),
        }
    }

    /// Sends a request that changes nothing, and sends it again until an answer arrives, up to the
    /// limit: in a cluster, a request that arrives while there is no leader is never answered. The first
    /// answer counts, whichever request it belongs to.
    pub(crate) async fn question(
        &self,
        subject: &str,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Option<Message>, Failure> {
        let deadline = Instant::now() + limit;
        let mut asked = FuturesUnordered::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            asked.push(self.request(subject, HeaderMap::new(), payload.clone(), left));
            tokio::select! {
                biased;
                Some(answer) = asked.next() => return match answer {
                    Err(Failure { kind: TransportErrorKind::TimedOut { .. }, .. }) => {
                        Err(TransportErrorKind::TimedOut { after: limit }.into())
                    }
                    answer => answer,
                },
                () = sleep(limit / 4) => {}
            }
        }
    }
}

/// Returns how long one server may take to greet, so that a hanging one leaves time for the others.
fn greeting(limit: Duration, servers: usize) -> Duration {
    let share = u32::try_from(servers).map_or(Duration::ZERO, |servers| limit / servers.max(1));
    share.max(SHORTEST_GREETING).min(limit)
}

/// Returns whether the server denies the use of a subject, which doesn't end the connection.
fn is_denial(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

fn addresses(config: &NatsConfig) -> Result<Vec<ServerAddr>, Failure> {
    let scheme = if config.tls.required { "tls" } else { "nats" };
    let address = |host: &Host| {
        let address = format!("{scheme}://{host}").parse();
        address.map_err(|error: io::Error| {
            let reason = format!("the server's address `{host}` can't be used: check the URL");
            Failure::new(TransportErrorKind::Config { reason }, error)
        })
    };
    config.servers.iter().map(address).collect()
}

/// Fails if a server that answers demands TLS. One that doesn't answer is left to the client.
#[cfg(not(feature = "tls"))]
async fn refuse_tls(config: &NatsConfig) -> Result<(), Failure> {
    let after = greeting(config.options.timeout, config.servers.len());
    let mut failed = None;
    for host in &config.servers {
        match timeout(after, crate::tls::refuse_if_demanded(host)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) if failure.is_temporary() => failed = Some(failure),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => failed = Some(TransportErrorKind::TimedOut { after }.into()),
        }
    }
    Err(failed.unwrap_or_else(|| lost().into()))
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
