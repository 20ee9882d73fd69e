//! The queue of one topic in the client, without what the client library puts around it.
//!
//! The library's own call reads the clock and shares each message between counted pointers, panics at
//! some names of headers, and keeps to itself where an end is.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_FETCH, rd_kafka_event_error, rd_kafka_event_message_next,
    rd_kafka_event_topic_partition, rd_kafka_event_type, rd_kafka_header_cnt,
    rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_headers, rd_kafka_message_t,
    rd_kafka_queue_get_partition, rd_kafka_resp_err_t, rd_kafka_topic_partition_destroy,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::RDKafkaErrorCode;

use super::{Event, NativeQueue};
use crate::events::Events;
use crate::fetcher::Consumer;

/// The queue of a topic's only partition.
pub(crate) struct Queue {
    // Before what holds the client, for it has to go before.
    native: NativeQueue,
    _split: PartitionQueue<Events>,
}

/// What came out of a queue.
pub(crate) enum Popped<'a> {
    Message(Message<'a>),
    /// The end was at this offset; nothing before it is still to come.
    End(u64),
    Failed(RDKafkaErrorCode),
}

impl Queue {
    /// Splits the topic's queue off that of the client. The function is called, on a thread of the
    /// client, when something comes into it while it is empty.
    pub(crate) fn split(
        consumer: &Arc<Consumer>,
        topic: &str,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        let mut split = consumer.split_partition_queue(topic, 0)?;
        split.set_nonempty_callback(wake);
        let name = CString::new(topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client is there, for `split` holds it, and so is the name. What comes is null
        // or ours.
        let native = unsafe { rd_kafka_queue_get_partition(client, name.as_ptr(), 0) };
        Some(Self { native: NativeQueue(NonNull::new(native)?), _split: split })
    }

    /// What came next. It doesn't wait.
    pub(crate) fn pop(&self) -> Option<Popped<'_>> {
        loop {
            // Other kinds of events don't come to a topic's queue.
            if let Some(popped) = self.native.poll(Duration::ZERO)?.read() {
                return Some(popped);
            }
        }
    }
}

impl Event {
    /// The lifetime is that of the queue it came from.
    fn read<'a>(self) -> Option<Popped<'a>> {
        let event = self.0.as_ptr();
        // SAFETY: the event is there until it is dropped, and so is the message in it, which comes
        // once: it is null or nobody else's.
        unsafe {
            match rd_kafka_event_type(event) {
                RD_KAFKA_EVENT_FETCH => {
                    let message = rd_kafka_event_message_next(event).cast_mut();
                    let message = NonNull::new(message)?;
                    let message = Message { message, _event: self, queue: PhantomData };
                    Some(match RDKafkaErrorCode::from(message.fields().err) {
                        RDKafkaErrorCode::NoError => Popped::Message(message),
                        code => Popped::Failed(code),
                    })
                }
                RD_KAFKA_EVENT_ERROR => match RDKafkaErrorCode::from(rd_kafka_event_error(event)) {
                    RDKafkaErrorCode::NoError => None,
                    RDKafkaErrorCode::PartitionEOF => self.end().map(Popped::End),
                    code => Some(Popped::Failed(code)),
                },
                _ => None,
            }
        }
    }

    /// The offset that it is about.
    fn end(&self) -> Option<u64> {
        // SAFETY: the event is there. What comes is null or ours, and freed once.
        unsafe {
            let partition = NonNull::new(rd_kafka_event_topic_partition(self.0.as_ptr()))?;
            let offset = partition.as_ref().offset;
            rd_kafka_topic_partition_destroy(partition.as_ptr());
            u64::try_from(offset).ok()
        }
    }
}

/// A message. Those that came in one answer of the broker share its memory, and keep it.
pub(crate) struct Message<'a> {
    message: NonNull<rd_kafka_message_t>,
    _event: Event,
    queue: PhantomData<&'a Queue>,
}

impl Message<'_> {
    fn fields(&self) -> &rd_kafka_message_t {
        // SAFETY: the message is there as long as its event.
        unsafe { self.message.as_ref() }
    }

    pub(crate) fn offset(&self) -> u64 {
        u64::try_from(self.fields().offset).unwrap_or_default()
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        let fields = self.fields();
        // SAFETY: the key has this length, and is there as long as the message.
        unsafe { bytes(fields.key.cast(), fields.key_len) }
    }

    pub(crate) fn payload(&self) -> Option<&[u8]> {
        let fields = self.fields();
        // SAFETY: the payload has this length, and is there as long as the message.
        unsafe { bytes(fields.payload.cast(), fields.len) }
    }

    /// Names and values of its headers. A value that isn't there is empty.
    pub(crate) fn headers(&mut self) -> Headers<'_> {
        let mut native = ptr::null_mut();
        // SAFETY: the message is there, and nobody else looks at it. Where it has no headers, the
        // pointer stays null; else they are there as long as the message.
        let count = unsafe {
            let _ = rd_kafka_message_headers(self.message.as_ptr(), &raw mut native);
            if native.is_null() { 0 } else { rd_kafka_header_cnt(native) }
        };
        Headers { native, numbers: 0..count, message: PhantomData }
    }
}

/// Headers of a message.
#[derive(Clone)]
pub(crate) struct Headers<'a> {
    native: *const rd_kafka_headers_t,
    /// Of those that are still to come.
    numbers: Range<usize>,
    message: PhantomData<&'a rd_kafka_message_t>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.numbers.next()?;
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers are there as long as the message that is borrowed. It says where there
        // is none of this number.
        let found = unsafe {
            let (name, value, size) = (&raw mut name, &raw mut value, &raw mut size);
            rd_kafka_header_get_all(self.native, number, name, value, size)
        };
        if found != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: a name ends with a zero; a value has its size. Both are the message's.
        let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value.cast(), size)) };
        Some((name.to_bytes(), value.unwrap_or_default()))
    }
}

/// Bytes of the client, where there are any.
///
/// # Safety
/// A pointer that isn't null is to so many bytes, which stay as they are for the lifetime.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}
