//! What the client library doesn't show, by librdkafka's own functions. All that is unsafe is here;
//! `docs/decisions/0009-librdkafka-itself.md` has why.

#![allow(unsafe_code, reason = "no safe call tells where an end is, a topic's id, or any header")]

pub(crate) mod ids;
pub(crate) mod queue;

use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_event_destroy, rd_kafka_event_t, rd_kafka_queue_destroy, rd_kafka_queue_poll,
    rd_kafka_queue_t,
};

/// A handle on a queue of the client. It has to go before the client.
struct NativeQueue(NonNull<rd_kafka_queue_t>);

// SAFETY: the client's functions for queues may be called on any thread.
unsafe impl Send for NativeQueue {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for NativeQueue {}

impl NativeQueue {
    /// The next event, which it waits for as long as this.
    fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is there, and so is its client. What comes is null or ours.
        let event = unsafe { rd_kafka_queue_poll(self.0.as_ptr(), milliseconds(wait)) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for NativeQueue {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// An event, to be freed.
struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it is ours, this is its end, and what was borrowed of it has ended.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// As librdkafka takes it; negative would be without end.
fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
