//! One stream of typed, timestamped messages over any log broker.
pub use msgstream_core::*;
