#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attribute;
mod consumer;
mod counts;
mod metric;
mod observed;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod operation;
mod propagated;
mod session;
mod trace_context;

pub use self::consumer::ConsumerMetrics;
pub use self::metric::{DURATION_BUCKETS, METRICS, Metric, MetricKind, describe};
pub use self::observed::Observed;
pub use self::propagated::Propagated;
pub use self::session::SessionMetrics;
pub use self::trace_context::{InvalidTraceContext, TraceContext};
