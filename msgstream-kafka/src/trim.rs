//! Removing the records before a position.

use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::TransportErrorKind;

use crate::client::Handle;
use crate::error::{failed, needs};
use crate::lookup::named;
use crate::partition::{Name, Partition};
use crate::start::{beyond, offset};

impl Handle {
    /// Removes the records of a channel before a position.
    pub(crate) async fn trim(&self, channel: &Name, before: Position) -> Result<(), Failure> {
        let before = offset(before)?;
        let partition = self.find(channel).await?;
        let bounds = self.bounds(&partition).await?;
        if before > bounds.high {
            return Err(beyond(before, bounds).into());
        }
        // It may be carried out twice, so it may be asked for twice.
        match self.ask(|look| self.delete_records(&partition, before, look)).await {
            // The client also reports a topic without a leader as unknown.
            Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                Err(self.missing(&partition).await)
            }
            deleted => deleted,
        }
    }

    /// Does it in one attempt.
    async fn delete_records(
        &self,
        partition: &Partition,
        before: u64,
        look: Duration,
    ) -> Result<(), Failure> {
        let client = self.admin.client(&self.config)?;
        let Some(client) = client.get() else { return Err(TransportErrorKind::Closed.into()) };
        let failure = |error| needs(failed(&error, look), "Delete", &named(&partition.topic));
        let records = partition.alone_at(before).map_err(failure)?;
        let options = self.admin_options().request_timeout(Some(look));
        let options = options.operation_timeout(Some(look));
        let answer = client.delete_records(&records, &options).await.map_err(failure)?;
        match answer.find_partition(&partition.topic, partition.number) {
            Some(deleted) => deleted.error().map_err(failure),
            None => {
                let reason = "the broker's answer has no result for the topic".to_owned();
                Err(TransportErrorKind::Protocol { reason }.into())
            }
        }
    }
}
