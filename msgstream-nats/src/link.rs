//! A connection to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{
    AuthError, Client, ConnectOptions, Event, HeaderMap, Message, Request, ServerAddr, ServerError,
};
use bytes::Bytes;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use crate::NatsConfig;
use crate::error::{connect_error, lost};

/// How many messages may wait in one subscription. The client drops what is over it, so whoever
/// subscribes asks for less.
pub(crate) const SUBSCRIPTION: usize = 4_096;

/// How long a connection may be silent until it is asked for a sign of life; three such questions
/// without an answer end it.
const PING: Duration = Duration::from_secs(5);

/// One connection, which is never opened again: what waits in the client when it is lost is not
/// sent later, behind what was sent again. Whoever needs another opens another link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    lost: watch::Receiver<bool>,
    denied: broadcast::Sender<Arc<str>>,
}

impl Link {
    pub(crate) async fn open(config: &NatsConfig) -> Result<Self, TransportErrorKind> {
        let servers = addresses(config)?;
        let limit = config.options.timeout;
        #[cfg(not(feature = "tls"))]
        refuse_tls(config).await?;

        let opened = Arc::new(AtomicBool::new(false));
        let (lost_sender, lost) = watch::channel(false);
        let (denied, _) = broadcast::channel(64);
        let options = ConnectOptions::with_auth_callback({
            let (opened, credentials) = (Arc::clone(&opened), config.credentials.clone());
            move |nonce| {
                // The client can't be told not to reconnect. It gives up where it has no answer to
                // the server's challenge, after as many attempts as there are addresses.
                let answer = match opened.load(Ordering::Acquire) {
                    true => Err(AuthError::new("a lost connection is not opened again")),
                    false => credentials.answer(&nonce),
                };
                async move { answer }
            }
        });
        let options = options
            .name("msgstream")
            .max_reconnects(servers.len())
            .ignore_discovered_servers()
            .connection_timeout(limit)
            .request_timeout(None)
            .ping_interval(PING)
            .subscription_capacity(SUBSCRIPTION)
            .event_callback({
                let denied = denied.clone();
                move |event| {
                    match event {
                        Event::Disconnected | Event::Closed => {
                            lost_sender.send_replace(true);
                        }
                        Event::ServerError(ServerError::Other(text)) => {
                            // Nobody waiting is no error.
                            drop(denied.send(text.into()));
                        }
                        _ => {}
                    }
                    async {}
                }
            });
        let options = config.tls.apply(options)?;
        let client = options.connect(servers).await.map_err(|e| connect_error(&e))?;
        opened.store(true, Ordering::Release);
        Ok(Self { client, lost, denied })
    }

    pub(crate) fn is_alive(&self) -> bool {
        !*self.lost.borrow() && self.client.connection_state() == State::Connected
    }

    /// Waits for the end of the connection.
    pub(crate) async fn lost(&self) {
        // The sender goes away with the client's tasks, which is the end too.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
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
                    RequestErrorKind::Other => Err(lost()),
                    _ => Err(TransportErrorKind::Protocol { reason: error.to_string() }),
                },
            },
            kind = denied => Err(kind),
            () = self.lost() => Err(lost()),
        }
    }
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
    let after = config.options.timeout;
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
