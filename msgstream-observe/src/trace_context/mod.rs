//! [`TraceContext`]: the headers of W3C Trace Context.

mod state;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use msgstream_core::record::{Header, Headers};

use self::state::is_state;

/// The name of the header that says which span a message comes from.
const TRACEPARENT: &str = "traceparent";
/// The name of the header with what tracing systems add.
const TRACESTATE: &str = "tracestate";

/// The length of a `traceparent` of version 00, of which later versions keep the beginning.
const LENGTH: usize = 55;

/// Where a message comes from: the trace and the span that sent it, as the headers `traceparent`
/// and `tracestate` of [W3C Trace Context, level 1](https://www.w3.org/TR/trace-context-1/).
///
/// Both are text, so they can be written on every transport.
///
/// ```
/// use msgstream_core::record::Record;
/// use msgstream_observe::TraceContext;
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context: TraceContext = parent.parse()?;
/// let mut record = Record::default();
/// context.inject(&mut record.extra);
/// assert_eq!(record.header("traceparent").unwrap(), parent);
///
/// // Whoever reads the record finds it again.
/// assert_eq!(TraceContext::extract(&record.extra), Some(context));
/// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
    state: Option<Arc<str>>,
}

/// Why something is no [`TraceContext`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTraceContext {
    /// The text is no `traceparent`.
    #[error(
        "`{text}` is no `traceparent`: it must be 00-TRACE-SPAN-FLAGS, in lower-case hexadecimal digits"
    )]
    Parent {
        /// The text.
        text: String,
    },
    /// An id of a trace or of a span is 0.
    #[error("an id of a trace or a span is 0, which is reserved for there being none")]
    ZeroId,
    /// The text is no `tracestate`.
    #[error(
        "`{text}` is no `tracestate`: it must be at most 32 different keys with their values, `key=value,key=value`"
    )]
    State {
        /// The text.
        text: String,
    },
}

impl TraceContext {
    /// Returns the context of a span.
    ///
    /// ```
    /// use msgstream_observe::TraceContext;
    /// let context = TraceContext::new(0x7b, 0x1c8, true)?;
    /// assert_eq!(
    ///     context.to_string(),
    ///     "00-0000000000000000000000000000007b-00000000000001c8-01"
    /// );
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidTraceContext::ZeroId`].
    pub const fn new(
        trace_id: u128,
        span_id: u64,
        sampled: bool,
    ) -> Result<Self, InvalidTraceContext> {
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceContext::ZeroId);
        }
        Ok(Self { trace_id, span_id, sampled, state: None })
    }

    /// Sets the `tracestate`. An empty one is none.
    ///
    /// ```
    /// use msgstream_observe::TraceContext;
    /// let context = TraceContext::new(123, 456, true)?.with_state("vendor=17")?;
    /// assert_eq!(context.state(), Some("vendor=17"));
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidTraceContext::State`].
    pub fn with_state(mut self, state: &str) -> Result<Self, InvalidTraceContext> {
        if !is_state(state) {
            return Err(InvalidTraceContext::State { text: state.to_owned() });
        }
        self.state = Some(state.trim()).filter(|state| !state.is_empty()).map(Into::into);
        Ok(self)
    }

    /// Returns the id of the trace.
    ///
    /// ```
    /// # use msgstream_observe::TraceContext;
    /// assert_eq!(TraceContext::new(123, 456, true)?.trace_id(), 123);
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the span that the message comes from.
    ///
    /// ```
    /// # use msgstream_observe::TraceContext;
    /// assert_eq!(TraceContext::new(123, 456, true)?.span_id(), 456);
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns whether the sender may have recorded the trace.
    ///
    /// ```
    /// # use msgstream_observe::TraceContext;
    /// assert!(TraceContext::new(123, 456, true)?.is_sampled());
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Returns the `tracestate`; `None` if there is none.
    ///
    /// ```
    /// # use msgstream_observe::TraceContext;
    /// assert_eq!(TraceContext::new(123, 456, true)?.state(), None);
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Adds the context to the headers of a record, unless they have one: the context that a
    /// message was created in is kept when it is passed on.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// use msgstream_observe::TraceContext;
    /// let mut record = Record::default();
    /// TraceContext::new(123, 456, true)?.inject(&mut record.extra);
    /// TraceContext::new(1, 1, true)?.inject(&mut record.extra);
    /// assert_eq!(TraceContext::extract(&record.extra).unwrap().trace_id(), 123);
    /// # Ok::<(), msgstream_observe::InvalidTraceContext>(())
    /// ```
    pub fn inject(&self, headers: &mut Headers) {
        self.encode().add_to(headers);
    }

