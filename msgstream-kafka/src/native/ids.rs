//! The ids of topics, of which brokers assign a new one with each creation.

use std::ffi::CString;
use std::ptr::NonNull;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::bindings::{
    RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT, rd_kafka_DescribeTopics,
    rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
    rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicCollection_t,
    rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_partitions,
    rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id,
    rd_kafka_Uuid_least_significant_bits, rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t,
    rd_kafka_error_code, rd_kafka_event_DescribeTopics_result,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::request::{Event, GRACE, Options, Queue};
use crate::prefetch::Consumer;

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
    // SAFETY: the names are there, and are copied. What comes is null or ours.
    let topics =
        unsafe { rd_kafka_TopicCollection_of_topic_names(starts.as_mut_ptr(), starts.len()) };
    let topics = Topics(NonNull::new(topics).ok_or(Code::Fail)?);
    let api = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let options = Options::new(consumer, api, timeout)?;
    let queue = Queue::new(consumer)?;
    if let Some(node) = node {
        options.set_node(node)?;
    }
    // SAFETY: all of them are there. What the client needs later it copies, or counts.
    unsafe {
        rd_kafka_DescribeTopics(client, topics.0.as_ptr(), options.as_ptr(), queue.as_ptr());
    }
    // The client keeps the time, and answers in any case.
    let deadline = Instant::now() + timeout + GRACE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = queue.poll(left).ok_or(Code::OperationTimedOut)?;
        if let Some(topics) = described_by(&event) {
            return topics;
        }
    }
}

/// Returns the topics, if the event is about them.
fn described_by(event: &Event) -> Option<Result<Vec<Result<Described, Code>>, Code>> {
    let event = match event.of_type(RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)? {
        Ok(event) => event,
        Err(code) => return Some(Err(code)),
    };
    // SAFETY: the event is there, and what it has as long as that. Of an event of this type there is a
    // result, with so many topics.
    unsafe {
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
        match partitions {
            // There is no such topic, so this node doesn't know it whole.
            0 => Err(Code::UnknownTopicOrPartition),
            _ => Ok(Described { id, partitions }),
        }
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
