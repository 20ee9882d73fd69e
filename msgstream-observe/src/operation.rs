//! Operations on a broker: how long they take, and their spans.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Label, SharedString};
use msgstream_core::transport::{Result, TransportError};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::attribute::{
    DESTINATION, ERROR_TYPE, MESSAGE_COUNT, OPERATION, OPERATION_TYPE, SUBSCRIPTION, SYSTEM,
    error_type,
};
use crate::metric::DURATION;

/// What an operation is on.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) system: SharedString,
    pub(crate) channel: Option<Arc<str>>,
    pub(crate) subscription: Option<Arc<str>>,
}

impl Place {
    pub(crate) const fn new(system: SharedString) -> Self {
        Self { system, channel: None, subscription: None }
    }

    pub(crate) fn on(&self, channel: &str) -> Self {
        Self { channel: Some(channel.into()), ..self.clone() }
    }

    pub(crate) fn at(&self, subscription: &str) -> Self {
        Self { subscription: Some(subscription.into()), ..self.clone() }
    }
}

/// What a program does with a broker. It is named as the method is, but for writing and reading, which
/// the conventions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Receive,
    Ack,
    /// Everything else, by the name of the method.
    Other(&'static str),
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Ack => "ack",
            Self::Other(name) => name,
        }
    }

    /// Returns the type that the conventions have for it, if they have one.
    const fn kind(self) -> Option<&'static str> {
        match self {
            Self::Send => Some("send"),
            Self::Receive => Some("receive"),
            Self::Ack => Some("settle"),
            Self::Other(_) => None,
        }
    }

    const fn span_kind(self) -> &'static str {
        match self {
            Self::Send => "producer",
            Self::Receive => "consumer",
            Self::Ack | Self::Other(_) => "client",
        }
    }
}

/// One operation on one channel, to be done many times.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    place: Place,
    operation: Operation,
    duration: Histogram,
}

impl Instruments {
    pub(crate) fn new(place: Place, operation: Operation) -> Self {
        let duration = duration(&place, operation, None);
        Self { place, operation, duration }
    }

    /// Does it: measures how long it takes, in a span.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (begin, span) = (Instant::now(), self.span());
        let result = work.instrument(span.clone()).await;
        match &result {
            Ok(_) => self.succeeded(begin),
            Err(error) => self.failed(begin, &span, error),
        }
        result
    }

    pub(crate) fn succeeded(&self, begin: Instant) {
        self.duration.record(begin.elapsed());
    }

    pub(crate) fn failed(&self, begin: Instant, span: &Span, error: &TransportError) {
        let error_type = error_type(error.kind());
        duration(&self.place, self.operation, Some(error_type)).record(begin.elapsed());
        span.record(ERROR_TYPE, error_type);
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", tracing::field::display(error));
    }

    /// Returns a counter with the attributes of the operation, and one more if there is one.
    pub(crate) fn counter(
        &self,
        name: &'static str,
        more: Option<(&'static str, &'static str)>,
    ) -> Counter {
        metrics::counter!(name, labels(&self.place, self.operation, more))
    }

    pub(crate) fn gauge(&self, name: &'static str) -> Gauge {
        metrics::gauge!(name, labels(&self.place, self.operation, None))
    }

    /// Returns a span of the operation. The number of messages and the error are recorded later.
    pub(crate) fn span(&self) -> Span {
        macro_rules! span {
            ($name:literal) => {
                tracing::debug_span!(
                    $name,
                    otel.name = self.span_name(),
                    otel.kind = self.operation.span_kind(),
                    otel.status_code = Empty,
                    otel.status_description = Empty,
                    { SYSTEM } = &*self.place.system,
                    { DESTINATION } = self.place.channel.as_deref(),
                    { SUBSCRIPTION } = self.place.subscription.as_deref(),
                    { OPERATION } = self.operation.name(),
                    { OPERATION_TYPE } = self.operation.kind(),
                    { MESSAGE_COUNT } = Empty,
                    { ERROR_TYPE } = Empty,
                )
            };
        }
        match self.operation {
            Operation::Send => span!("send"),
            Operation::Receive => span!("receive"),
            Operation::Ack => span!("ack"),
            Operation::Other(_) => span!("request"),
        }
    }

    fn span_name(&self) -> String {
        let operation = self.operation.name();
        match &self.place.channel {
            Some(channel) => format!("{operation} {channel}"),
            None => operation.to_owned(),
        }
    }
}

fn duration(place: &Place, operation: Operation, error: Option<&'static str>) -> Histogram {
    let mut labels = labels(place, operation, error.map(|error| (ERROR_TYPE, error)));
    labels.extend(operation.kind().map(|kind| Label::from_static_parts(OPERATION_TYPE, kind)));
    let subscription = place.subscription.clone();
    labels.extend(subscription.map(|name| Label::new(SUBSCRIPTION, name)));
    metrics::histogram!(DURATION, labels)
}

fn labels(
    place: &Place,
    operation: Operation,
    more: Option<(&'static str, &'static str)>,
) -> Vec<Label> {
    let mut labels = vec![
        Label::new(SYSTEM, place.system.clone()),
        Label::from_static_parts(OPERATION, operation.name()),
    ];
    labels.extend(place.channel.clone().map(|channel| Label::new(DESTINATION, channel)));
    labels.extend(more.map(|(name, value)| Label::from_static_parts(name, value)));
    labels
}
