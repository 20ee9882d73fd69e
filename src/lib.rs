//! One stream of typed, timestamped messages over any log broker: many channels are written by
//! hash key, and read back as packs that are aligned in event time, the
//! same packs on every run.
//!
//! The broker is chosen by cargo feature and URL, and a program has no line that names it:
//!
//! ```
//! use std::collections::BTreeMap;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !cfg!(feature = "mem") { return Ok(()); }
//! let transport = msgstream::connect("mem://").await?;
//! transport.create("orders").await?;
//! assert_eq!(transport.list("").await?, ["orders"]);
//! # Ok(())
//! # }
//! ```
//!
//! | feature | URL | transport |
//! | --- | --- | --- |
//! | `mem` (default) | `mem://[NAME]` | in the process |
//! | `nats` | `nats://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | NATS JetStream |
//! | `nats-tls` | `tls://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | the same, encrypted |
//! | `kafka` | `kafka://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | Kafka |
//! | `kafka-ssl`, `kafka-dynamic` | | TLS and SCRAM, the system's librdkafka |
//! | `pulsar` | `pulsar[+ssl]://HOST[:PORT][,HOST[:PORT]…][/TENANT/NAMESPACE]` | Pulsar |
//! | `full` | | all that builds with gcc, make and protoc: the others but `kafka-ssl` and `kafka-dynamic` |

use std::sync::Arc;

pub use msgstream_core::*;
#[cfg(feature = "kafka")]
pub use msgstream_kafka as kafka;
#[cfg(feature = "mem")]
pub use msgstream_mem as mem;
#[cfg(feature = "nats")]
pub use msgstream_nats as nats;
#[cfg(feature = "pulsar")]
pub use msgstream_pulsar as pulsar;

use crate::registry::{ConnectError, Registry};
use crate::transport::Transport;

/// The transports that are compiled in. One more is a feature in `Cargo.toml` and a line here.
const COMPILED_IN: &[fn(&mut Registry)] = &[
    #[cfg(feature = "mem")]
    msgstream_mem::register,
    #[cfg(feature = "nats")]
    msgstream_nats::register,
    #[cfg(feature = "kafka")]
    msgstream_kafka::register,
    #[cfg(feature = "pulsar")]
    msgstream_pulsar::register,
];

/// The registry of the transports that are compiled in, to which a program may add its own.
///
/// ```
/// let registry = msgstream::registry();
/// for line in registry.help() {
///     println!("{line}");
/// }
/// ```
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    for register in COMPILED_IN {
        register(&mut registry);
    }
    registry
}

/// The URL schemes that are compiled in, sorted.
///
/// ```
/// # #[cfg(feature = "mem")]
/// assert!(msgstream::schemes().contains(&"mem"));
/// ```
#[must_use]
pub fn schemes() -> Vec<&'static str> {
    registry().schemes().collect()
}

/// Connects to what the URL names.
///
/// # Errors
/// [`ConnectError`]: no URL, a scheme that isn't compiled in, a wrong address or option, or a
/// broker that can't be reached. Its text never shows the URL's user, password or option values.
///
/// # Cancel safety
/// Nothing stays open after a cancelled call.
pub async fn connect(url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    registry().connect(url).await
}

/// The README's program, as a test.
#[cfg(all(doctest, feature = "mem"))]
#[doc = include_str!("../README.md")]
struct Readme;
