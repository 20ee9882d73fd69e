//! The suite on virtual channels of a transport. Each of them is beside another one, whose records it
//! mustn't show.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::Harness;
use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::{
    Capabilities, Capability, Result, Transport, TransportExt as _, Unstored,
};
use msgstream_core::{MsgType, Timestamp};
use msgstream_virtual::{Placement, Virtual};

/// Opens the transport below.
#[async_trait]
pub(crate) trait Below: Send + Sync + 'static {
    async fn open(&self) -> Result<Arc<dyn Transport>>;
    fn minimum(&self) -> Capabilities;
}

pub(crate) struct OnVirtual<B>(pub(crate) B);

/// The physical channel of each virtual one has its name, with this before it.
const PHYSICAL: &str = "physical-";

#[async_trait]
impl<B: Below> Harness for OnVirtual<B> {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let placement = Placement::with(|name| match name.starts_with(PHYSICAL) {
            true => None,
            false => Some(format!("{PHYSICAL}{name}")),
        });
        Ok(Arc::new(Virtual::over(self.0.open().await?, placement)))
    }

    fn minimum(&self) -> Capabilities {
        let below = self.0.minimum();
        let below = match below.ack_keeps {
            true => below,
            false => below.without(Capability::Subscriptions),
        };
        below
            .without(Capability::Create)
            .without(Capability::Delete)
            .without(Capability::List)
            .without(Capability::Properties)
            .without(Capability::Trim)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(240)
    }

    async fn make_channel(&self, transport: &dyn Transport, channel: &str) -> Result<()> {
        let physical = format!("{PHYSICAL}{channel}");
        transport.create(&physical).await?;
        let mut writer = transport.writer(&physical).await?;
        let record = |msg_type, ts| {
            let mut meta = Meta::new(msg_type, Timestamp(ts));
            meta.vchannel = Some("another".into());
            Record::new(meta, "another's")
        };
        writer.ready().await?;
        let others = [(MsgType::INSERT, 1), (MsgType::TIME_TICK, 1 << 60), (MsgType::INSERT, 2)];
        let others = others.map(|(msg_type, ts)| record(msg_type, ts));
        match writer.submit(others.into()).await.rest {
            Some(Unstored { error, .. }) => Err(error),
            None => writer.close().await,
        }
    }
}
