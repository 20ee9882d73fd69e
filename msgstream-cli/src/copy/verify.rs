//! Whether the packs of the copy are those of the source.

mod fields;
mod packs;
mod rest;

use std::fmt;
use std::sync::Arc;

use msgstream::Timestamp;
use msgstream::transport::Transport;
use serde::Serialize;

use self::packs::compare_packs;
use self::rest::compare_rest;
use super::error::CopyError;
use super::place::Place;
use crate::error::Result;
use crate::words::plural;

/// How many differences are reported one by one.
const TOLD: usize = 10;

/// What was found to be equal.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Verified {
    packs: u64,
    messages: u64,
    /// Messages that have no pack yet.
    without_pack: u64,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [packs, messages] = [plural(self.packs, "pack"), plural(self.messages, "message")];
        write!(f, "verified: the source and the copy are equal in {packs} with {messages}")?;
        match self.without_pack {
            0 => Ok(()),
            rest => write!(f, ", and in {} without a pack yet", plural(rest, "message")),
        }
    }
}

/// The differences that were found.
#[derive(Debug, Default)]
struct Differences {
    count: u64,
    first: Vec<String>,
}

impl Differences {
    fn add(&mut self, difference: String) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(difference);
        }
    }
}

/// Reads both sides again, up to the places where the copy ended, and compares them: as packs up to
/// the last tick that all channels have passed, and message by message what has no pack yet.
pub(super) async fn verify(
    source: &Arc<dyn Transport>,
    destination: &Arc<dyn Transport>,
    ends: &[Place],
    skip_unreadable: bool,
) -> Result<Verified> {
    let mut differences = Differences::default();
    let compared =
        compare_packs(source, destination, ends, skip_unreadable, &mut differences).await?;
    let all = ends.iter().all(|end| end.state.ended);
    let mut rest = 0;
    for end in ends {
        let in_packs = compared.messages.get(&end.channel).copied().unwrap_or_default();
        // How many messages a channel has that had ended before this run isn't known.
        if end.messages > in_packs || (end.state.ended && !all) {
            let messages =
                compare_rest(source, destination, end, skip_unreadable, &mut differences).await?;
            rest += messages.saturating_sub(in_packs);
        }
    }
    let Differences { count, first } = differences;
    if count > 0 {
        return Err(CopyError::Differs { count, first }.into());
    }
    let messages = compared.messages.values().sum();
    Ok(Verified { packs: compared.packs, messages, without_pack: rest })
}

/// Returns the greatest end of a pack that needs nothing behind the places; `None` if there is no
/// such pack.
fn last_end(ends: &[Place]) -> Option<Timestamp> {
    let open = ends.iter().filter(|end| !end.state.ended);
    // The least of the watermarks, if all have one; any end if all channels have ended.
    open.map(|end| end.state.watermark).min().unwrap_or(Some(Timestamp::MAX))
}
