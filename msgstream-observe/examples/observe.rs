//! Serves metrics for Prometheus and sends spans to a collector, while a producer and a consumer
//! run, and prints the metrics once.
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 \
//!     cargo run -p msgstream-observe --features opentelemetry --example observe -- 127.0.0.1:9464
//! ```
//!
//! Without an address nothing is served, and without the variable no spans are sent.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use msgstream_core::message::TimeSyncMsg;
use msgstream_core::{Consumer, Message, Producer, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};
use msgstream_observe::{
    ConsumerMetrics, DURATION_BUCKETS, Observed, Propagated, TraceContext, describe,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Instrument as _, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const CHANNELS: [&str; 2] = ["orders-0", "orders-1"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Both come first: what is opened earlier isn't measured.
    let metrics = record_metrics(env::args().nth(1).map(|a| a.parse()).transpose()?)?;
    let tracing = match env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Some(_) => Some(send_spans()?),
        None => None,
    };

    let broker = Arc::new(MemTransport::new(MemConfig::default()));
    // The outer layer's span is the current one when the inner layer writes it into the headers.
    let broker = Arc::new(Propagated::over(broker, TraceContext::current));
    let broker = Arc::new(Observed::over(broker, "mem"));

    let orders = Producer::builder(broker.clone()).channels(CHANNELS).create_missing();
    let mut producer = orders.open().await?;
    for second in 1..=10 {
        let at = Timestamp::from_unix_millis(second * 1_000)?;
        let order = TimeSyncMsg::new(at).with_hash_keys([second as u32]);
        producer.send(order).instrument(info_span!("take_order")).await?;
        producer.tick(at).await?;
    }
    producer.end(Timestamp::from_unix_millis(11_000)?).await?;

    let mut packs = Consumer::builder(broker).channels(CHANNELS).open().await?;
    let mut status = ConsumerMetrics::new("billing").every(Duration::from_secs(5));
    while let Some(pack) = status.next_pack(&mut packs).await? {
        let span = info_span!("bill_orders", orders = pack.msgs.len());
        for message in &pack.msgs {
            if let Message::Stored(message) = message
                && let Some(context) = TraceContext::extract(&message.record.extra)
            {
                span.add_link(context.to_span_context());
            }
        }
        let _billing = span.entered();
    }

    if let Some(tracing) = tracing {
        // Sends the spans that are left, which blocks, and fails if the collector can't be reached.
        tokio::task::spawn_blocking(move || tracing.force_flush().and(tracing.shutdown()))
            .await??;
    }
    println!("{}", metrics.render());
    Ok(())
}

/// Keeps metrics, and serves them at `/metrics` of an address.
fn record_metrics(address: Option<SocketAddr>) -> Result<PrometheusHandle, Box<dyn Error>> {
    let duration = Matcher::Full("messaging.client.operation.duration".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(duration, &DURATION_BUCKETS)?;
    let handle = match address {
        None => builder.install_recorder()?,
        Some(address) => {
            let (recorder, exporter) = builder.with_http_listener(address).build()?;
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder)?;
            tokio::spawn(exporter);
            handle
        }
    };
    describe();
    Ok(handle)
}

/// Sends the spans of `tracing` by OTLP.
fn send_spans() -> Result<SdkTracerProvider, Box<dyn Error>> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("msgstream"));
    tracing_subscriber::registry().with(layer).try_init()?;
    Ok(provider)
}
