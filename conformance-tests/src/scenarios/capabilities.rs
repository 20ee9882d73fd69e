//! What the transport says that it can do.

use msgstream_core::transport::Transport;

use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["capabilities": none_is_lost,];

/// Checks that every capability of the harness's minimum is there, and that payloads may be as
/// large as it says.
pub async fn none_is_lost(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let (can, minimum) = (transport.capabilities(), harness.minimum());
    for ((name, has), (_, needed)) in can.iter().zip(minimum.iter()) {
        ensure!(has || !needed, "the capability `{name}` is in the minimum, and false");
    }
    // No limit is the greatest of limits.
    let (limit, least) = [can, minimum].map(|c| c.max_payload.unwrap_or(usize::MAX)).into();
    ensure!(limit >= least, "the limit to a payload is {limit} bytes, the minimum {least}");
    let again = harness.open().await?.capabilities();
    ensure_eq!(again, can, "the capabilities of another handle");
    Ok(())
}
