//! What groups have committed of a topic: one client is enough for all groups.

use std::ffi::CString;
use std::ptr::NonNull;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT, rd_kafka_ListConsumerGroupOffsets,
    rd_kafka_ListConsumerGroupOffsets_destroy, rd_kafka_ListConsumerGroupOffsets_new,
    rd_kafka_ListConsumerGroupOffsets_result_groups, rd_kafka_ListConsumerGroupOffsets_t,
    rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_event_ListConsumerGroupOffsets_result,
    rd_kafka_group_result_error, rd_kafka_group_result_partitions, rd_kafka_group_result_t,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::request::{Event, GRACE, Options, Queue};
use crate::prefetch::Consumer;

/// What a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Negative if there is nothing.
    pub(crate) offset: i64,
    pub(crate) metadata: Vec<u8>,
}

/// Returns what a group has committed of the partitions of a list, in no order. Blocks until there is
/// an answer, or the time is over.
pub(crate) fn committed(
    consumer: &Consumer,
    group: &str,
    partitions: &TopicPartitionList,
    timeout: Duration,
) -> Result<Vec<Result<Committed, Code>>, Code> {
    let group = CString::new(group).map_err(|_| Code::InvalidGroupId)?;
    // SAFETY: the name and the list are there, and are copied. What comes is null or ours.
    let asked = unsafe { rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), partitions.ptr()) };
    let asked = Asked(NonNull::new(asked).ok_or(Code::Fail)?);
    let api = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
    let options = Options::new(consumer, api, timeout)?;
    let queue = Queue::new(consumer)?;
    let client = consumer.client().native_ptr();
    // SAFETY: all of them are there, and it is one request. What the client needs later it copies.
    unsafe {
        let mut only = asked.0.as_ptr();
        rd_kafka_ListConsumerGroupOffsets(
            client,
            &raw mut only,
            1,
            options.as_ptr(),
            queue.as_ptr(),
        );
    }
    // The client keeps the time, and answers in any case.
    let deadline = Instant::now() + timeout + GRACE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = queue.poll(left).ok_or(Code::OperationTimedOut)?;
        if let Some(committed) = committed_by(&event) {
            return committed;
        }
    }
}

/// Returns what is committed, if the event is about that.
fn committed_by(event: &Event) -> Option<Result<Vec<Result<Committed, Code>>, Code>> {
    let event = match event.of_type(RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT)? {
        Ok(event) => event,
        Err(code) => return Some(Err(code)),
    };
    // SAFETY: the event is there, and what it has as long as that. Of an event of this type there is a
    // result, with so many groups.
    unsafe {
        let result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
        let mut count = 0;
        let groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
        if groups.is_null() || count == 0 {
            return Some(Ok(Vec::new()));
        }
        Some(of_group(*groups))
    }
}

/// # Safety
/// The pointer is to the result of a group that is there.
unsafe fn of_group(
    group: *const rd_kafka_group_result_t,
) -> Result<Vec<Result<Committed, Code>>, Code> {
    // SAFETY: the result is there, and what it has as long as that: a list of so many partitions, each
    // with so many bytes of metadata.
    unsafe {
        let error = rd_kafka_group_result_error(group);
        if !error.is_null() {
            match rd_kafka_error_code(error).into() {
                Code::NoError => {}
                code => return Err(code),
            }
        }
        let list = rd_kafka_group_result_partitions(group);
        let Some(list) = list.as_ref().filter(|list| !list.elems.is_null()) else {
            return Ok(Vec::new());
        };
        let partitions = slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or(0));
        let committed = partitions.iter().map(|partition| match Code::from(partition.err) {
            Code::NoError => {
                let metadata = match partition.metadata.is_null() {
                    true => Vec::new(),
                    false => {
                        let start = partition.metadata.cast::<u8>();
                        slice::from_raw_parts(start, partition.metadata_size).to_vec()
                    }
                };
                Ok(Committed { offset: partition.offset, metadata })
            }
            code => Err(code),
        });
        Ok(committed.collect())
    }
}

/// A request.
struct Asked(NonNull<rd_kafka_ListConsumerGroupOffsets_t>);

impl Drop for Asked {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_ListConsumerGroupOffsets_destroy(self.0.as_ptr()) };
    }
}
