//! What all requests of librdkafka's admin interface have in common: options, a queue and its events.

use std::ffi::c_char;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_broker,
    rd_kafka_AdminOptions_set_request_timeout, rd_kafka_AdminOptions_t, rd_kafka_admin_op_t,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_t, rd_kafka_event_type,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t,
    rd_kafka_resp_err_t,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::prefetch::Consumer;

/// The longest timeout that librdkafka accepts for a request.
const LONGEST: Duration = Duration::from_hours(1);

/// How late the client may report a timeout.
pub(super) const GRACE: Duration = Duration::from_millis(200);

/// A queue for answers. It has to go before the client.
pub(super) struct Queue(NonNull<rd_kafka_queue_t>);

impl Queue {
    pub(super) fn new(consumer: &Consumer) -> Result<Self, Code> {
        // SAFETY: the client is there as long as the consumer. What comes is null or ours.
        let queue = unsafe { rd_kafka_queue_new(consumer.client().native_ptr()) };
        NonNull::new(queue).map(Self).ok_or(Code::Fail)
    }

    pub(super) const fn as_ptr(&self) -> *mut rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// Waits for the next event, no longer than this.
    pub(super) fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is there, and so is its client. What comes is null or ours.
        let event = unsafe { rd_kafka_queue_poll(self.0.as_ptr(), milliseconds(wait)) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// As librdkafka takes it; negative would be without end.
fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

pub(super) struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

impl Event {
    /// Returns the event, or the error in it, if it is of this type.
    pub(super) fn of_type(&self, wanted: i32) -> Option<Result<*mut rd_kafka_event_t, Code>> {
        let event = self.0.as_ptr();
        // SAFETY: the event is there.
        unsafe {
            (rd_kafka_event_type(event) == wanted).then(|| {
                match Code::from(rd_kafka_event_error(event)) {
                    Code::NoError => Ok(event),
                    code => Err(code),
                }
            })
        }
    }
}

pub(super) struct Options(NonNull<rd_kafka_AdminOptions_t>);

impl Options {
    /// Returns the options for a kind of request, which may take so long.
    pub(super) fn new(
        consumer: &Consumer,
        api: rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Self, Code> {
        // SAFETY: the client is there as long as the consumer. What comes is null or ours.
        let options = unsafe { rd_kafka_AdminOptions_new(consumer.client().native_ptr(), api) };
        let options = NonNull::new(options).map(Self).ok_or(Code::Fail)?;
        options.set_timeout(timeout)?;
        Ok(options)
    }

    pub(super) const fn as_ptr(&self) -> *mut rd_kafka_AdminOptions_t {
        self.0.as_ptr()
    }

    fn set_timeout(&self, timeout: Duration) -> Result<(), Code> {
        let timeout = milliseconds(timeout.min(LONGEST));
        // SAFETY: the options are there. Where it fails, nothing is written to a place of no size.
        let set = unsafe {
            rd_kafka_AdminOptions_set_request_timeout(self.0.as_ptr(), timeout, NO_TEXT, 0)
        };
        is_set(set)
    }

    pub(super) fn set_node(&self, node: i32) -> Result<(), Code> {
        // SAFETY: as above.
        is_set(unsafe { rd_kafka_AdminOptions_set_broker(self.0.as_ptr(), node, NO_TEXT, 0) })
    }
}

/// In place of the text of an error.
const NO_TEXT: *mut c_char = ptr::null_mut();

fn is_set(set: rd_kafka_resp_err_t) -> Result<(), Code> {
    match Code::from(set) {
        Code::NoError => Ok(()),
        code => Err(code),
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: they are ours, and this is their end.
        unsafe { rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}
