//! The channels of a run.

use std::sync::Arc;

use msgstream::service::{
    ChannelId, CreateChannelsRequest, MessageStreamService, OwnerDescription,
};
use msgstream::transport::Transport;

use crate::error::Result;

/// Channels of this run alone, to be deleted at its end.
pub(crate) struct Channels {
    service: MessageStreamService,
    ids: Vec<ChannelId>,
}

impl Channels {
    pub(crate) async fn create(transport: Arc<dyn Transport>, count: usize) -> Result<Self> {
        let service = MessageStreamService::new(transport);
        let owner = OwnerDescription {
            role: "replay".to_owned(),
            address: format!("process {}", std::process::id()),
            description_text: "rows of CSV files, deleted at the end of the run".to_owned(),
        };
        let request = CreateChannelsRequest {
            owner,
            prefix: "replay".to_owned(),
            ..CreateChannelsRequest::of(count)
        };
        let ids = service.create_channels(request).await?;
        Ok(Self { service, ids })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.ids.iter().map(ChannelId::as_str).collect()
    }

    pub(crate) async fn destroy(self) -> Result<()> {
        Ok(self.service.destroy_channels(&self.ids).await?)
    }
}
