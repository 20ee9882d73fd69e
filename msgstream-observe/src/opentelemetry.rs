//! Trace context from and to OpenTelemetry.

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::TraceContext;

impl TraceContext {
    /// Returns the context of the current span of `tracing`; `None` if there is no span, or none that
    /// `tracing-opentelemetry` knows. For [`Propagated::over`](crate::Propagated::over).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_observe::{Observed, Propagated, TraceContext};
    /// fn layers(broker: Arc<dyn Transport>) -> Arc<dyn Transport> {
    ///     let broker = Arc::new(Propagated::over(broker, TraceContext::current));
    ///     Arc::new(Observed::over(broker, "kafka"))
    /// }
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::from_span_context(Span::current().context().span().span_context())
    }

    /// Returns the same context as OpenTelemetry has it; `None` if it isn't valid.
    ///
    /// ```
    /// use msgstream_observe::TraceContext;
    /// use opentelemetry::trace::SpanContext;
    /// assert_eq!(TraceContext::from_span_context(&SpanContext::NONE), None);
    /// ```
    #[must_use]
    pub fn from_span_context(span: &SpanContext) -> Option<Self> {
        let trace_id = u128::from_be_bytes(span.trace_id().to_bytes());
        let span_id = u64::from_be_bytes(span.span_id().to_bytes());
        let context = Self::new(trace_id, span_id, span.is_sampled()).ok()?;
        Some(context.clone().with_state(&span.trace_state().header()).unwrap_or(context))
    }

    /// Returns the context of the span that sent a message, to link to it or to make it the parent.
    ///
    /// ```
    /// use msgstream_core::StoredMessage;
    /// use msgstream_observe::TraceContext;
    /// use tracing_opentelemetry::OpenTelemetrySpanExt;
    /// fn process(message: &StoredMessage) {
    ///     let span = tracing::info_span!("process");
    ///     if let Some(context) = TraceContext::extract(&message.record.extra) {
    ///         span.add_link(context.to_span_context());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn to_span_context(&self) -> SpanContext {
        let flags = if self.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let state = self.state().and_then(|state| state.parse::<TraceState>().ok());
        SpanContext::new(
            TraceId::from_bytes(self.trace_id().to_be_bytes()),
            SpanId::from_bytes(self.span_id().to_be_bytes()),
            flags,
            true,
            state.unwrap_or_default(),
        )
    }
}