    /// Returns the context in the headers of a record; `None` if there is none, or it isn't valid.
    /// A `tracestate` that isn't valid is left out.
    ///
    /// ```
    /// use msgstream_core::StoredMessage;
    /// use msgstream_observe::TraceContext;
    /// fn trace(message: &StoredMessage) -> Option<TraceContext> {
    ///     TraceContext::extract(&message.record.extra)
    /// }
    /// ```
    #[must_use]
    pub fn extract(headers: &Headers) -> Option<Self> {
        let mut parents = values(headers, TRACEPARENT);
        let context: Self = str::from_utf8(parents.next()?).ok()?.trim().parse().ok()?;
        if parents.next().is_some() {
            return None;
        }
        let states: Option<Vec<&str>> =
            values(headers, TRACESTATE).map(|state| str::from_utf8(state).ok()).collect();
        let state = states.unwrap_or_default().join(",");
        Some(context.clone().with_state(&state).unwrap_or(context))
    }

    /// Returns the headers, to be added to several records.
    pub(crate) fn encode(&self) -> Encoded {
        static NAMES: LazyLock<[Arc<str>; 2]> =
            LazyLock::new(|| [TRACEPARENT.into(), TRACESTATE.into()]);
        let [parent, state] = &*NAMES;
        let value = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Encoded {
            parent: Header { name: parent.clone(), value: self.to_string().into() },
            state: self.state().map(|text| Header { name: state.clone(), value: value(text) }),
        }
    }
}

/// The headers of a context.
pub(crate) struct Encoded {
    parent: Header,
    state: Option<Header>,
}

impl Encoded {
    pub(crate) fn add_to(&self, headers: &mut Headers) {
        if values(headers, TRACEPARENT).next().is_none() {
            // Without a `traceparent` it means nothing, and could only be mistaken for part of this one.
            headers.retain(|header| !header.name.eq_ignore_ascii_case(TRACESTATE));
            headers.push(self.parent.clone());
            headers.extend(self.state.clone());
        }
    }
}

/// Returns the values of a header. Some programs write its name in capitals.
fn values<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).map(|h| &*h.value)
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Parses a `traceparent`. Of a version that came later, it takes what version 00 has.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let invalid = || InvalidTraceContext::Parent { text: text.to_owned() };
        let (known, more) = text.split_at_checked(LENGTH).ok_or_else(invalid)?;
        let parts: Vec<&str> = known.split('-').collect();
        let [version, trace_id, span_id, flags] = *parts else { return Err(invalid()) };
        let lengths = [version, trace_id, span_id, flags].map(str::len);
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        let ends = if version == "00" {
            more.is_empty()
        } else {
            more.is_empty() || more.starts_with('-')
        };
        if version == "ff" || lengths != [2, 32, 16, 2] || !known.bytes().all(is_hex) || !ends {
            return Err(invalid());
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| invalid())?;
        let span_id = u64::from_str_radix(span_id, 16).map_err(|_| invalid())?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| invalid())?;
        Self::new(trace_id, span_id, flags & 1 == 1)
    }
}

impl fmt::Display for TraceContext {
    /// Writes the `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

#[cfg(test)]
mod tests;
