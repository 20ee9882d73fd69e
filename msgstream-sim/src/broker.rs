//! The simulated broker: its channels, their troubles, and the handles on it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msgstream_core::Timestamp;
use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{Result, TransportError, TransportErrorKind};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::faults::{Dice, Fault};
use crate::log::Log;
use crate::writer::InFlight;

/// How long a call tries to reach a broker that doesn't answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// A slow channel takes so many times as long.
const SLOWNESS: u32 = 20;

pub(crate) struct Broker {
    state: Mutex<State>,
    began: Instant,
    /// The wall-clock time at the beginning.
    pub(crate) clock: Timestamp,
    pub(crate) max_payload: Option<usize>,
}

pub(crate) struct State {
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) dice: Dice,
    lives: u128,
}

/// One life of one channel.
pub(crate) struct Channel {
    pub(crate) life: Incarnation,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) log: Log,
    pub(crate) cursors: BTreeMap<String, Option<Position>>,
    /// Wakes readers: after an append, a change of its troubles, and at its end.
    pub(crate) changed: Arc<Notify>,
    trouble: Trouble,
}

/// Until when what is wrong with a channel.
#[derive(Default)]
struct Trouble {
    down: Duration,
    stuck: Duration,
    slow: Duration,
}

impl Broker {
    pub(crate) fn new(state: State, clock: Timestamp, max_payload: Option<usize>) -> Self {
        Self { state: Mutex::new(state), began: Instant::now(), clock, max_payload }
    }

    /// The state, with the present time in it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Also after a panic elsewhere: no update here leaves a half-done state behind.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dice.now = self.began.elapsed();
        state
    }

    /// The wall clock of the simulation, in Unix milliseconds.
    pub(crate) fn unix_ms(&self, now: Duration) -> u64 {
        self.clock.physical_ms().saturating_add(now.as_millis() as u64)
    }

    pub(crate) fn instant(&self, at: Duration) -> Instant {
        // A wait without an end, where the sum is past what the clock can count.
        const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
        self.began.checked_add(at).unwrap_or_else(|| self.began + FAR)
    }

    /// Waits until a virtual time; not at all if that has come.
    pub(crate) async fn wait_until(&self, at: Duration) {
        let at = self.instant(at);
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }
}

impl State {
    pub(crate) const fn new(dice: Dice) -> Self {
        Self { channels: BTreeMap::new(), dice, lives: 0 }
    }

    pub(crate) fn create(&mut self, name: &str, properties: BTreeMap<String, String>) {
        self.lives += 1;
        self.dice.note(format_args!("create {name} as life {}", self.lives));
        let channel = Channel {
            life: Incarnation(self.lives),
            properties,
            log: Log::default(),
            cursors: BTreeMap::new(),
            changed: Arc::new(Notify::new()),
            trouble: Trouble::default(),
        };
        self.channels.insert(name.to_owned(), channel);
    }

    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let removed = self.channels.remove(name);
        if let Some(channel) = &removed {
            self.dice.note(format_args!("delete {name}"));
            channel.changed.notify_waiters();
        }
        removed.is_some()
    }

    /// The channels as they are, whole and without a trouble.
    pub(crate) fn fork(&self, dice: Dice) -> Self {
        let channels = self.channels.iter().map(|(name, channel)| {
            let fork = Channel {
                life: channel.life,
                properties: channel.properties.clone(),
                log: channel.log.whole(),
                cursors: channel.cursors.clone(),
                changed: Arc::default(),
                trouble: Trouble::default(),
            };
            (name.clone(), fork)
        });
        Self { channels: channels.collect(), dice, lives: self.lives }
    }

    pub(crate) fn wake_all(&self) {
        self.channels.values().for_each(|channel| channel.changed.notify_waiters());
    }
}

impl Channel {
    /// Gives the channel a new trouble, now and then.
    pub(crate) fn roll_trouble(&mut self, dice: &mut Dice) {
        let rates = [&dice.rates.disconnect, &dice.rates.stuck, &dice.rates.slow].map(Clone::clone);
        let faults = [Fault::Disconnect, Fault::Stuck, Fault::Slow];
        let Trouble { down, stuck, slow } = &mut self.trouble;
        for (((rate, times), fault), until) in
            rates.into_iter().zip(faults).zip([down, stuck, slow])
        {
            if dice.happens(rate, fault) {
                *until = dice.now + dice.rng.time(&times);
            }
        }
    }

