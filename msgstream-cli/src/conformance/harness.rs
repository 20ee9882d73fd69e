//! A server that is known by its URL alone.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use msgstream::registry::ConnectError;
use msgstream::transport::{
    Capabilities, Result, Transport, TransportError, TransportErrorKind as Kind,
};
use msgstream_conformance::{Harness, unique_name};

use crate::error::Error;
use crate::settings::connect;

pub(super) struct Server {
    url: String,
    /// The names that were given to scenarios.
    channels: Mutex<Vec<String>>,
}

impl Server {
    pub(super) const fn new(url: String) -> Self {
        Self { url, channels: Mutex::new(Vec::new()) }
    }

    /// Returns the names of all channels that scenarios may have made.
    pub(super) fn channels(&self) -> Vec<String> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Harness for Server {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        connect(&self.url).await.map_err(|error| match error {
            Error::Connect(ConnectError::Transport(error)) => error,
            error => {
                let reason = "the suite can't connect: check the URL".to_owned();
                TransportError::new("open", Kind::Config { reason }).because(error)
            }
        })
    }

    /// Nothing is promised of a server that isn't known.
    fn minimum(&self) -> Capabilities {
        Capabilities::none().with_max_payload(0)
    }

    fn channel_name(&self) -> String {
        let name = unique_name();
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        name
    }
}
