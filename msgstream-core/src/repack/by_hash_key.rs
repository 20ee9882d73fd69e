//! Whole messages by their first hash key.

use super::{HashKeys, Repack, RepackError, Repacked, bucket};
use crate::message::{Message, MsgPack};
use crate::record::MsgType;

/// Sends each message, whole, to the channel of its first hash key: key modulo the number of
/// channels. The default.
///
/// A message without a hash key is refused, also where there is one channel only: the program
/// would stop working when it gets a second one. Time ticks are refused, for they belong to every
/// channel.
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
