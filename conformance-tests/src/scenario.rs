//! Scenarios as values: a name, what it needs, and the function.

use std::fmt;

use futures::future::BoxFuture;
use msgstream_core::transport::{Capabilities, Capability, Transport};

use crate::harness::Harness;
use crate::{Verdict, scenarios};

type Run = for<'a> fn(&'a dyn Transport, &'a dyn Harness) -> BoxFuture<'a, Verdict>;

/// One thing that a transport owes its caller, with the function that checks it.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) run: Run,
}

/// What a scenario needs before it can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// This capability.
    Can(Capability),
    /// That this capability is false: the scenario checks that it is refused.
    Cannot(Capability),
    /// A limit to the payload.
    PayloadLimit,
    /// The hooks into the broker.
    Broker,
    /// A client of the broker that isn't this library.
    PlainClient,
}

impl Need {
    /// Returns whether it is there.
    #[must_use]
    pub fn is_met(self, can: &Capabilities, harness: &dyn Harness) -> bool {
        match self {
            Self::Can(capability) => can.has(capability),
            Self::Cannot(capability) => !can.has(capability),
            Self::PayloadLimit => can.max_payload.is_some(),
            Self::Broker => harness.broker().is_some(),
            Self::PlainClient => harness.plain_client().is_some(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Can(capability) => f.write_str(capability.name()),
            Self::Cannot(capability) => write!(f, "no {capability}"),
            Self::PayloadLimit => f.write_str("max_payload"),
            Self::Broker => f.write_str("broker hooks"),
            Self::PlainClient => f.write_str("a plain client"),
        }
    }
}

impl Scenario {
    /// Returns every scenario, in the order in which they are listed.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        scenarios::ALL.iter().copied().flatten()
    }

    /// Returns its name: the module in [`scenarios`] and the function.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what it needs.
    #[must_use]
    pub const fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// Returns what it needs and doesn't find.
    pub fn unmet(&self, can: Capabilities, harness: &dyn Harness) -> impl Iterator<Item = Need> {
        self.needs.iter().copied().filter(move |need| !need.is_met(&can, harness))
    }

    /// Whether it checks a refusal.
    pub(crate) fn is_refusal(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::Cannot(_)))
    }

    /// Checks a transport. There is no deadline: see [`check`](crate::check) for one.
    ///
    /// # Errors
    /// What the transport broke.
    ///
    /// # Cancel safety
    /// Cancelling ends the check; what it made on the broker stays there.
    pub async fn run(&self, transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
        (self.run)(transport, harness).await
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).field("needs", &self.needs).finish()
    }
}

/// The scenarios of a module: function names, each with what it needs.
macro_rules! list {
    ($module:literal: $($name:ident $([$($need:expr),+])?,)+) => {
        &[$($crate::scenario::Scenario {
            name: concat!($module, "::", stringify!($name)),
            needs: &[$($($need),+)?],
            run: |transport, harness| Box::pin($name(transport, harness)),
        }),+]
    };
}
pub(crate) use list;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = Scenario::all().map(Scenario::name).collect();
        assert_eq!(names.len(), Scenario::all().count());
    }

    #[test]
    fn every_capability_that_is_asked_for_by_a_call_has_a_refusal() {
        // These are promises; no call asks for them. Without `keys`, a key is a header like any other.
        let promises = [Capability::AckKeeps, Capability::Keys, Capability::Persistent];
        for capability in Capability::ALL.iter().filter(|c| !promises.contains(c)) {
            let refused = |s: &Scenario| s.needs().contains(&Need::Cannot(*capability));
            assert!(Scenario::all().any(refused), "{capability}");
        }
    }
}
