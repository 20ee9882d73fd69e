//! What a client of librdkafka reports by itself: its log, and why it reaches no broker.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::error::{of_connection, of_group};

/// Locks, also after a panic elsewhere: no update here leaves a half-done state behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the client's log, and remembers why it reaches no broker. A clone shares that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// What the client is for.
    name: &'static str,
    trouble: Arc<Mutex<Trouble>>,
    /// Whether there is any trouble, for a quick check.
    in_trouble: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Trouble {
    failure: Option<Failure>,
    all_down: bool,
}

impl Events {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Returns why no broker can be reached, if the client reported a reason.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        lock(&self.trouble).failure.clone()
    }

    /// Returns the reason if no broker will ever be reached, however often the client tries.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        let trouble = lock(&self.trouble);
        let failure = trouble.failure.clone();
        failure.filter(|failure| match failure.kind {
            TransportErrorKind::Denied { .. } => true,
            // Of several brokers one may have a certificate that isn't trusted.
            TransportErrorKind::Config { .. } => trouble.all_down,
            _ => false,
        })
    }

    /// Keeps a failure that the client reported in another way.
    pub(crate) fn report(&self, trouble: Failure) {
        self.note(&mut lock(&self.trouble), trouble);
    }

    /// Notes that a broker has answered.
    pub(crate) fn answered(&self) {
        if !self.in_trouble.swap(false, Ordering::Relaxed) {
            return;
        }
        let over = std::mem::take(&mut *lock(&self.trouble));
        if over.failure.is_some() {
            tracing::info!(client = self.name, "the Kafka client is connected again");
        }
    }

    fn note(&self, place: &mut Trouble, trouble: Failure) {
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::warn!(client = self.name, error = %trouble, "the Kafka client lost a broker, trying again");
        } else {
            tracing::debug!(client = self.name, error = %trouble, "the Kafka client can't reach a broker yet, trying again");
        }
        place.failure = Some(trouble);
    }
}

impl ClientContext for Events {
    fn log(&self, level: Level, facility: &str, message: &str) {
        match level {
            // It warns of each property that is another kind of client's.
            _ if facility == "CONFWARN" => {}
            // The same as `error` gets, again and again.
            _ if matches!(facility, "FAIL" | "ERROR") => tracing::debug!(facility, "{message}"),
            Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
                tracing::error!(facility, "{message}");
            }
            Level::Warning => tracing::warn!(facility, "{message}"),
            Level::Notice | Level::Info => tracing::info!(facility, "{message}"),
            Level::Debug => tracing::debug!(facility, "{message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        tracing::info!(statistics = %String::from_utf8_lossy(statistics), "statistics");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let trouble = match code {
            Code::GroupAuthorizationFailed => of_group(code),
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::BrokerTransportFailure
            | Code::SSL => of_connection(code, reason.to_owned()),
            // The end of a partition is reported as an error, too; other errors are returned by the calls they concern.
            _ => return,
        };
        let mut place = lock(&self.trouble);
        place.all_down |= code == Code::AllBrokersDown;
        // That all brokers are down says less than why.
        if code != Code::AllBrokersDown || place.failure.is_none() {
            self.note(&mut place, trouble);
        }
    }
}

impl ConsumerContext for Events {}

/// A value whose drop may block: it is dropped on a thread of its own.
pub(crate) struct DropElsewhere<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> DropElsewhere<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T: Send + 'static> Drop for DropElsewhere<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // Without a thread it is dropped here: blocking is better than leaking.
        let _ = thread::Builder::new().name("kafka-drop".to_owned()).spawn(move || drop(value));
    }
}

impl<T: Send + 'static> fmt::Debug for DropElsewhere<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DropElsewhere").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn reason(codes: &[Code]) -> Option<TransportErrorKind> {
        events(codes).trouble().map(|failure| failure.kind)
    }

    fn events(codes: &[Code]) -> Events {
        let events = Events::default();
        for code in codes {
            events.error(KafkaError::Global(*code), &format!("{code} of a certificate"));
        }
        events
    }

    #[test]
    fn why_says_more_than_that() {
        let denied = reason(&[Code::SaslAuthenticationFailed, Code::AllBrokersDown]);
        assert!(matches!(denied, Some(TransportErrorKind::Denied { .. })));
        let down = reason(&[Code::AllBrokersDown]);
        assert!(matches!(down, Some(TransportErrorKind::Unavailable { .. })));
        assert_eq!(reason(&[Code::PartitionEOF]), None);
    }

    #[test]
    fn a_certificate_is_one_broker_s_and_a_password_is_ours() {
        assert!(events(&[Code::SaslAuthenticationFailed]).refusal().is_some());
        assert_eq!(events(&[Code::SSL]).refusal(), None);
        let all = events(&[Code::SSL, Code::AllBrokersDown]).refusal();
        assert!(matches!(all.unwrap().kind, TransportErrorKind::Config { .. }));
        assert_eq!(events(&[Code::Resolve, Code::AllBrokersDown]).refusal(), None);
    }

    #[test]
    fn an_answer_ends_the_trouble() {
        let events = Events::default();
        events.error(KafkaError::Global(Code::AllBrokersDown), "all down");
        events.clone().answered();
        assert_eq!(events.trouble(), None);
    }

    #[test]
    fn it_is_dropped_on_another_thread() {
        struct SendsThread(std::sync::mpsc::Sender<thread::ThreadId>);
        impl Drop for SendsThread {
            fn drop(&mut self) {
                let _ = self.0.send(thread::current().id());
            }
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        drop(DropElsewhere::new(SendsThread(sender)));
        assert_ne!(receiver.recv(), Ok(thread::current().id()));
    }
}
