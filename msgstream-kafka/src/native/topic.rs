//! The queue of one partition in the client, without the client library around it.
//!
//! The library's own call takes one message at a time, each with a lock and two looks at the clock,
//! panics at some names of headers, and doesn't report where an end is.

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ops::{ControlFlow, Range};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_consume_callback, rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_headers_t,
    rd_kafka_message_errstr, rd_kafka_message_headers, rd_kafka_message_leader_epoch,
    rd_kafka_message_t, rd_kafka_resp_err_t, rd_kafka_topic_destroy, rd_kafka_topic_new,
    rd_kafka_topic_partition_set_leader_epoch, rd_kafka_topic_t, rd_kafka_yield,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::error::FetchError;
use crate::events::Events;
use crate::partition::Partition;
use crate::prefetch::Consumer;

/// A topic of which one partition has a queue of its own.
pub(crate) struct Topic {
    // Before the fields that hold the client, because it must be dropped first.
    native: NativeTopic,
    number: i32,
    _split: PartitionQueue<Events>,
    consumer: Arc<Consumer>,
}

/// What came out of a queue.
pub(crate) enum QueueEvent<'a> {
    Message(Message<'a>),
    /// There was nothing more when the broker was asked last: everything before this offset has
    /// arrived, and some offsets may be without a message.
    End(u64),
    /// Nothing follows.
    Failed(FetchError),
}

impl Topic {
    /// Splits the partition's queue off that of the client. The function is called, on a thread of the
    /// client, when something comes into it while it is empty.
    pub(crate) fn split(
        consumer: &Arc<Consumer>,
        Partition { topic, number }: &Partition,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        let mut split = consumer.split_partition_queue(topic, *number)?;
        split.set_nonempty_callback(wake);
        let name = CString::new(topic.as_str()).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client is there, and so is the name, which is copied. What comes is null or
        // ours.
        let native = unsafe { rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
        let native = NativeTopic(NonNull::new(native)?);
        Some(Self { native, number: *number, _split: split, consumer: Arc::clone(consumer) })
    }

    /// Passes what has arrived to a function, one by one, until that breaks off. It doesn't wait. A
    /// panic of the function would end the process.
    pub(crate) fn drain(&self, each: impl FnMut(QueueEvent<'_>) -> ControlFlow<()>) {
        let mut drain = Drain { each, topic: self, is_over: false };
        loop {
            // SAFETY: the topic is there, and so is the function with what it needs. Both are used in
            // this call alone, on this thread.
            let count = unsafe {
                let (each, drain) = (callback(&drain), (&raw mut drain).cast());
                rd_kafka_consume_callback(self.native.0.as_ptr(), self.number, 0, Some(each), drain)
            };
            // Negative if the client has forgotten the partition.
            if count <= 0 || drain.is_over {
                return;
            }
        }
    }
}

/// Sets the leader epoch in which the record before the offset of a list's only partition was written.
/// The client then checks at the broker whether that record is still there.
pub(crate) fn set_leader_epoch(list: &mut TopicPartitionList, epoch: i32) {
    // SAFETY: the list is valid and not shared, and has as many elements as it says.
    unsafe {
        let list = &*list.ptr();
        if list.cnt == 1 {
            rd_kafka_topic_partition_set_leader_epoch(list.elems, epoch);
        }
    }
}

/// A handle on a topic.
struct NativeTopic(NonNull<rd_kafka_topic_t>);

// SAFETY: the client's functions for topics may be called on any thread.
unsafe impl Send for NativeTopic {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for NativeTopic {}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is its end.
        unsafe { rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

struct Drain<'a, F> {
    each: F,
    topic: &'a Topic,
    is_over: bool,
}

type Callback = unsafe extern "C" fn(*mut rd_kafka_message_t, *mut c_void);

/// The function that the client calls for such a drain.
fn callback<F: FnMut(QueueEvent<'_>) -> ControlFlow<()>>(_: &Drain<'_, F>) -> Callback {
    /// # Safety
    /// The message is null, or valid and not shared during this call. The other pointer is to a drain
    /// of this type, which is not used elsewhere meanwhile.
    unsafe extern "C" fn callback<F: FnMut(QueueEvent<'_>) -> ControlFlow<()>>(
        message: *mut rd_kafka_message_t,
        drain: *mut c_void,
    ) {
        let Some(message) = NonNull::new(message) else { return };
        // SAFETY: as the caller promises.
        let drain = unsafe { &mut *drain.cast::<Drain<'_, F>>() };
        let message = Message { native: message, borrowed: PhantomData };
        let event = match Code::from(message.fields().err) {
            Code::NoError => QueueEvent::Message(message),
            Code::PartitionEOF => QueueEvent::End(message.offset()),
            code => QueueEvent::Failed(FetchError { code, text: message.error_text() }),
        };
        if (drain.each)(event).is_break() {
            drain.is_over = true;
            // SAFETY: the client is there. What it has taken out of the queue it puts back.
            unsafe { rd_kafka_yield(drain.topic.consumer.client().native_ptr()) };
        }
    }
    callback::<F>
}

/// A message. It is there for one call of a function; its memory is that of all that came in the same
/// answer of the broker.
pub(crate) struct Message<'a> {
    native: NonNull<rd_kafka_message_t>,
    borrowed: PhantomData<&'a rd_kafka_message_t>,
}

impl Message<'_> {
    fn fields(&self) -> &rd_kafka_message_t {
        // SAFETY: the message is there as long as this.
        unsafe { self.native.as_ref() }
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

    /// Returns the leader's term in which it was written, negative if the broker doesn't say.
    pub(crate) fn leader_epoch(&self) -> i32 {
        // SAFETY: the message is there as long as this.
        unsafe { rd_kafka_message_leader_epoch(self.native.as_ptr()) }
    }

    /// Returns the client's text, if this is an error.
    fn error_text(&self) -> String {
        // SAFETY: the message is there. What comes is null or a text that ends with a zero, which is there
        // as long as the message.
        unsafe {
            let text = rd_kafka_message_errstr(self.native.as_ptr());
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into()
            }
        }
    }

    /// Returns the names and values of its headers, or why they can't be read. A missing value is empty.
    pub(crate) fn headers(&mut self) -> Result<Headers<'_>, Code> {
        let mut native = ptr::null_mut();
        // SAFETY: the message is valid and not shared. If it has no headers, the
        // pointer stays null; else they live as long as the message.
        let (read, count) = unsafe {
            let read = rd_kafka_message_headers(self.native.as_ptr(), &raw mut native);
            (read, if native.is_null() { 0 } else { rd_kafka_header_cnt(native) })
        };
        match Code::from(read) {
            // There are none.
            Code::NoError | Code::NoEnt => {
                Ok(Headers { native, numbers: 0..count, message: PhantomData })
            }
            code => Err(code),
        }
    }
}

/// Headers of a message.
#[derive(Clone)]
pub(crate) struct Headers<'a> {
    native: *const rd_kafka_headers_t,
    /// Of the remaining headers.
    numbers: Range<usize>,
    message: PhantomData<&'a rd_kafka_message_t>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.numbers.next()?;
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers live as long as the message that is borrowed. The function returns an
        // error if there is none of this number.
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

/// Borrows bytes of the client, or returns `None` for a null pointer.
///
/// # Safety
/// A pointer that isn't null must point to this many bytes, which don't change for the lifetime.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}
