//! Splits the messages of a pack over channels.
//!
//! A producer asks its [`Repack`] which message goes to which channel. The default, [`ByHashKey`],
//! decides by the first hash key of each message. [`InsertByRow`] and [`DeleteByKey`] split inserts
//! and deletes row by row. Any closure with the same signature is a [`Repack`] too.

mod by_hash_key;
mod by_row;
mod error;
mod hash_keys;

use std::collections::BTreeMap;

pub use self::by_hash_key::ByHashKey;
pub use self::by_row::{DeleteByKey, InsertByRow};
pub use self::error::RepackError;
pub use self::hash_keys::HashKeys;
use crate::message::{Message, MsgPack};

/// What a repack returns: a pack for each channel that gets messages, by the channel's index in the
/// producer's list of channels.
///
/// ```
/// use msgstream_core::MsgPack;
/// use msgstream_core::repack::Repacked;
/// let all_to_the_first: Repacked = [(0, MsgPack::default())].into();
/// assert_eq!(all_to_the_first.len(), 1);
/// ```
pub type Repacked = BTreeMap<usize, MsgPack>;

/// Decides which message of a pack goes to which channel.
///
/// Each channel gets the messages of its pack in the order in which they are in that pack.
///
/// Closures implement it. This one sends each message to the channel of its type:
///
/// ```
/// use msgstream_core::message::{Message, MsgPack};
/// use msgstream_core::record::MsgType;
/// use msgstream_core::repack::{HashKeys, Repack, RepackError, Repacked};
///
/// let by_type = |msgs: Vec<Message>, _keys: &HashKeys, _channels: usize| {
///     let (ticks, others): (Vec<_>, Vec<_>) =
///         msgs.into_iter().partition(|m| m.msg_type() == MsgType::TIME_TICK);
///     Ok::<Repacked, RepackError>([(0, MsgPack::new(ticks)), (1, MsgPack::new(others))].into())
/// };
/// assert_eq!(by_type.repack(Vec::new(), &HashKeys::default(), 2)?.len(), 2);
/// # Ok::<(), RepackError>(())
/// ```
pub trait Repack: Send + Sync {
    /// Splits messages over channels. `keys` are the messages' hash keys, `channels` is the number of
    /// channels.
    ///
    /// A message that isn't in the result isn't sent.
    ///
    /// ```
    /// use msgstream_core::message::{Message, TimeTickMsg};
    /// use msgstream_core::repack::{ByHashKey, HashKeys, Repack};
    /// use msgstream_core::Timestamp;
    /// let messages = vec![Message::from(TimeTickMsg::new(Timestamp(5)).with_hash_keys([7]))];
    /// let keys = HashKeys::of_messages(&messages);
    /// // A hash key can't place a time tick, so it is refused.
    /// assert!(ByHashKey.repack(messages, &keys, 2).is_err());
    /// ```
    ///
    /// # Errors
    /// Fails if a message can't be split. Nothing of the pack is sent then.
    fn repack(
        &self,
        msgs: Vec<Message>,
        keys: &HashKeys,
        channels: usize,
    ) -> Result<Repacked, RepackError>;
}

impl<F> Repack for F
where
    F: Fn(Vec<Message>, &HashKeys, usize) -> Result<Repacked, RepackError> + Send + Sync,
{
    fn repack(
        &self,
        msgs: Vec<Message>,
        keys: &HashKeys,
        channels: usize,
    ) -> Result<Repacked, RepackError> {
        self(msgs, keys, channels)
    }
}

/// Returns the index of the channel that a hash key belongs to: the key modulo the number of
/// channels.
///
/// ```
/// use msgstream_core::repack::bucket;
/// assert_eq!(bucket(7, 4)?, 3);
/// assert!(bucket(7, 0).is_err());
/// # Ok::<(), msgstream_core::repack::RepackError>(())
/// ```
///
/// # Errors
/// Fails with [`RepackError::NoSuchChannel`] if there are no channels.
pub fn bucket(key: u32, channels: usize) -> Result<usize, RepackError> {
    let bucket = (key as usize).checked_rem(channels);
    bucket.ok_or(RepackError::NoSuchChannel { channel: 0, channels })
}
