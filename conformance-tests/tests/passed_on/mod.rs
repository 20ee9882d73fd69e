//! The plain client of a transport that has no other client: what another transport couldn't read can
//! be passed on.

use bytes::Bytes;
use msgstream_conformance::{BadKind, BrokerError, PlainRecord};
use msgstream_core::record::{Position, unreadable};
use msgstream_core::transport::Transport;

pub(crate) const BAD_KINDS: [BadKind; 2] = [
    BadKind::new("another transport's mark"),
    BadKind { name: "the mark alone", shows_payload: false },
];

pub(crate) async fn write(
    transport: &dyn Transport,
    channel: &str,
    records: &[PlainRecord],
) -> Result<(), BrokerError> {
    let record = |record: &PlainRecord| match record {
        PlainRecord::Good(record) => record.clone(),
        PlainRecord::Bad { kind, payload } => {
            let payload = if kind.shows_payload { payload.clone() } else { Bytes::new() };
            unreadable(Position::default(), "it is bad", [], payload)
        }
    };
    let mut writer = transport.writer(channel).await?;
    for batch in records.chunks(1_000) {
        writer.ready().await?;
        let outcome = writer.submit(batch.iter().map(record).collect()).await;
        if let Some(rest) = outcome.rest {
            return Err(rest.error.into());
        }
    }
    Ok(writer.close().await?)
}
