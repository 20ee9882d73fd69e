//! What the handles of one instance share: its channels.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use msgstream_core::record::{Incarnation, Position};
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{TransportError, TransportErrorKind};
use tokio::sync::Notify;

use crate::MemConfig;
use crate::log::Log;

/// Locks, also after a panic elsewhere: no update here leaves a half-done state behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The named instances, kept for the life of the process.
static NAMED: Mutex<BTreeMap<String, Arc<Instance>>> = Mutex::new(BTreeMap::new());

/// Channels by name.
pub(crate) struct Instance {
    pub(crate) config: MemConfig,
    pub(crate) channels: Mutex<BTreeMap<String, Arc<Channel>>>,
}

impl Instance {
    pub(crate) fn new(config: MemConfig) -> Arc<Self> {
        Arc::new(Self { config, channels: Mutex::default() })
    }

    /// Returns the instance of a name, which is created if it is missing.
    pub(crate) fn named(name: &str, config: MemConfig) -> Arc<Self> {
        let mut named = lock(&NAMED);
        let instance = named.entry(name.to_owned()).or_insert_with(|| Self::new(config));
        Arc::clone(instance)
    }

    /// Fails if a configuration differs from the instance's.
    pub(crate) fn check(&self, name: &str, config: MemConfig) -> Result<(), ConnectError> {
        let has = self.config;
        agree(name, "retention_bytes", config.retention_bytes, has.retention_bytes)?;
        agree(name, "max_payload", config.max_payload, has.max_payload)
    }

    pub(crate) fn find(&self, channel: &str) -> Option<Arc<Channel>> {
        lock(&self.channels).get(channel).cloned()
    }
}

fn agree<T: PartialEq + fmt::Display>(
    name: &str,
    option: &str,
    wanted: Option<T>,
    has: Option<T>,
) -> Result<(), ConnectError> {
    if wanted.is_none() || wanted == has {
        return Ok(());
    }
    let has = has.map_or_else(|| "no limit".to_owned(), |has| has.to_string());
    Err(ConnectError::InvalidOption {
        scheme: "mem".to_owned(),
        option: option.to_owned(),
        reason: format!(
            "the instance `{name}` exists with {has}: leave the option out, or use another name"
        ),
        source: None,
    })
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("config", &self.config).finish_non_exhaustive()
    }
}

/// One life of one channel.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) properties: BTreeMap<String, String>,
    /// `None` once the channel is deleted.
    pub(crate) log: Mutex<Option<Log>>,
    /// Wakes readers: after an append, a deletion, and when a handle is closed.
    pub(crate) changed: Notify,
    /// The subscriptions, and how far each was acknowledged.
    pub(crate) cursors: Mutex<BTreeMap<String, Option<Position>>>,
}

impl Channel {
    pub(crate) fn new(name: &str, properties: BTreeMap<String, String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            incarnation: next_incarnation(),
            properties,
            log: Mutex::new(Some(Log::default())),
            changed: Notify::new(),
            cursors: Mutex::default(),
        })
    }

    /// Calls a function with the log, under its lock.
    pub(crate) fn with_log<T>(
        &self,
        act: impl FnOnce(&mut Log) -> Result<T, TransportErrorKind>,
    ) -> Result<T, TransportErrorKind> {
        match &mut *lock(&self.log) {
            Some(log) => act(log),
            None => Err(TransportErrorKind::NotFound),
        }
    }

    /// Ends the channel for all who still hold it, and returns its records.
    pub(crate) fn end(&self) -> Option<Log> {
        let log = lock(&self.log).take();
        self.changed.notify_waiters();
        log
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Channel");
        debug.field("name", &self.name).field("incarnation", &self.incarnation);
        debug.finish_non_exhaustive()
    }
}

/// Unique in the process by its counter, and across processes by chance: a position that was
/// stored by an earlier process must not fit a channel of this one. Never
/// [`Incarnation::UNKNOWN`], which is 0.
fn next_incarnation() -> Incarnation {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Incarnation(u128::from(*PROCESS) << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// What a transport handle shares with its writers, readers and subscriptions.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) instance: Arc<Instance>,
    closed: AtomicBool,
}

impl Handle {
    pub(crate) fn new(instance: Arc<Instance>) -> Arc<Self> {
        Arc::new(Self { instance, closed: AtomicBool::new(false) })
    }

    pub(crate) fn check_open(&self) -> Result<(), TransportErrorKind> {
        if self.closed.load(Ordering::Acquire) {
            return Err(TransportErrorKind::Closed);
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Readers of other handles wake too, find nothing and wait on.
        for channel in lock(&self.instance.channels).values() {
            channel.changed.notify_waiters();
        }
    }
}

/// One life of a channel, as a handle sees it.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) handle: Arc<Handle>,
    pub(crate) channel: Arc<Channel>,
}

impl Attached {
    /// Calls a function with the log, or fails if the handle or the channel has ended.
    pub(crate) fn with_log<T>(
        &self,
        act: impl FnOnce(&mut Log) -> Result<T, TransportErrorKind>,
    ) -> Result<T, TransportErrorKind> {
        self.handle.check_open()?;
        self.channel.with_log(act)
    }

    /// Returns the error of an operation on this channel. If the channel is gone, the error says whether
    /// another one of its name took its place.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        kind: TransportErrorKind,
    ) -> TransportError {
        let Channel { name, incarnation, .. } = &*self.channel;
        let kind = match kind {
            TransportErrorKind::NotFound => match self.handle.instance.find(name) {
                Some(other) => TransportErrorKind::WrongIncarnation {
                    expected: *incarnation,
                    found: other.incarnation,
                },
                None => kind,
            },
            _ => kind,
        };
        TransportError::new(operation, kind).on(name)
    }
}
