//! What became of a pack that isn't stored as a whole.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::record::Position;
use crate::transport::{Fate, Outcome, TransportError, TransportErrorKind, Unstored};

/// What became of the records of one channel. See [`ProduceError`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ChannelOutcome {
    /// The channel.
    pub channel: Arc<str>,
    /// The positions of the records that are stored: the first ones, in the order of the pack.
    pub stored: Vec<Position>,
    /// What became of the others; `None` if all are stored.
    pub rest: Option<Rest>,
}

/// The records of one channel that are not known to be stored: those after the stored ones. See
/// [`ProduceError`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Rest {
    /// The number of these records.
    pub records: usize,
    /// What is known of them.
    pub fate: Fate,
    /// Why they are not known to be stored.
    pub error: TransportError,
}

impl ChannelOutcome {
    pub(crate) fn new(channel: Arc<str>, submitted: usize, outcome: Outcome) -> Self {
        let missing = submitted.saturating_sub(outcome.stored.len());
        let rest = match outcome.rest {
            Some(Unstored { fate, error }) => Some(Rest { records: missing, fate, error }),
            None if missing == 0 => None,
            // An adapter that returned too few positions must not make records look stored.
            None => {
                let reason = format!("{missing} of {submitted} records have no position");
                let error = TransportError::new("submit", TransportErrorKind::Protocol { reason })
                    .on(&*channel);
                Some(Rest { records: missing, fate: Fate::Unknown, error })
            }
        };
        Self { channel, stored: outcome.stored, rest }
    }
}

/// Not every record of a pack is stored: what became of them, for each channel.
///
/// Send again what is not stored. Records with an unknown fate may be stored: sending them again may
/// repeat them, leaving them out may lose them. The writers of the failed channels take nothing more,
/// so open the producer again. A producer with a session sends again by itself, and never repeats.
///
/// ```
/// use msgstream_core::{Error, Producer};
/// # use std::sync::Arc;
/// # use msgstream_core::message::{InsertMsg, proto::InsertRequest};
/// # use msgstream_core::transport::{Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::Result<()> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # broker.create("orders").await?;
/// # let request = InsertRequest { timestamps: vec![7], row_ids: vec![1], ..Default::default() };
/// # let insert = InsertMsg::new(request).with_hash_keys([1]);
/// let mut producer = Producer::builder(broker.clone()).channels(["orders"]).open().await?;
/// broker.delete("orders").await?;
/// match producer.send(insert).await {
///     Err(Error::Produce(error)) => {
///         let (channel, rest) = error.failed().next().unwrap();
///         assert_eq!((&*channel.channel, rest.records), ("orders", 1));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProduceError {
    /// The outcome of each channel that got messages, in the order of the channels' indexes. At least
    /// one of them has a rest.
    pub channels: Arc<[ChannelOutcome]>,
}

impl ProduceError {
    /// Returns the channels that failed, and what became of their records.
    ///
    /// ```
    /// use msgstream_core::error::ProduceError;
    /// /// Returns a line for each channel that failed.
    /// fn report(error: &ProduceError) -> Vec<String> {
    ///     let lines = error.failed().map(|(channel, rest)| {
    ///         format!("{} records of {}: {}", rest.records, channel.channel, rest.error)
    ///     });
    ///     lines.collect()
    /// }
    /// ```
    pub fn failed(&self) -> impl Iterator<Item = (&ChannelOutcome, &Rest)> {
        self.channels.iter().filter_map(|c| c.rest.as_ref().map(|rest| (c, rest)))
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} channels failed (", self.failed().count(), self.channels.len())?;
        for (n, (outcome, rest)) in self.failed().enumerate() {
            let and = if n == 0 { "" } else { "; " };
            let fate = match rest.fate {
                Fate::NotStored => "are not stored",
                Fate::Unknown => "may be stored",
            };
            let (channel, stored, records) = (&outcome.channel, outcome.stored.len(), rest.records);
            write!(f, "{and}`{channel}`: {stored} records are stored, {records} {fate}")?;
        }
        f.write_str(
            "): open the producer again and send what isn't stored, or use a session, which does so by itself",
        )
    }
}

/// The source is the first failed channel's error.
impl StdError for ProduceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.failed().next().map(|(_, rest)| &rest.error as &(dyn StdError + 'static))
    }
}
