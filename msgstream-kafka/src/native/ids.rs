//! The ids of topics, of which brokers assign a new one with each creation.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::bindings::{
    RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT, rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_broker, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_AdminOptions_t, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
    rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names,
    rd_kafka_TopicCollection_t, rd_kafka_TopicDescription_error,
    rd_kafka_TopicDescription_partitions, rd_kafka_TopicDescription_t,
    rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_least_significant_bits,
    rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t, rd_kafka_error_code,
    rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_event_t, rd_kafka_event_type, rd_kafka_queue_destroy, rd_kafka_queue_new,
    rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_resp_err_t,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::prefetch::Consumer;

/// The longest timeout that librdkafka accepts for a request.
const LONGEST: Duration = Duration::from_hours(1);

/// How late the client may report a timeout.
const GRACE: Duration = Duration::from_millis(200);

/// What a broker reports about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// 0 if the broker is too old to have ids.
    pub(crate) id: u128,
    pub(crate) partitions: usize,
}

/// Returns a node's description of topics, in the order of their names, which must be distinct. Without
/// a node the request goes to the one that the client takes for the controller. Blocks until there
/// is an answer, or the time is over.
pub(crate) fn describe_topics(
    consumer: &Consumer,
    node: Option<i32>,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<Result<Described, Code>>, Code> {
    let names: Result<Vec<_>, _> = topics.iter().map(|name| CString::new(name.as_str())).collect();
    let names = names.map_err(|_| Code::InvalidTopic)?;
    let mut starts: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let client = consumer.client().native_ptr();
    // SAFETY: the client is there as long as the consumer, and so are the names, which are copied.
    // What comes is null or ours.
    let (topics, options, queue) = unsafe {
        let api = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        (
            rd_kafka_TopicCollection_of_topic_names(starts.as_mut_ptr(), starts.len()),
            rd_kafka_AdminOptions_new(client, api),
            rd_kafka_queue_new(client),
        )
    };
    let topics = Topics(NonNull::new(topics).ok_or(Code::Fail)?);
    let options = Options(NonNull::new(options).ok_or(Code::Fail)?);
    let queue = Queue(NonNull::new(queue).ok_or(Code::Fail)?);
    options.set_timeout(timeout)?;
    if let Some(node) = node {
        options.set_node(node)?;
    }
    // SAFETY: all of them are there. What the client needs later it copies, or counts.
    unsafe {
        rd_kafka_DescribeTopics(client, topics.0.as_ptr(), options.0.as_ptr(), queue.0.as_ptr());
    }
    // The client keeps the time, and answers in any case.
    let deadline = Instant::now() + timeout + GRACE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = queue.poll(left).ok_or(Code::OperationTimedOut)?;
        if let Some(topics) = event.topics() {
            return topics;
        }
    }
}

/// A queue for answers. It has to go before the client.
struct Queue(NonNull<rd_kafka_queue_t>);

impl Queue {
    /// Waits for the next event, no longer than this.
    fn poll(&self, wait: Duration) -> Option<Event> {
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

struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

impl Event {
    /// Returns the topics, if the event is about them.
    fn topics(&self) -> Option<Result<Vec<Result<Described, Code>>, Code>> {
        let event = self.0.as_ptr();
        // SAFETY: the event is there, and what it has as long as that. Of an event of this type there
        // is a result, with so many topics.
        unsafe {
            if rd_kafka_event_type(event) != RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT {
                return None;
            }
            match Code::from(rd_kafka_event_error(event)) {
                Code::NoError => {}
                code => return Some(Err(code)),
            }
            let result = rd_kafka_event_DescribeTopics_result(event);
            let mut count = 0;
            let topics = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            if topics.is_null() {
                return Some(Ok(Vec::new()));
            }
            let topics = slice::from_raw_parts(topics, count);
            Some(Ok(topics.iter().map(|topic| described(*topic)).collect()))
        }
    }
}

/// # Safety
/// The pointer is null or to a topic that is there.
unsafe fn described(topic: *const rd_kafka_TopicDescription_t) -> Result<Described, Code> {
    if topic.is_null() {
        return Err(Code::UnknownTopicOrPartition);
    }
    // SAFETY: the topic is there, and what it has as long as that.
    unsafe {
        let error = rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            return Err(rd_kafka_error_code(error).into());
        }
        let id = rd_kafka_TopicDescription_topic_id(topic);
        let (high, low) =
            (rd_kafka_Uuid_most_significant_bits(id), rd_kafka_Uuid_least_significant_bits(id));
        let id = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
        let mut partitions = 0;
        let _ = rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        Ok(Described { id, partitions })
    }
}

/// Names of topics.
struct Topics(NonNull<rd_kafka_TopicCollection_t>);

impl Drop for Topics {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_TopicCollection_destroy(self.0.as_ptr()) };
    }
}

struct Options(NonNull<rd_kafka_AdminOptions_t>);

impl Options {
    fn set_timeout(&self, timeout: Duration) -> Result<(), Code> {
        let timeout = milliseconds(timeout.min(LONGEST));
        // SAFETY: the options are there. Where it fails, nothing is written to a place of no size.
        let set = unsafe {
            rd_kafka_AdminOptions_set_request_timeout(self.0.as_ptr(), timeout, NO_TEXT, 0)
        };
        is_set(set)
    }

    fn set_node(&self, node: i32) -> Result<(), Code> {
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
