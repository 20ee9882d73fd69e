//! The broker that a suite runs on.

use std::env;

use async_trait::async_trait;
use msgstream_conformance::{Broker, BrokerError};

use crate::brokers;

/// The variable that names a cluster for the suite to run on, such as `kafka-cluster`, instead of one server.
const SUITE_ON: &str = "MSGSTREAM_SUITE_ON";

/// A broker that `brokers/up` started.
pub(crate) struct SuiteOn {
    name: String,
    pub(crate) url: String,
}

impl SuiteOn {
    /// Returns the server of this name, or the cluster of such servers that the environment names; else what to do.
    pub(crate) fn new(server: &str) -> Result<Self, String> {
        let cluster = env::var(SUITE_ON).ok().filter(|name| name.starts_with(server));
        let name = cluster.unwrap_or_else(|| server.to_owned());
        let variable = format!("MSGSTREAM_{}_URL", name.to_uppercase().replace('-', "_"));
        match env::var(&variable) {
            Ok(url) => Ok(Self { name, url }),
            Err(_) => Err(format!(
                "the variable {variable} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up {name})\"\n"
            )),
        }
    }

    /// The addresses in the URL, for plain clients.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let (_, rest) = self.url.split_once("://").unwrap_or_default();
        let hosts = rest.split(['/', '?']).next().unwrap_or_default();
        hosts.split(',').map(str::to_owned).collect()
    }
}

#[async_trait]
impl Broker for SuiteOn {
    async fn restart(&self) -> Result<(), BrokerError> {
        brokers::run("restart", &self.name, None).await.map(drop)
    }

    async fn kill(&self) -> Result<(), BrokerError> {
        brokers::run("kill", &self.name, None).await?;
        self.restart().await
    }
}
