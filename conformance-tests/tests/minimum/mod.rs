//! What each backend must be able to do at the least: a capability that gets lost fails its run.

use msgstream_core::transport::Capabilities;

/// In memory: everything but outliving the process.
pub(crate) fn mem() -> Capabilities {
    Capabilities::all().without("persistent")
}
