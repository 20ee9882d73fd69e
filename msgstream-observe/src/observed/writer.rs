//! Writers that are measured.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::{Counter, Gauge};
use msgstream_core::delegate;
use msgstream_core::record::Record;
use msgstream_core::transport::{ChannelWriter, Outcome, Receipt};
use tokio::time::Instant;
use tracing::Span;

use crate::attribute::{ERROR_TYPE, MESSAGE_COUNT, error_type};
use crate::metric::{IN_FLIGHT, SENT, SENT_SIZE};
use crate::operation::{Instruments, Operation, Place};

#[derive(Debug)]
pub(super) struct ObservedWriter {
    inner: Box<dyn ChannelWriter>,
    sending: Arc<Sending>,
}

/// What is measured of a channel's batches.
#[derive(Debug)]
struct Sending {
    send: Instruments,
    sent: Counter,
    size: Counter,
    in_flight: Gauge,
}

impl ObservedWriter {
    pub(super) fn new(inner: Box<dyn ChannelWriter>, place: Place) -> Self {
        let send = Instruments::new(place, Operation::Send);
        let (sent, size) = (send.counter(SENT, None), send.counter(SENT_SIZE, None));
        let in_flight = send.gauge(IN_FLIGHT);
        Self { inner, sending: Arc::new(Sending { send, sent, size, in_flight }) }
    }
}

#[async_trait]
impl ChannelWriter for ObservedWriter {
    delegate!(self => self.inner, ChannelWriter { ready, check, close });

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let batch = Batch::begin(self.sending.clone(), &records);
        let receipt = batch.span.in_scope(|| self.inner.submit(records));
        Receipt::from_future(async move {
            let outcome = receipt.await;
            batch.end(&outcome);
            outcome
        })
    }
}

/// A batch in flight.
struct Batch {
    sending: Arc<Sending>,
    begin: Instant,
    span: Span,
    records: usize,
    /// How many of them have been counted.
    counted: u64,
}

impl Batch {
    fn begin(sending: Arc<Sending>, records: &[Record]) -> Self {
        let span = sending.send.span();
        span.record(MESSAGE_COUNT, records.len());
        sending.in_flight.increment(records.len() as f64);
        sending.size.increment(records.iter().map(|record| record.payload.len() as u64).sum());
        Self { sending, begin: Instant::now(), span, records: records.len(), counted: 0 }
    }

    fn end(mut self, outcome: &Outcome) {
        let Sending { send, sent, .. } = &*self.sending;
        let Some(rest) = &outcome.rest else {
            send.succeeded(self.begin);
            return;
        };
        sent.increment(outcome.stored.len() as u64);
        let failed = self.records.saturating_sub(outcome.stored.len()) as u64;
        let error_type = error_type(rest.error.kind());
        send.counter(SENT, Some((ERROR_TYPE, error_type))).increment(failed);
        send.failed(self.begin, &self.span, &rest.error);
        self.counted = self.records as u64;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // A batch whose receipt was dropped was sent, too.
        self.sending.sent.increment(self.records as u64 - self.counted);
        self.sending.in_flight.decrement(self.records as f64);
    }
}
