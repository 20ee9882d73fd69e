#![allow(clippy::unwrap_used)]

use msgstream_core::record::Record;
use msgstream_core::transport::TransportExt as _;
use msgstream_mem::MemTransport;

use super::*;
use crate::Placement;

#[tokio::test(start_paused = true)]
async fn who_gets_the_lead_looks_whether_something_was_queued_meanwhile() {
    let broker = Arc::new(MemTransport::new(Default::default()));
    broker.create("log_0").await.unwrap();
    let incarnation = broker.describe("log_0").await.unwrap().incarnation;
    let mut record = Record::default();
    record.meta.vchannel = Some("a".into());
    let stored = broker.writer("log_0").await.unwrap().submit(vec![record.clone()]).await.stored;
    let hub = Hub::new(broker, "log_0".into(), incarnation, 1 << 20, 1 << 20, Arc::default());
    let view = Arc::new(View::new(&Placement::hash(1, "log"), "a"));
    let queued = Arc::new(Notify::new());
    let id = hub.state().join(&view, Position::new(0), &queued).unwrap();
    record.position = stored[0];
    hub.state().route(1, vec![record], Position::new(1), true);
    // Nothing comes any more: a read would never end.
    let follow = timeout_at(
        Instant::now() + Duration::from_secs(3600),
        hub.follow(id, &queued, None, false),
    );
    assert!(!follow.await.unwrap().unwrap());
}
