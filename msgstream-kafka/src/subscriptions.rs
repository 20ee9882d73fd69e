//! Which groups have a cursor on a topic.

use std::time::Duration;

use msgstream_core::adapter::Failure;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;

use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, needs, of_code};
use crate::group::REMOVED;
use crate::native::offsets::{Committed, committed};

impl Handle {
    /// Returns the names of the subscriptions that have a cursor on a topic, sorted.
    pub(crate) async fn subscriptions(&self, topic: &str) -> Result<Vec<String>, Failure> {
        self.find(topic).await?;
        let groups = self.ask(|look| self.groups_of_all(look)).await?;
        let prefix = &self.config.prefix;
        let mut names = Vec::new();
        for group in &groups {
            let Some(name) = group.strip_prefix(prefix.as_str()).filter(|name| !name.is_empty())
            else {
                continue;
            };
            if self.ask(|look| self.has_cursor(group, topic, look)).await? {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the groups of all brokers, those without members among them, in one attempt.
    async fn groups_of_all(&self, look: Duration) -> Result<Vec<String>, Failure> {
        self.call(At::AnyNode, look, |consumer, left| {
            let groups = consumer.fetch_group_list(None, left);
            let groups = groups.map_err(|error| failed(&error, left))?;
            Ok(groups.groups().iter().map(|group| group.name().to_owned()).collect())
        })
        .await
    }

    /// Returns whether a group has committed an offset of a topic, in one attempt.
    async fn has_cursor(&self, group: &str, topic: &str, look: Duration) -> Result<bool, Failure> {
        let (name, topic) = (group.to_owned(), topic.to_owned());
        let found = self.call(At::AnyNode, look, move |consumer, left| {
            let mut partitions = TopicPartitionList::new();
            partitions.add_partition(&topic, 0);
            let found = committed(consumer, &name, &partitions, left);
            let found: Result<Vec<_>, _> = found.and_then(|found| found.into_iter().collect());
            found.map_err(|code| of_code(code, left))
        });
        let found = found
            .await
            .map_err(|failure| needs(failure, "Describe", &format!("group `{group}`")))?;
        let is_removed = |at: &Committed| at.offset == 0 && at.metadata == REMOVED.as_bytes();
        Ok(found.iter().any(|at| at.offset >= 0 && !is_removed(at)))
    }
}
