//! The state of a node: what the channel's packs lead to, the same on every node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use msgstream::message::{Event, Json};
use msgstream::transport::Transport;
use msgstream::{Consumer, MsgType, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::Result;

/// An entry of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Set {
    pub(crate) at: Timestamp,
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Event for Set {
    const TYPE: MsgType = MsgType(70_005);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        // There is one channel: the order of all entries is that of the log.
        0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) keys: BTreeMap<String, String>,
    /// Everything up to here is in `keys`.
    pub(crate) applied: Timestamp,
    /// When the last tick of a leader was seen.
    pub(crate) heard: Instant,
}

/// Follows the channel from its beginning, for ever.
pub(crate) async fn follow(
    broker: Arc<dyn Transport>,
    channel: &str,
    replica: &watch::Sender<Replica>,
) -> Result<()> {
    let mut packs = Consumer::builder(broker).channels([channel]).open().await?;
    while let Some(pack) = packs.next_pack().await? {
        let sets = pack.decode::<Set>().collect::<Result<Vec<_>, _>>()?;
        replica.send_modify(|replica| {
            replica.keys.extend(sets.into_iter().map(|set| (set.value.key, set.value.value)));
            (replica.applied, replica.heard) = (pack.end_ts, Instant::now());
        });
    }
    Ok(())
}

/// Returns a node's state before it has read anything.
pub(crate) fn empty() -> watch::Sender<Replica> {
    let (keys, applied) = (BTreeMap::new(), Timestamp::MIN);
    watch::Sender::new(Replica { keys, applied, heard: Instant::now() })
}
