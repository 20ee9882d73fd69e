//! The layer's spans, and trace context from one program to another.
#![cfg(feature = "opentelemetry")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use msgstream_core::message::TimeSyncMsg;
use msgstream_core::transport::{Start, Transport, TransportExt as _};
use msgstream_core::{Consumer, Message, Producer, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};
use msgstream_observe::{Observed, Propagated, TraceContext};
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// Runs a program with a tracer, and returns the spans that have ended.
async fn traced(program: impl Future<Output = ()>) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    program.await;
    drop(guard);
    exporter.get_finished_spans().unwrap()
}

fn layers() -> Arc<dyn Transport> {
    let broker = Arc::new(MemTransport::new(MemConfig::default()));
    let broker = Arc::new(Propagated::over(broker, TraceContext::current));
    Arc::new(Observed::over(broker, "mem"))
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no `{name}`: {spans:#?}"))
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    span.attributes.iter().find(|a| a.key.as_str() == name).map(|a| a.value.to_string())
}

#[tokio::test]
async fn a_message_comes_from_the_span_that_sent_it() {
    let program = async {
        let broker = layers();
        let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
        let mut producer = orders.open().await.unwrap();
        let order = TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0]);
        let request = tracing::info_span!("request");
        producer.send(order).instrument(request).await.unwrap();
        producer.end(Timestamp(9)).await.unwrap();

        let mut packs = Consumer::builder(broker).channels(["orders"]).open().await.unwrap();
        let pack = packs.next_pack().await.unwrap().unwrap();
        let [Message::Stored(message)] = &*pack.msgs else { unreachable!("one was sent") };
        let context = TraceContext::extract(&message.record.extra).unwrap();
        tracing::info_span!("process").add_link(context.to_span_context());
    };
    let spans = traced(program).await;

    let (request, send) = (named(&spans, "request"), named(&spans, "send orders"));
    assert_eq!(send.span_kind, SpanKind::Producer);
    assert_eq!(send.parent_span_id, request.span_context.span_id());
    assert_eq!(attribute(send, "messaging.system").as_deref(), Some("mem"));
    assert_eq!(attribute(send, "messaging.destination.name").as_deref(), Some("orders"));
    assert_eq!(attribute(send, "messaging.operation.type").as_deref(), Some("send"));
    assert_eq!(attribute(send, "messaging.batch.message_count").as_deref(), Some("1"));
    assert_eq!(named(&spans, "receive orders").span_kind, SpanKind::Consumer);
    let [link] = &*named(&spans, "process").links.links else { unreachable!("one was added") };
    assert_eq!(link.span_context.span_id(), send.span_context.span_id());
    assert_eq!(link.span_context.trace_id(), request.span_context.trace_id());
}

#[tokio::test]
async fn a_failure_is_in_its_span() {
    let program = async {
        assert!(layers().reader("orders", Start::Earliest).await.is_err());
    };
    let spans = traced(program).await;
    let failed = named(&spans, "reader orders");
    assert!(matches!(failed.status, Status::Error { .. }), "{failed:?}");
    assert_eq!(attribute(failed, "error.type").as_deref(), Some("not_found"));
}

#[tokio::test]
async fn ticks_have_no_context_and_a_context_that_is_there_is_kept() {
    let context = TraceContext::new(123, 456, true).unwrap();
    let found = Arc::new(std::sync::Mutex::new(Vec::new()));
    let program = async {
        let broker = layers();
        broker.create("orders").await.unwrap();
        let mut writer = broker.writer("orders").await.unwrap();
        let record = |at| {
            let message: Message = TimeSyncMsg::new(Timestamp(at)).into();
            let Message::Typed(message) = message else { unreachable!("it wasn't read") };
            message.to_record()
        };
        let mut with = record(5);
        context.inject(&mut with.extra);
        let mut tick = record(6);
        tick.meta.msg_type = msgstream_core::MsgType::TIME_TICK;
        assert!(writer.submit(vec![with, tick, record(7)]).await.rest.is_none());
        let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
        let read = reader.read(Default::default()).await.unwrap().records;
        found.lock().unwrap().extend(read.iter().map(|r| TraceContext::extract(&r.extra)));
    };
    let spans = traced(program).await;
    let send = TraceContext::from_span_context(&named(&spans, "send orders").span_context);
    assert_eq!(*found.lock().unwrap(), [Some(context.clone()), None, send]);
}
