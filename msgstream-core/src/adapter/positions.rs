//! Encodes positions as the bytes that other programs store.
//!
//! The bytes are for exchange only. Don't compare them: the order is that of the numbers in a
//! [`Position`].

use prost::Message as _;

use crate::message::DecodeError;
use crate::record::Position;

/// Encodes an offset or a sequence in 8 bytes, little-endian.
///
/// ```
/// use msgstream_core::{record::Position, adapter::positions};
/// let bytes = positions::offset_to_bytes(Position::new(258));
/// assert_eq!(bytes, [2, 1, 0, 0, 0, 0, 0, 0]);
/// assert_eq!(positions::offset_from_bytes(&bytes)?, Position::new(258));
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
#[must_use]
pub const fn offset_to_bytes(position: Position) -> [u8; 8] {
    position.offset().to_le_bytes()
}

/// Decodes an offset or a sequence from its bytes.
///
/// ```
/// use msgstream_core::{adapter::positions::offset_from_bytes, record::Position};
/// assert_eq!(offset_from_bytes(&[2, 1, 0, 0, 0, 0, 0, 0])?, Position::new(258));
/// assert!(offset_from_bytes(&[2, 1]).is_err());
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
///
/// # Errors
/// Fails with [`DecodeError::Corrupt`] for anything but 8 bytes, and with
/// [`DecodeError::Inconsistent`] for an offset past `i64::MAX`: brokers count in `i64`, and use
/// negative numbers for other things.
pub fn offset_from_bytes(bytes: &[u8]) -> Result<Position, DecodeError> {
    let offset = u64::from_le_bytes(bytes.try_into().map_err(DecodeError::corrupt)?);
    if offset > i64::MAX as u64 {
        let reason = format!("the offset {} is negative", offset as i64);
        return Err(DecodeError::Inconsistent { reason });
    }
    Ok(Position::new(offset))
}

/// The id of a message on a broker that keeps channels in ledgers of entries. An entry is a message
/// or a batch.
///
/// [Positions](Self::position) are ordered by ledger, entry and batch index.
///
/// ```
/// use msgstream_core::adapter::positions::EntryId;
/// let alone = EntryId { ledger: 12, entry: 34, partition: 0, batch_index: -1 };
/// assert_eq!(EntryId::from_bytes(&alone.to_bytes())?, alone);
/// assert_eq!(EntryId::from_position(alone.position(), 0)?, alone);
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId {
    /// The ledger.
    pub ledger: u64,
    /// The entry in the ledger.
    pub entry: u64,
    /// The partition, -1 if the channel has none.
    pub partition: i32,
    /// The message's index in the batch, -1 if the entry is one message.
    pub batch_index: i32,
}

impl EntryId {
    /// The id before every message, which no message has.
    pub const EARLIEST: Self =
        Self { ledger: u64::MAX, entry: u64::MAX, partition: -1, batch_index: -1 };

    /// Encodes the id as the broker's own clients store it.
    ///
    /// ```
    /// use msgstream_core::adapter::positions::EntryId;
    /// let bytes = EntryId { ledger: 1, entry: 2, partition: -1, batch_index: 3 }.to_bytes();
    /// assert_eq!(bytes[..4], [8, 1, 16, 2]);
    /// ```
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { ledger, entry, partition, batch_index } = self;
        let id = MessageIdData {
            ledger: Some(ledger),
            entry: Some(entry),
            partition: Some(partition),
            batch_index: Some(batch_index),
            batch_size: Some(0),
        };
        id.encode_to_vec()
    }

    /// Decodes an id from its bytes.
    ///
    /// ```
    /// use msgstream_core::adapter::positions::EntryId;
    /// let id = EntryId::from_bytes(&[8, 1, 16, 2])?;
    /// assert_eq!((id.ledger, id.entry, id.batch_index), (1, 2, -1));
    /// # Ok::<(), msgstream_core::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`DecodeError::Corrupt`] if the bytes aren't an id, and with
    /// [`DecodeError::Inconsistent`] if the id has no ledger or no entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let id = MessageIdData::decode(bytes).map_err(DecodeError::corrupt)?;
        let (Some(ledger), Some(entry)) = (id.ledger, id.entry) else {
            let reason = "the id has no ledger or no entry".to_owned();
            return Err(DecodeError::Inconsistent { reason });
        };
        let (partition, batch_index) = (id.partition.unwrap_or(-1), id.batch_index.unwrap_or(-1));
        Ok(Self { ledger, entry, partition, batch_index })
    }

    /// Returns the position. An entry that is one message stands where the first message of a batch
    /// would.
    ///
    /// ```
    /// use msgstream_core::adapter::positions::EntryId;
    /// let [alone, second] = [-1, 1].map(|batch_index| {
    ///     EntryId { ledger: 1, entry: 2, partition: -1, batch_index }.position()
    /// });
    /// assert!(alone < second);
    /// ```
    #[must_use]
    pub const fn position(self) -> Position {
        // The least batch index is -1; anything below counts as that.
        let batch_index = if self.batch_index < 0 { 0 } else { self.batch_index as u64 + 1 };
        Position::from_words([self.ledger, self.entry, batch_index])
    }

    /// Returns the id of a position in a partition.
    ///
    /// ```
    /// use msgstream_core::adapter::positions::EntryId;
    /// use msgstream_core::record::Position;
    /// let id = EntryId::from_position(Position::from_words([1, 2, 0]), -1)?;
    /// assert_eq!((id.ledger, id.entry, id.batch_index), (1, 2, -1));
    /// # Ok::<(), msgstream_core::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`DecodeError::Inconsistent`] if no such broker has the position.
    pub fn from_position(position: Position, partition: i32) -> Result<Self, DecodeError> {
        let [ledger, entry, third] = position.words();
        let batch_index = i64::try_from(third).ok().and_then(|i| i32::try_from(i - 1).ok());
        let batch_index = batch_index.ok_or_else(|| DecodeError::Inconsistent {
            reason: format!("no batch has so many messages that one is at index {third}"),
        })?;
        Ok(Self { ledger, entry, partition, batch_index })
    }
}

// Optional fields are written even if they say nothing, because the broker's clients do so.
#[derive(Clone, PartialEq, prost::Message)]
struct MessageIdData {
    // These two are required, which decoding doesn't check.
    #[prost(uint64, optional, tag = "1")]
    ledger: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    entry: Option<u64>,
    #[prost(int32, optional, tag = "3")]
    partition: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    batch_index: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    batch_size: Option<i32>,
}

#[cfg(test)]
mod tests;
