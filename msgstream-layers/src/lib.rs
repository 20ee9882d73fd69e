#![doc = include_str!("../README.md")]

mod chunks;
mod encrypt;
mod faults;
#[doc(hidden)]
pub mod planted;
mod timeout;

use std::time::Duration;

use msgstream_core::registry::Registry;

pub use self::chunks::{ChunkCounts, Chunks, ChunksScheme};
pub use self::encrypt::{Encrypted, InvalidKeyId, Key, KeyRing, Keys};
pub use self::faults::{FaultCounts, Faults};
pub use self::timeout::Timeout;

/// Adds the layers that URLs can have to a registry: [`ChunksScheme`].
pub fn register(registry: &mut Registry) {
    registry.register_layer(ChunksScheme);
}

/// As good as for ever, and no instant overflows by it: 30 years.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The examples of the documentation run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/layers.md")]
struct Documentation;
