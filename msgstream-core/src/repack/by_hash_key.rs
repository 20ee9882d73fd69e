//! Sends whole messages by their first hash key.

use super::{HashKeys, Repack, RepackError, Repacked, bucket};
use crate::message::{Message, MsgPack};
use crate::record::MsgType;

/// Sends each message, whole, to the channel of its first hash key: the key modulo the number of
/// channels. This is the default.
///
/// A message without a hash key is refused, even if there is only one channel: the program would stop
/// working as soon as there is a second one. Time ticks are refused, because they belong to every
/// channel.
///
/// ```
/// use msgstream_core::repack::{ByHashKey, HashKeys, Repack};
/// use msgstream_core::MsgPack;
/// # use msgstream_core::message::{Event, Json};
/// # use msgstream_core::{MsgType, Timestamp};
/// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
/// # struct Order { customer: u32, at: Timestamp }
/// # impl Event for Order {
/// #     const TYPE: MsgType = MsgType(70_001);
/// #     type Codec = Json;
/// #     fn timestamp(&self) -> Timestamp { self.at }
/// #     fn hash_key(&self) -> u32 { self.customer }
/// # }
/// let orders = [3, 6, 7].map(|customer| Order { customer, at: Timestamp(1) });
/// let messages = MsgPack::of(Vec::from(orders))?.msgs;
/// let keys = HashKeys::of_messages(&messages);
/// let packs = ByHashKey.repack(messages, &keys, 2)?;
/// assert_eq!((packs[&0].msgs.len(), packs[&1].msgs.len()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ByHashKey;

impl Repack for ByHashKey {
    fn repack(
        &self,
        msgs: Vec<Message>,
        keys: &HashKeys,
        channels: usize,
    ) -> Result<Repacked, RepackError> {
        let mut counts = vec![0; channels];
        let mut buckets = Vec::with_capacity(msgs.len());
        for (index, (msg, keys)) in msgs.iter().zip(keys.iter()).enumerate() {
            let msg_type = msg.msg_type();
            if msg_type == MsgType::TIME_TICK {
                return Err(RepackError::Tick { index });
            }
            let key = keys.first().ok_or(RepackError::NoHashKey { index, msg_type })?;
            let bucket = bucket(*key, channels)?;
            counts[bucket] += 1;
            buckets.push(bucket);
        }
        let mut packs: Vec<Vec<Message>> = counts.into_iter().map(Vec::with_capacity).collect();
        for (msg, bucket) in msgs.into_iter().zip(buckets) {
            packs[bucket].push(msg);
        }
        let filled = packs.into_iter().enumerate().filter(|(_, msgs)| !msgs.is_empty());
        Ok(filled.map(|(channel, msgs)| (channel, MsgPack::new(msgs))).collect())
    }
}
