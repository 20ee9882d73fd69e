//! What the suite asks of whoever runs it.

use msgstream_core::transport::TransportExt as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use msgstream_core::transport::{Capabilities, Result, Transport};

use crate::plain::PlainClient;

/// Opens a transport, and knows what the suite can't guess about it.
///
/// Two methods have no default: how to open it, and the least that it must be able to do. See the
/// [crate documentation](crate) for a whole one.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// A new handle. Every handle is one to the same broker: what one writes another reads.
    ///
    /// # Errors
    /// As opening the transport has them; each makes its scenario fail.
    ///
    /// # Cancel safety
    /// Cancelled only when a scenario is past its deadline.
    async fn open(&self) -> Result<Arc<dyn Transport>>;

    /// What the transport must be able to do at the least. It is written down, so that a
    /// capability which got lost fails the run instead of quietly leaving scenarios out.
    fn minimum(&self) -> Capabilities;

    /// A name that no channel has had. It must stay valid with letters, digits and dashes
    /// added.
    fn channel_name(&self) -> String {
        unique_name()
    }

    /// Names that no channel can have, such as the empty one.
    fn invalid_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes a channel, by default with [`Transport::create_with`](msgstream_core::transport::Transport::create_with). A transport without that
    /// capability makes it here by other means.
    ///
    /// # Errors
    /// As creating has them; each makes its scenario fail.
    ///
    /// # Cancel safety
    /// Cancelled only when a scenario is past its deadline.
    async fn make_channel(&self, transport: &dyn Transport, channel: &str) -> Result<()> {
        transport.create(channel).await
    }

    /// The hooks into the broker, if it can be stopped and started. Without them the scenarios
    /// that need them are listed as ignored.
    fn broker(&self) -> Option<&dyn Broker> {
        None
    }

    /// A client of the broker that isn't this library. Without it the scenarios about what other
    /// programs write are listed as ignored.
    fn plain_client(&self) -> Option<&dyn PlainClient> {
        None
    }

    /// How long one scenario may take before it counts as hung; a minute by default.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Hooks into a running broker.
///
/// A restart concerns all who use the broker, so a scenario with these hooks runs alone.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Stops the broker in order, starts it, and returns once it answers.
    ///
    /// # Errors
    /// What kept it from stopping or starting.
    ///
    /// # Cancel safety
    /// None: the broker may be down after a cancelled call.
    async fn restart(&self) -> Result<(), BrokerError>;

    /// Kills the broker without warning, starts it, and returns once it answers.
    ///
    /// # Errors
    /// What kept it from dying or starting.
    ///
    /// # Cancel safety
    /// None: the broker may be down after a cancelled call.
    async fn kill(&self) -> Result<(), BrokerError>;
}

/// What kept a hook from doing its work.
pub type BrokerError = Box<dyn std::error::Error + Send + Sync>;

impl fmt::Debug for dyn Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("minimum", &self.minimum()).finish_non_exhaustive()
    }
}

/// Returns a name of lower-case letters, digits and dashes that no earlier call, in this process or
/// another, has returned.
///
/// ```
/// assert_ne!(msgstream_conformance::unique_name(), msgstream_conformance::unique_name());
/// ```
#[must_use]
pub fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("conformance-{nanos:x}-{}-{count}", std::process::id())
}
