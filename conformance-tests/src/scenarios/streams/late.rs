//! Messages that come after a tick that promised that they wouldn't.

use msgstream_core::transport::Transport;
use msgstream_core::{ConsumerConfig, Error, LatePolicy, Message, MsgPack, Timestamp};

use super::stage::Entry::{Msg, Tick};
use super::stage::{Stage, delivering, expected, take, times};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::late":
    late_is_an_error_until_the_policy_changes,
    late_messages_are_delivered_flagged,
    late_messages_are_dropped_and_counted,
];

// The message at 3 comes after the tick 5. A second channel is in time.
async fn stage(harness: &dyn Harness) -> Result<Stage, Failure> {
    Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Msg(7), Msg(3), Tick(10), Msg(12), Tick(15)], &[Msg(6), Tick(15)]],
    )
    .await
}

fn late(pack: &MsgPack) -> Vec<u64> {
    pack.msgs.iter().filter(|m| m.is_late()).map(|m| m.end_ts().0).collect()
}

/// Checks that by default the stream stops before the pack with a late message and names it, at
/// each call until another policy is set; then it continues with nothing lost.
pub async fn late_is_an_error_until_the_policy_changes(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 1).await?;
    let positions =
        stage.write(0, &[Msg(1), Tick(5), Msg(7), Msg(3), Tick(10), Msg(12), Tick(15)]).await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let first = take(&mut stream, 1).await?;
    ensure_eq!(times(&first), expected([(5, &[1])]), "the pack before the late message");
    for _ in 0..3 {
        match stream.consume().await {
            Err(Error::Late { channel, position, ts, watermark }) => {
                let wanted = (stage.channels[0].clone(), positions[3], Timestamp(3), Timestamp(5));
                ensure_eq!((channel, position, ts, watermark), wanted, "the late message");
            }
            Err(error) => return Err(error.into()),
            Ok(pack) => return Err(Failure::new(format!("no error, but {pack:?}"))),
        }
    }
    stream.set_late_policy(LatePolicy::Deliver)?;
    let rest = take(&mut stream, 2).await?;
    ensure_eq!(times(&rest), expected([(10, &[3, 7]), (15, &[12])]), "the packs after that");
    ensure_eq!(late(&rest[0]), [3], "what is flagged");
    Ok(())
}

/// Checks that a late message is in the first pack after the tick that it was late for.
pub async fn late_messages_are_delivered_flagged(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let mut stream = stage(harness).await?.consumer(delivering()).await?;
    let packs = take(&mut stream, 3).await?;
    // It counts just after that tick, at 6, like the message of the second channel.
    let wanted: [(u64, &[u64]); _] = [(5, &[1]), (10, &[3, 6, 7]), (15, &[12])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    ensure_eq!(packs.iter().flat_map(late).collect::<Vec<_>>(), [3], "what is flagged");
    ensure_eq!(stream.status().merge.counts.late, 1, "what is counted");
    Ok(())
}

/// Checks that a late message is left out and counted.
pub async fn late_messages_are_dropped_and_counted(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let config = ConsumerConfig::default().with_late_policy(LatePolicy::Drop);
    let mut stream = stage(harness).await?.consumer(config).await?;
    let packs = take(&mut stream, 3).await?;
    let wanted: [(u64, &[u64]); _] = [(5, &[1]), (10, &[6, 7]), (15, &[12])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    ensure!(!packs.iter().flat_map(|p| &p.msgs).any(Message::is_late), "one is flagged");
    let counts = stream.status().merge.counts;
    ensure_eq!((counts.late, counts.dropped_late), (1, 1), "what is counted");
    Ok(())
}
