//! Which groups have a cursor on a partition.

use std::time::Duration;

use msgstream_core::adapter::Failure;
use rdkafka::consumer::Consumer as _;

use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, needs, of_code};
use crate::group::REMOVED;
use crate::native::offsets::{Committed, committed};
use crate::partition::{Name, Partition};

impl Handle {
    /// Returns the names of the subscriptions that have a cursor on a channel, sorted.
    pub(crate) async fn subscriptions(&self, of: &Name) -> Result<Vec<String>, Failure> {
        let partition = self.find(of).await?;
        let groups = self.ask(|look| self.groups_of_all(look)).await?;
        let prefix = &self.config.prefix;
        let mut names = Vec::new();
        for group in &groups {
            let Some(name) = group.strip_prefix(prefix.as_str()).filter(|name| !name.is_empty())
            else {
                continue;
            };
            if self.ask(|look| self.has_cursor(group, &partition, look)).await? {
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

    /// Returns whether a group has committed an offset of a partition, in one attempt.
    async fn has_cursor(
        &self,
        group: &str,
        partition: &Partition,
        look: Duration,
    ) -> Result<bool, Failure> {
        let (name, partition) = (group.to_owned(), partition.alone());
        let found = self.call(At::AnyNode, look, move |consumer, left| {
            let found = committed(consumer, &name, &partition, left);
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
