//! Waiting for what other processes write.
//!
//! Readers of this process are woken when it writes. For the others one task of the handle looks at
//! the published ends of all channels that a reader waits on: often where something happened a short
//! time ago, and less and less often where nothing does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::record::Incarnation;
use tokio::time::{Instant, sleep_until};

use crate::client::{Handle, lock};
use crate::log::Log;

/// A look is taken as soon as this part of the time has passed since the last change.
const PART: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// The channels that readers of a handle wait on.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    channels: HashMap<Incarnation, Channel>,
    /// Whether the task runs that looks at them.
    runs: bool,
}

#[derive(Debug)]
struct Channel {
    log: Log,
    readers: usize,
    /// The generation that the readers have seen.
    seen: u64,
    changed: Instant,
    due: Instant,
}

impl Channel {
    fn next_look(&self, now: Instant) -> Instant {
        now + (now.duration_since(self.changed) / PART).clamp(SHORTEST, LONGEST)
    }
}

/// A reader that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    handle: Arc<Handle>,
    incarnation: Incarnation,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut watched = lock(&self.handle.watch.0);
        if let Some(channel) = watched.channels.get_mut(&self.incarnation) {
            channel.readers -= 1;
        }
    }
}

impl Handle {
    /// Looks after a channel until the returned value is dropped: its [signal](signal::of) is
    /// notified when the published end isn't of this generation any more. `changed` is when the
    /// reader last saw something new.
    ///
    /// Returns `None` if another reader that waits has seen more: then there is something to read.
    pub(crate) fn wait_on(
        self: &Arc<Self>,
        log: &Log,
        seen: u64,
        changed: Instant,
    ) -> Option<Waiting> {
        let incarnation = log.incarnation();
        let mut watched = lock(&self.watch.0);
        let now = Instant::now();
        let channel = watched.channels.entry(incarnation).or_insert_with(|| Channel {
            log: log.clone(),
            readers: 0,
            seen,
            changed,
            due: now,
        });
        let (others, before) = (channel.readers > 0, channel.seen);
        if others && seen < before {
            return None;
        }
        channel.readers += 1;
        if !others || seen > before {
            (channel.seen, channel.changed) = (seen, changed);
            channel.due = channel.next_look(now);
        }
        let starts = !std::mem::replace(&mut watched.runs, true);
        drop(watched);
        if others && seen > before {
            // From now on the looks compare with what this reader has seen.
            signal::notify(incarnation);
        }
        if starts {
            tokio::spawn(look(Looking { handle: Arc::clone(self), is_done: false }));
        }
        Some(Waiting { handle: Arc::clone(self), incarnation })
    }
}

/// The task that looks. If its runtime ends while somebody waits, they are woken, and the first who
/// waits again starts another.
struct Looking {
    handle: Arc<Handle>,
    is_done: bool,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut watched = lock(&self.handle.watch.0);
        watched.runs = false;
        let waited_on: Vec<_> = watched.channels.keys().copied().collect();
        drop(watched);
        waited_on.into_iter().for_each(signal::notify);
    }
}

/// Looks until nobody waits any more.
async fn look(mut looking: Looking) {
    let handle = Arc::clone(&looking.handle);
    loop {
        let due: Vec<(Log, u64)> = {
            let mut watched = lock(&handle.watch.0);
            watched.channels.retain(|_, channel| channel.readers > 0);
            let now = Instant::now();
            let channels = watched.channels.values_mut();
            let due = channels.filter(|channel| channel.due <= now).map(|channel| {
                channel.due = channel.next_look(now);
                (channel.log.clone(), channel.seen)
            });
            due.collect()
        };
        if !due.is_empty() {
            let look = move || {
                let same = |(log, seen): &(Log, u64)| {
                    log.published().is_ok_and(|now| now.is_some_and(|now| now.generation == *seen))
                };
                Ok(due.into_iter().filter(|channel| !same(channel)).collect::<Vec<_>>())
            };
            for (log, _) in handle.blocking(look).await.unwrap_or_default() {
                signal::notify(log.incarnation());
            }
        }
        let next = {
            let mut watched = lock(&handle.watch.0);
            let waited_on = watched.channels.values().filter(|channel| channel.readers > 0);
            match waited_on.map(|channel| channel.due).min() {
                Some(next) => next,
                None => {
                    watched.channels.clear();
                    watched.runs = false;
                    looking.is_done = true;
                    return;
                }
            }
        };
        sleep_until(next.min(Instant::now() + LONGEST)).await;
    }
}

/// What wakes the readers of a channel, in all handles of this process.
pub(crate) mod signal {
    use std::collections::HashMap;
    use std::sync::{Arc, LazyLock, Mutex, Weak};

    use msgstream_core::record::Incarnation;
    use tokio::sync::Notify;

    use crate::client::lock;

    type Signals = HashMap<Incarnation, Weak<Notify>>;

    static SIGNALS: LazyLock<Mutex<Signals>> = LazyLock::new(Mutex::default);

    /// Returns the signal of a channel.
    pub(crate) fn of(incarnation: Incarnation) -> Arc<Notify> {
        let mut signals = lock(&SIGNALS);
        if let Some(signal) = signals.get(&incarnation).and_then(Weak::upgrade) {
            return signal;
        }
        signals.retain(|_, signal| signal.strong_count() > 0);
        let signal = Arc::new(Notify::new());
        signals.insert(incarnation, Arc::downgrade(&signal));
        signal
    }

    /// Wakes the readers of a channel, if there are any.
    pub(crate) fn notify(incarnation: Incarnation) {
        let signal = lock(&SIGNALS).get(&incarnation).and_then(Weak::upgrade);
        if let Some(signal) = signal {
            signal.notify_waiters();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;
    use std::task::{Context, Waker};

    use msgstream_core::transport::TransportExt;

    use super::*;
    use crate::{FileConfig, FileTransport};

    /// Returns a channel that isn't written to.
    async fn channel(folder: &std::path::Path) -> crate::client::Attached {
        let files = FileTransport::open(FileConfig::new(folder)).await.unwrap();
        files.create("orders").await.unwrap();
        files.find("test", "orders").await.unwrap().0
    }

    /// Returns whether something that is notified in between is heard.
    async fn hears(log: &Log, between: impl FnOnce()) -> bool {
        let signal = signal::of(log.incarnation());
        let mut notified = pin!(signal.notified());
        notified.as_mut().enable();
        between();
        notified.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_another_reader_who_has_seen_more() {
        let folder = tempfile::tempdir().unwrap();
        let at = channel(folder.path()).await;
        let wait = |seen| at.handle.wait_on(&at.log, seen, Instant::now());
        let one = wait(5);
        let mut other = None;
        assert!(hears(&at.log, || other = wait(7)).await, "the first waits for what is there");
        // It has seen less than the others, so it looks again instead.
        assert!(wait(6).is_none());
        let mut third = None;
        assert!(!hears(&at.log, || third = wait(7)).await, "nothing new was seen");
        drop((one, other, third));
        // Alone it may have seen less than those before it: the end may have been found anew.
        assert!(wait(3).is_some());
    }

    #[tokio::test]
    async fn those_who_wait_are_woken_when_nobody_looks_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let at = channel(folder.path()).await;
        let _waiting = at.handle.wait_on(&at.log, 5, Instant::now()).unwrap();
        let handle = Arc::clone(&at.handle);
        let ends = || drop(Looking { handle, is_done: false });
        assert!(hears(&at.log, ends).await);
        assert!(!lock(&at.handle.watch.0).runs);
    }
}