    pub(crate) fn cut_off(&mut self, until: Duration) {
        self.trouble.down = until;
    }

    pub(crate) fn heal(&mut self) {
        self.trouble = Trouble::default();
    }

    /// Until when it can't be reached.
    pub(crate) fn down(&self, now: Duration) -> Option<Duration> {
        Some(self.trouble.down).filter(|until| *until > now)
    }

    /// Until when it doesn't respond.
    pub(crate) fn stuck(&self, now: Duration) -> Option<Duration> {
        Some(self.trouble.stuck).filter(|until| *until > now)
    }

    /// How long one way to it or from it takes.
    pub(crate) fn latency(&self, dice: &mut Dice) -> Duration {
        let slow = self.trouble.slow > dice.now;
        dice.latency() * if slow { SLOWNESS } else { 1 }
    }

    /// Stores records, and returns their positions.
    pub(crate) fn append(
        &mut self,
        records: impl Iterator<Item = Record>,
        dice: &mut Dice,
        unix_ms: u64,
    ) -> Vec<Position> {
        let stored = records.map(|r| self.log.append(r, dice.gap(), unix_ms)).collect();
        self.changed.notify_waiters();
        stored
    }
}

/// What a transport shares with its writers, readers and subscriptions.
pub(crate) struct Handle {
    pub(crate) broker: Arc<Broker>,
    closed: AtomicBool,
    pub(crate) in_flight: Arc<InFlight>,
}

impl Handle {
    pub(crate) fn new(broker: Arc<Broker>) -> Arc<Self> {
        Arc::new(Self { broker, closed: AtomicBool::new(false), in_flight: Arc::default() })
    }

    pub(crate) fn check_open(&self) -> Result<(), TransportErrorKind> {
        if self.closed.load(Ordering::Acquire) { Err(TransportErrorKind::Closed) } else { Ok(()) }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.broker.lock().wake_all();
    }

    /// Makes the way to the broker, for a call about a channel; fails if it can't be reached.
    pub(crate) async fn reach(&self, operation: &'static str, name: &str) -> Result<()> {
        let error = |kind| TransportError::new(operation, kind).on(name);
        self.check_open().map_err(error)?;
        let (until, reached) = {
            let State { channels, dice, .. } = &mut *self.broker.lock();
            let Some(channel) = channels.get_mut(name) else { return Ok(()) };
            channel.roll_trouble(dice);
            let (now, latency) = (dice.now, channel.latency(dice));
            let troubles = channel.down(now).max(channel.stuck(now));
            let there = troubles.unwrap_or(now) + latency;
            (there.min(now + PATIENCE), there <= now + PATIENCE)
        };
        self.broker.wait_until(until).await;
        self.check_open().map_err(error)?;
        if reached { Ok(()) } else { Err(error(unavailable())) }
    }
}

pub(crate) fn unavailable() -> TransportErrorKind {
    TransportErrorKind::Unavailable { reason: "the simulated connection is down".to_owned() }
}

pub(crate) const fn timed_out() -> TransportErrorKind {
    TransportErrorKind::TimedOut { after: PATIENCE }
}

/// One life of a channel, as a handle sees it.
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) handle: Arc<Handle>,
    pub(crate) name: Arc<str>,
    pub(crate) life: Incarnation,
}

impl Attached {
    /// Does something with the channel, where this life of it hasn't ended.
    pub(crate) fn with<T>(
        &self,
        act: impl FnOnce(&mut Channel, &mut Dice) -> Result<T, TransportErrorKind>,
    ) -> Result<T, TransportErrorKind> {
        let State { channels, dice, .. } = &mut *self.handle.broker.lock();
        let channel = channels.get_mut(&*self.name).ok_or(TransportErrorKind::NotFound)?;
        if channel.life != self.life {
            let (expected, found) = (self.life, channel.life);
            return Err(TransportErrorKind::WrongIncarnation { expected, found });
        }
        act(channel, dice)
    }

    pub(crate) fn error(
        &self,
        operation: &'static str,
        kind: TransportErrorKind,
    ) -> TransportError {
        TransportError::new(operation, kind).on(&*self.name)
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("channel", &self.name).field("life", &self.life).finish()
    }
}
