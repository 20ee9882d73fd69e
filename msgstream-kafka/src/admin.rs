//! The admin interface: creating and deleting topics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use crate::KafkaConfig;
use crate::client::Handle;
use crate::error::{failed, is_too_few_brokers, needs, of_code};
use crate::events::{DropElsewhere, lock};
use crate::lookup::named;

type Client = AdminClient<DefaultClientContext>;

/// The client that creates, deletes and trims topics, created when it is needed.
#[derive(Default)]
pub(crate) struct Admin(Mutex<Option<Arc<DropElsewhere<Client>>>>);

impl Admin {
    pub(crate) fn client(
        &self,
        config: &KafkaConfig,
    ) -> Result<Arc<DropElsewhere<Client>>, Failure> {
        let mut place = lock(&self.0);
        if let Some(client) = &*place {
            return Ok(Arc::clone(client));
        }
        let made: Client =
            config.admin().create().map_err(|error| failed(&error, config.timeout))?;
        let made = Arc::new(DropElsewhere::new(made));
        *place = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Makes room for another client in this one's place. Each client has a list of nodes of its own: one
    /// that was read while a node was away lacks that node for minutes, although others see it again.
    fn discard(&self, client: &Arc<DropElsewhere<Client>>) {
        let mut place = lock(&self.0);
        if place.as_ref().is_some_and(|there| Arc::ptr_eq(there, client)) {
            *place = None;
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Handle {
    /// Creates a topic with so many partitions, and waits until it can be used.
    pub(crate) async fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let client = self.admin.client(&self.config)?;
        let Some(client) = client.get() else { return Err(TransportErrorKind::Closed.into()) };
        // Unless the program says, the brokers know how many copies there are to be.
        let replicas = TopicReplication::Fixed(self.config.replicas.unwrap_or(-1));
        let mut new = NewTopic::new(topic, partitions, replicas);
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = self.admin_options();
        let mut retry = Retry::new(self.timeout());
        loop {
            let created = self.answer(client.create_topics([&new], &options)).await?;
            match self.first_result(created) {
                // So nothing was created, and it may be asked for again.
                Err(failure) if is_too_few_brokers(&failure) => retry.after(failure).await?,
                Err(failure) => return Err(needs(failure, "Create", &named(topic))),
                Ok(()) => break,
            }
        }
        self.find_made(topic).await
    }

    /// Waits until a topic that was just created, by whomever, can be used.
    pub(crate) async fn find_made(&self, topic: &str) -> Result<(), Failure> {
        let mut retry = Retry::new(self.timeout());
        loop {
            match self.find_leaders(topic).await {
                // Not every broker knows it at once.
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                    let reason = "not every broker knows the new topic yet".to_owned();
                    retry.after(TransportErrorKind::Unavailable { reason }).await?;
                }
                Err(failure) => retry.after(failure).await?,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<(), Failure> {
        let client = self.admin.client(&self.config)?;
        let Some(client) = client.get() else { return Err(TransportErrorKind::Closed.into()) };
        let options = self.admin_options();
        let deleted = self.answer(client.delete_topics(&[topic], &options)).await?;
        self.first_result(deleted).map_err(|failure| needs(failure, "Delete", &named(topic)))?;
        let mut retry = Retry::new(self.timeout());
        loop {
            match self.partitions(topic).await {
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
                Ok(_) => {
                    let reason = "the deleted topic is still there".to_owned();
                    retry.after(TransportErrorKind::Unavailable { reason }).await?;
                }
            }
        }
    }

    /// Returns settings of a topic, `None` for each if the user may not see them.
    pub(crate) async fn settings<const N: usize>(
        &self,
        topic: &str,
        names: [&str; N],
    ) -> Result<[Option<String>; N], Failure> {
        let resource = &ResourceSpecifier::Topic(topic);
        let described = self.ask(|look| async move {
            let shared = self.admin.client(&self.config)?;
            let Some(client) = shared.get() else { return Err(TransportErrorKind::Closed.into()) };
            let options = self.admin_options().request_timeout(Some(look));
            let options = options.broker_id(self.incarnations.node());
            let asked = client.describe_configs([resource], &options).await;
            match asked.map_err(|error| failed(&error, self.timeout())) {
                Err(failure) if failure.is_temporary() => {
                    self.admin.discard(&shared);
                    self.find_node(look).await;
                    Err(failure)
                }
                asked => asked,
            }
        });
        match described.await?.into_iter().next() {
            Some(Ok(resource)) => {
                Ok(names.map(|name| resource.get(name).and_then(|entry| entry.value.clone())))
            }
            Some(Err(code)) if code != RDKafkaErrorCode::TopicAuthorizationFailed => {
                Err(of_code(code, self.timeout()))
            }
            _ => Ok(names.map(|_| None)),
        }
    }

    pub(crate) fn admin_options(&self) -> AdminOptions {
        let timeout = Some(self.timeout());
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }

    async fn answer<T>(&self, asked: impl Future<Output = KafkaResult<T>>) -> Result<T, Failure> {
        let timeout = self.timeout();
        let answer =
            self.while_open(async { asked.await.map_err(|error| failed(&error, timeout)) });
        // The client keeps the deadline too.
        let late = TransportErrorKind::TimedOut { after: timeout }.into();
        tokio::time::timeout(timeout * 2, answer).await.unwrap_or(Err(late))
    }

    fn first_result(&self, results: Vec<TopicResult>) -> Result<(), Failure> {
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(of_code(code, self.timeout())),
            Some(Ok(_)) => Ok(()),
            None => {
                let reason = "the broker's answer has no result for the topic".to_owned();
                Err(TransportErrorKind::Protocol { reason }.into())
            }
        }
    }
}
