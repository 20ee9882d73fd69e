#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::produce::session::counts::Counts;
use crate::record::{Meta, Origin, Position, Stamp};
use crate::record::{MsgType, Timestamp};
use crate::transport::Result;

/// A writer whose receipts come when a test says so.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    records: Vec<Record>,
    /// Of the batches in flight: how many records are in each.
    in_flight: VecDeque<(usize, ReceiptSender)>,
    broken: bool,
    /// `ready` waits.
    full: bool,
    closed: usize,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap()
    }

    /// Acknowledges the next batch.
    fn acknowledge(&self) {
        let (records, sender) = self.lock().in_flight.pop_front().unwrap();
        sender.send(Outcome::stored(vec![Position::new(7); records]));
    }

    /// What control records say, and `m` and `t` for what else was written.
    fn log(&self) -> Vec<String> {
        let line = |record: &Record| match record.header(Stamp::HEADER) {
            Some(control) => String::from_utf8_lossy(control).split(';').skip(2).collect(),
            None if record.meta.msg_type == MsgType::TIME_TICK => "t".to_owned(),
            None => "m".to_owned(),
        };
        self.lock().records.iter().map(line).collect()
    }
}

#[async_trait]
impl ChannelWriter for Wire {
    async fn ready(&mut self) -> Result<()> {
        poll_fn(|_| if self.lock().full { Poll::Pending } else { Poll::Ready(()) }).await;
        if self.lock().broken {
            return Err(TransportError::new("ready", TransportErrorKind::Poisoned));
        }
        Ok(())
    }
    fn check(&self, _: &[Record]) -> Result<()> {
        Ok(())
    }
    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let (sender, receipt) = Receipt::pending();
        let mut written = self.lock();
        written.in_flight.push_back((records.len(), sender));
        written.records.extend(records);
        receipt
    }
    async fn close(&mut self) -> Result<()> {
        self.lock().closed += 1;
        Ok(())
    }
}

fn shared(window_bytes: usize) -> (Shared, Wire) {
    let wire = Wire::default();
    let origin = Arc::new(Origin { producer: "p".into(), epoch: Position::new(9) });
    let counts = Counts::default();
    let queue = UnackedQueue::new(
        "a".into(),
        Some(origin),
        0,
        Timestamp(1),
        10_000,
        Instant::now(),
        counts,
    );
    (Shared::new(queue, Box::new(wire.clone()), window_bytes), wire)
}

/// Messages and ticks.
fn batch(types: &str) -> Vec<Record> {
    let msg_type = |c| if c == 't' { MsgType::TIME_TICK } else { MsgType::INSERT };
    let record = |c| Record::new(Meta::new(msg_type(c), Timestamp(7)), Vec::new());
    types.chars().map(record).collect()
}

/// Does what the task does when a receipt has come.
fn run_task(shared: &Shared) {
    assert!(shared.poll_broken(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn what_is_in_flight_is_waited_for_and_then_comes_the_goodbye() {
    let (shared, wire) = shared(1 << 20);
    let (messages, base) = (shared.submit(batch("mm"), Vec::new()), shared.mark());
    let mut settled = pin!(shared.settled());
    for _ in 0..2 {
        run_task(&shared);
        assert!((&mut settled).now_or_never().is_none());
        wire.acknowledge();
    }
    run_task(&shared);
    assert!(settled.now_or_never().is_some());
    for receipt in [messages, base] {
        assert!(receipt.now_or_never().unwrap().rest.is_none());
    }
    let goodbye = shared.say_goodbye().unwrap();
    wire.acknowledge();
    assert_eq!(goodbye.now_or_never().unwrap().stored.len(), 1);
    assert_eq!(wire.log(), ["m", "m", "base2", "bye"]);

    let rest = shared.submit(batch("m"), Vec::new()).now_or_never().unwrap().rest.unwrap();
    assert_eq!(*rest.error.kind(), TransportErrorKind::Closed);
    let refused = shared.ready().now_or_never().unwrap().unwrap_err();
    assert_eq!(*refused.kind(), TransportErrorKind::Closed);
    for closed in 1..3 {
        shared.close().now_or_never().unwrap().unwrap();
        assert_eq!(wire.lock().closed, closed);
    }
    assert_eq!(wire.log().len(), 4);
}

#[test]
fn there_is_no_goodbye_where_something_is_in_doubt() {
    let (waiting, wire) = shared(1 << 20);
    let receipt = waiting.submit(batch("m"), Vec::new());
    assert!(waiting.say_goodbye().is_none());
    assert_eq!(receipt.now_or_never().unwrap().rest.unwrap().fate, Fate::Unknown);
    assert!(waiting.settled().now_or_never().is_some(), "nothing more will be acknowledged");
    assert_eq!(wire.log(), ["m"]);

    let (broken, wire) = shared(1 << 20);
    wire.lock().broken = true;
    assert!(broken.ready().now_or_never().is_none(), "until there is another writer");
    assert!(broken.say_goodbye().is_none());
    assert!(wire.log().is_empty());
}

#[test]
fn a_channel_takes_more_while_less_than_its_bound_is_in_flight() {
    let bytes = batch("m")[0].footprint();
    for (bound, takes_more) in [(bytes - 1, false), (bytes, false), (bytes + 1, true)] {
        let (shared, wire) = shared(bound);
        let _receipt = shared.submit(batch("m"), Vec::new());
        assert_eq!(shared.ready().now_or_never().is_some(), takes_more, "{bound}");
        wire.acknowledge();
        run_task(&shared);
        shared.ready().now_or_never().unwrap().unwrap();
    }
}

#[test]
fn a_channel_takes_no_more_while_a_tick_waits() {
    let (shared, wire) = shared(1 << 20);
    let _receipt = shared.submit(batch("mt"), Vec::new());
    assert_eq!(wire.log(), ["m"]);
    let mut ready = pin!(shared.ready());
    assert!((&mut ready).now_or_never().is_none());
    wire.acknowledge();
    run_task(&shared);
    assert_eq!(wire.log(), ["m", "t"]);
    ready.now_or_never().unwrap().unwrap();
}

#[test]
fn a_tick_that_becomes_due_while_the_writer_is_lent_is_sent_afterwards() {
    let (shared, wire) = shared(1 << 20);
    let _message = shared.submit(batch("m"), Vec::new());
    let tick = shared.submit_tick(batch("t"));
    wire.lock().full = true;
    let mut ready = pin!(shared.ready());
    assert!((&mut ready).now_or_never().is_none());
    wire.acknowledge();
    run_task(&shared);
    assert_eq!(wire.log(), ["m"]);
    wire.lock().full = false;
    ready.now_or_never().unwrap().unwrap();
    assert_eq!(wire.log(), ["m", "t"]);
    wire.acknowledge();
    run_task(&shared);
    assert!(tick.now_or_never().unwrap().rest.is_none());
}
