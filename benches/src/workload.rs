//! The workloads, by name.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use msgstream_core::transport::{Transport, TransportError};

use crate::checksum::Checksum;
use crate::log::Writer;
use crate::{Shape, consume, merge, produce};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What is put around the transport that a workload writes and reads.
pub type Layer = fn(Arc<dyn Transport>) -> Arc<dyn Transport>;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// The time-tick merge alone, as the state machine that it is: records that are there already
    /// are pushed, an interval of one channel at a time, and packs are formed.
    Merge,
    /// Typed inserts are split by hash key, encoded and written to memory, and a tick follows on
    /// every channel.
    Produce,
    /// The same through a session, which numbers the messages and keeps them until they are
    /// acknowledged.
    ProduceSession,
    /// Channels in memory are read and merged. Order and headers are checked, nothing is decoded.
    Undecoded,
    /// The same with channels that a session wrote, so that each message is judged by its number.
    UndecodedSession,
    /// Like without a session, and every field of every message is decoded and checked.
    Decoded,
    /// The same by views, which borrow from the records.
    Views,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Merge,
        Self::Produce,
        Self::ProduceSession,
        Self::Undecoded,
        Self::UndecodedSession,
        Self::Decoded,
        Self::Views,
    ];

    /// The same with messages that a session writes or wrote, where it is measured.
    #[must_use]
    pub const fn with_session(self) -> Option<Self> {
        match self {
            Self::Produce => Some(Self::ProduceSession),
            Self::Undecoded => Some(Self::UndecodedSession),
            _ => None,
        }
    }

    /// Whether a session wrote or writes the messages.
    #[must_use]
    pub const fn has_session(self) -> bool {
        matches!(self, Self::ProduceSession | Self::UndecodedSession)
    }

    /// Does everything that isn't measured: builds the messages, and the log where one is read.
    ///
    /// # Errors
    /// What building the log says.
    pub fn prepare(self, shape: Shape, messages: usize) -> Result<Job> {
        self.prepare_over(shape, messages, |transport| transport)
    }

    /// The same with a layer around the transport. The merge alone has none.
    ///
    /// # Errors
    /// What building the log says.
    pub fn prepare_over(self, shape: Shape, messages: usize, layer: Layer) -> Result<Job> {
        let undecoded = |writer| consume::prepare_undecoded(shape, messages, writer, layer);
        match self {
            Self::Merge => merge::prepare(shape, messages),
            Self::Produce => produce::prepare(shape, messages, Writer::Plain, layer),
            Self::ProduceSession => produce::prepare(shape, messages, Writer::Session, layer),
            Self::Undecoded => undecoded(Writer::Plain),
            Self::UndecodedSession => undecoded(Writer::Session),
            Self::Decoded => consume::prepare_decoded(shape, messages, layer),
            Self::Views => consume::prepare_views(shape, messages, layer),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Produce => "produce",
            Self::ProduceSession => "session-produce",
            Self::Undecoded => "consume-undecoded",
            Self::UndecodedSession => "session-consume-undecoded",
            Self::Decoded => "consume-decoded",
            Self::Views => "consume-views",
        })
    }
}

/// What is to be measured, ready to run once.
pub struct Job(Box<dyn FnOnce() -> Result<Done>>);

impl Job {
    pub(crate) fn new(job: impl FnOnce() -> Result<Done> + 'static) -> Self {
        Self(Box::new(job))
    }

    /// Does it.
    ///
    /// # Errors
    /// What the stream says.
    pub fn run(self) -> Result<Done> {
        (self.0)()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// What a [`Job`] did, still to be checked. It holds what need not be torn down inside the timer.
#[must_use = "unchecked, the work may not have been done"]
pub struct Done {
    messages: u64,
    check: Box<dyn FnOnce() -> Result<()>>,
}

impl Done {
    /// The job computed one checksum and should have computed another.
    pub(crate) fn compared(found: Checksum, expected: Checksum, keep: impl Any) -> Self {
        Self::checked(expected.messages, move || {
            drop(keep);
            compare(found, expected)
        })
    }

    /// The job's work can be looked at.
    pub(crate) fn checked(messages: u64, check: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self { messages, check: Box::new(check) }
    }

    /// How many messages there were, ticks not counted.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Compares what came out with what went in.
    ///
    /// # Errors
    /// [`Error::Wrong`].
    pub fn check(self) -> Result<()> {
        (self.check)()
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("messages", &self.messages).finish_non_exhaustive()
    }
}

pub(crate) fn compare(found: Checksum, expected: Checksum) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let [found, expected] = [found, expected].map(|c| (c.messages, c.sum));
    Err(Error::Wrong { found, expected })
}

/// Why a workload failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] msgstream_core::Error),
    /// A record can't be decoded.
    #[error(transparent)]
    Decode(#[from] msgstream_core::DecodeError),
    /// There is no runtime to run on.
    #[error("the runtime can't be built")]
    Runtime(#[from] std::io::Error),
    /// Messages came out of order, or in a wrong pack.
    #[error("a pack's messages are out of order, or belong to another pack")]
    Order,
    /// What came out is not what went in.
    #[error("what came out is not what went in: {found:?} instead of {expected:?}")]
    Wrong {
        /// The number of messages that came out, and the sum of their hashes.
        found: (u64, u64),
        /// The same of what went in.
        expected: (u64, u64),
    },
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Stream(error.into())
    }
}
