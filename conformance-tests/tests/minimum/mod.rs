//! What each backend must be able to do at the least: a capability that gets lost fails its run.

#![allow(dead_code, reason = "each test uses one of these")]

use msgstream_core::transport::{Capabilities, Capability};

/// In memory: everything but outliving the process.
pub(crate) fn mem() -> Capabilities {
    Capabilities::all().without(Capability::Persistent)
}

/// Files: everything.
pub(crate) fn file() -> Capabilities {
    Capabilities::all()
}

/// NATS JetStream, with the streams in files, and what a server takes without being told more.
pub(crate) fn nats() -> Capabilities {
    Capabilities::all().with_max_payload(1 << 20)
}

/// Pulsar, with the greatest message that a broker takes without being told more, less what goes
/// with it.
pub(crate) fn pulsar() -> Capabilities {
    Capabilities::all()
        .without(Capability::AckKeeps)
        .without(Capability::Trim)
        .without(Capability::BinaryHeaders)
        .with_max_payload((5 << 20) - 512)
}

/// Kafka, with what its client sends without being told more.
pub(crate) fn kafka() -> Capabilities {
    Capabilities::all().with_max_payload(1_000_000)
}
