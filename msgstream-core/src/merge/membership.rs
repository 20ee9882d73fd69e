//! Adds and removes channels, and makes them idle.

use std::cmp::Reverse;
use std::sync::Arc;

use super::channel::{Channel, Standing};
use super::{LatePolicy, Merge, Slot, TickSource};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::record::{Incarnation, Position, Timestamp};

impl Merge {
    /// Adds a channel, from the end of the last pack on. If the checkpoint that the merge resumed
    /// from has a mark of it, the channel resumes there. Otherwise it joins, and its records at or
    /// before the frontier are in no pack, and counted as "before join".
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that was added before.
    pub fn add(&mut self, name: Arc<str>, source: TickSource) -> Result<Slot> {
        if self.slot(&name).is_some() {
            return Err(Error::Config {
                reason: format!("channel `{name}` was added before: add it once"),
            });
        }
        let frontier = self.end.frontier;
        let mark = self.end.channels.get(&name);
        let channel = Channel::new(name.clone(), source, mark, frontier);
        self.watermarks.add(channel.watermark);
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(channel);
        self.names.insert(name, Slot(slot));
        self.retouch.push(slot);
        self.budget.resize(self.slots.iter_mut().flatten());
        Ok(Slot(slot))
    }

    /// Returns the slot of a channel.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.names.get(name).copied()
    }

    /// Returns the name of a channel.
    #[must_use]
    pub fn name(&self, slot: Slot) -> Option<&Arc<str>> {
        self.channel(slot).map(|c| &c.name)
    }

    /// Sets which incarnation of a channel is read, for the checkpoints.
    pub fn set_incarnation(&mut self, slot: Slot, incarnation: Incarnation) {
        if let Some(channel) = self.channel_mut(slot) {
            channel.incarnation = Some(incarnation);
        }
    }

    /// Removes a channel, from the end of the last pack on: the next pack has nothing of it.
    /// Returns a checkpoint of this one channel, from which it can be resumed elsewhere; without a
    /// mark if it wasn't read yet.
    pub fn remove(&mut self, slot: Slot) -> Checkpoint {
        let Some(channel) = self.slots.get_mut(slot.0).and_then(Option::take) else {
            return Checkpoint::default();
        };
        if channel.standing == Standing::Active {
            self.watermarks.remove(channel.watermark);
        }
        let cuts = channel.ticks.iter().map(|tick| self.config.boundary(tick.ts));
        for boundary in cuts.chain(channel.end_boundary) {
            if Some(boundary) > self.end.frontier {
                self.boundaries.remove(boundary);
            }
        }
        self.late.retain(|Reverse((_, at, _))| *at != slot.0);
        self.budget.resize(self.slots.iter_mut().flatten());
        self.names.remove(&channel.name);
        let mark = self.end.channels.remove(&channel.name);
        let channels = mark.map(|mark| (channel.name, mark)).into_iter().collect();
        Checkpoint { frontier: self.end.frontier, channels }
    }

    /// Makes a channel idle that is caught up and has been silent: packs continue without it.
    /// Returns whether it is idle now. A channel that wasn't read yet, that ended, that has not
    /// caught up with its checkpoint, or of which a record was refused can't be idle.
    ///
    /// With idle channels every message is still delivered exactly once, but where packs end is
    /// no longer a function of the contents alone.
    ///
    /// # Errors
    /// [`Error::Config`] with [`LatePolicy::Error`]: what an idle channel brings later may be late
    /// through no fault of its producer.
    pub fn set_idle(&mut self, slot: Slot) -> Result<bool> {
        if self.config.late_policy == LatePolicy::Error {
            let reason = "idle channels need a late policy that delivers or drops";
            return Err(Error::Config { reason: reason.into() });
        }
        let Some(channel) = self.channel_mut(slot) else { return Ok(false) };
        if channel.standing != Standing::Active
            || channel.next.is_none()
            || channel.is_replaying()
            || channel.owes_refused()
        {
            return Ok(false);
        }
        channel.standing = Standing::Idle;
        // When it continues, its watermark is raised at least as far.
        channel.raise_ahead = None;
        channel.seal(Timestamp::MAX);
        let watermark = channel.watermark;
        self.watermarks.remove(watermark);
        self.counts.idled += 1;
        self.retouch.push(slot.0);
        self.queue_event(slot.0);
        Ok(true)
    }

    /// Makes an idle channel hold the frontier again, from the frontier on.
    pub(super) fn rejoin(&mut self, slot: Slot) {
        let frontier = self.end.frontier;
        let Some(channel) = self.channel_mut(slot) else { return };
        if channel.standing != Standing::Idle {
            return;
        }
        channel.standing = Standing::Active;
        if let Some(watermark) = frontier.filter(|frontier| Some(*frontier) > channel.watermark) {
            channel.raise_watermark(channel.chunks.next_seq(), watermark);
        }
        channel.unseal();
        let watermark = channel.watermark;
        self.watermarks.add(watermark);
        self.counts.rejoined += 1;
        self.retouch.push(slot.0);
        self.queue_event(slot.0);
    }

    /// Returns whether every channel has ended and all packs were formed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.boundaries.first().is_none()
            && self.slots.iter().flatten().all(|c| c.standing == Standing::Ended)
    }

    /// Returns whether the end of a channel was read: nothing of it is left to read.
    #[must_use]
    pub fn is_ended(&self, slot: Slot) -> bool {
        self.channel(slot).is_some_and(|c| c.standing == Standing::Ended)
    }

    /// Returns where reading a channel continues; `None` before its first read.
    #[must_use]
    pub fn next_position(&self, slot: Slot) -> Option<Position> {
        self.channel(slot)?.next
    }
}
