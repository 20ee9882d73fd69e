//! Asking a writer what it would take.

use msgstream_core::transport::{Start, Transport};

use crate::kit::{all, append, channel, is_too_large, numbers, oversized, read_from, record};
use crate::scenario::Need::PayloadLimit;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["check":
    takes_what_can_be_written_and_writes_nothing,
    refuses_an_oversized_payload_and_leaves_the_writer [PayloadLimit],
];

/// Checks that `check` of a batch that can be written returns `Ok`, and stores nothing.
pub async fn takes_what_can_be_written_and_writes_nothing(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let batch: Vec<_> = (0..3).map(record).collect();
    writer.check(&[])?;
    writer.check(&batch)?;
    append(&mut *writer, 3..5).await?;
    writer.check(&batch)?;
    writer.close().await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(3..5), "the records");
    Ok(())
}

/// Checks that `check` refuses a payload over the limit wherever it is in the batch, and names its
/// size and the limit; the writer still takes other batches.
pub async fn refuses_an_oversized_payload_and_leaves_the_writer(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let oversized = oversized(transport)?;
    let mut writer = transport.writer(&channel).await?;
    for place in 0..3 {
        let mut batch: Vec<_> = (0..2).map(record).collect();
        batch.insert(place, oversized.clone());
        match writer.check(&batch) {
            Ok(()) => return Err(Failure::new("an oversized payload passes the check")),
            Err(error) => is_too_large(error.kind(), &oversized)?,
        }
        append(&mut *writer, [place as u64]).await?;
    }
    writer.close().await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..3), "the records");
    Ok(())
}
