#![doc = include_str!("../README.md")]

mod encrypt;
mod faults;
mod timeout;

use std::time::Duration;

pub use self::encrypt::{Encrypted, InvalidKeyId, Key, KeyRing, Keys};
pub use self::faults::{FaultCounts, Faults};
pub use self::timeout::Timeout;

/// As good as for ever, and no instant overflows by it: 30 years.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The examples of the documentation run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/layers.md")]
struct Documentation;
