#![doc = include_str!("../README.md")]

mod broker;
mod builder;
mod faults;
mod log;
mod reader;
mod rng;
mod trace;
mod transport;
pub mod world;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::record::{Position, Record};

use self::broker::{Broker, Channel, Handle};
pub use self::builder::SimBuilder;
pub use self::faults::Fault;
use self::faults::{Dice, Rates};
pub use self::rng::Rng;
use self::trace::Trace;
pub use self::transport::SimTransport;

/// A simulated broker. A clone is the same broker. See the [crate documentation](crate).
#[derive(Clone)]
pub struct Sim {
    broker: Arc<Broker>,
}

impl Sim {
    /// Returns the rules of a broker in which this seed decides.
    pub fn seed(seed: u64) -> SimBuilder {
        SimBuilder::new(seed)
    }

    /// Returns a new handle on the broker.
    #[must_use]
    pub fn transport(&self) -> SimTransport {
        SimTransport { handle: Handle::new(self.broker.clone()) }
    }

    /// Returns the virtual time since the broker was built.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.broker.lock().dice.now
    }

    /// Ends all faults: from now on nothing goes wrong, but records that are still to be stored
    /// late will be.
    pub fn heal(&self) {
        let mut state = self.broker.lock();
        state.dice.note(format_args!("heal"));
        state.dice.heal();
        state.channels.values_mut().for_each(Channel::heal);
        state.wake_all();
    }

    /// Drops the records before a position, as retention does. Nothing on a channel that isn't
    /// there.
    pub fn trim(&self, channel: &str, before: Position) {
        let mut state = self.broker.lock();
        state.dice.note(format_args!("trim {channel} before {before}"));
        if let Some(channel) = state.channels.get_mut(channel) {
            channel.log.trim(before);
        }
    }

    /// Deletes a channel and makes it again, with the same properties. Nothing on a channel that
    /// isn't there.
    pub fn recreate(&self, channel: &str) {
        let mut state = self.broker.lock();
        let properties = state.channels.get(channel).map(|old| old.properties.clone());
        if let Some(properties) = properties {
            state.delete(channel);
            state.create(channel, properties);
        }
    }

    /// Cuts a channel off for a while: nobody reaches it, and its writers fail.
    pub fn disconnect(&self, channel: &str, time: Duration) {
        let mut state = self.broker.lock();
        state.dice.count(Fault::Disconnect);
        let until = state.dice.now + time;
        if let Some(channel) = state.channels.get_mut(channel) {
            channel.cut_off(until);
        }
    }

    /// Returns the records that a channel holds, and those that it held before they were trimmed;
    /// none if there is no such channel.
    #[must_use]
    pub fn records(&self, channel: &str) -> Vec<Record> {
        let state = self.broker.lock();
        state.channels.get(channel).map_or_else(Vec::new, |c| c.log.records().cloned().collect())
    }

    /// Looks at the records of a channel, but for so many.
    fn for_each_from(&self, channel: &str, skip: usize, see: impl FnMut(&Record)) {
        let state = self.broker.lock();
        if let Some(channel) = state.channels.get(channel) {
            channel.log.records().skip(skip).for_each(see);
        }
    }

    /// Returns how far a subscription was acknowledged; `None` if it never was.
    #[must_use]
    pub fn cursor(&self, channel: &str, subscription: &str) -> Option<Position> {
        let state = self.broker.lock();
        state.channels.get(channel)?.cursors.get(subscription).copied().flatten()
    }

    /// Returns a copy of the broker as it is now, in which nothing goes wrong, takes time or was
    /// trimmed: to look again at what happened.
    #[must_use]
    pub fn fork(&self) -> Self {
        let dice = Dice::new(Rates::default(), Rng::new(0), Trace::new(false));
        let state = self.broker.lock().fork(dice);
        let Broker { clock, max_payload, .. } = *self.broker;
        Self { broker: Arc::new(Broker::new(state, clock, max_payload)) }
    }

    /// Returns how often each fault happened.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<Fault, u64> {
        self.broker.lock().dice.counts.clone()
    }

    /// Adds an event of the program under test to the hash, with the virtual time.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # let _on = runtime.enter();
    /// # use msgstream_sim::Sim;
    /// let sim = Sim::seed(1).build();
    /// let before = sim.hash();
    /// sim.note(format_args!("payment {} done", 7));
    /// assert_ne!(sim.hash(), before);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn note(&self, event: fmt::Arguments<'_>) {
        self.broker.lock().dice.note(event);
    }

    /// Returns a hash of all events so far: writes, reads, faults, what was [noted](Self::note),
    /// each with its virtual time. The same seed leads to the same hash in every process.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.broker.lock().dice.trace.hash()
    }

    /// Returns how many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.broker.lock().dice.trace.events()
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.broker.lock();
        f.debug_struct("Sim")
            .field("now", &state.dice.now)
            .field("channels", &state.channels.keys())
            .field("faults", &state.dice.counts)
            .finish_non_exhaustive()
    }
}
