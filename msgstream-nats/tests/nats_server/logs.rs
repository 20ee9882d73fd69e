//! What is logged by the thread of a test.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing::subscriber::DefaultGuard;

/// Logs of any level, with all their fields, in their order.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<(Level, String)>>>);

impl Logs {
    /// Begins, until the guard is dropped.
    pub(crate) fn begin() -> (Self, DefaultGuard) {
        // While there is but one subscriber, a thread without one that comes to an event first switches
        // it off for all. Threads of other tests have this one.
        let _ = tracing::subscriber::set_global_default(Self::default());
        let logs = Self::default();
        let guard = tracing::subscriber::set_default(logs.clone());
        (logs, guard)
    }

    pub(crate) fn all(&self) -> Vec<(Level, String)> {
        self.0.lock().unwrap().clone()
    }

    /// Those of our own at a level.
    pub(crate) fn ours(&self, at: Level) -> Vec<String> {
        let own = |(level, line): &(Level, String)| *level == at && line.starts_with("msgstream");
        self.all().into_iter().filter(own).map(|(_, line)| line).collect()
    }
}

impl tracing::Subscriber for Logs {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{}:", event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn fmt::Debug| {
            line += &format!(" {field}={value:?}");
        });
        self.0.lock().unwrap().push((*event.metadata().level(), line));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
