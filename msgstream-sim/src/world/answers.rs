//! What programs may be told when they open what they write to, and why they may end.

use std::time::Duration;

use msgstream_core::Error;
use msgstream_core::produce::Opened;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::World;
use super::model::end_of;
use super::plan::ProducerPlan;

impl World {
    /// Whoever opens a channel and is told that it has ended, is told the truth.
    pub(super) fn found_ended(&self, channel: &str) {
        self.sim.note(format_args!("{channel} has ended"));
        let ended = end_of(&self.plan.records(&self.sim, channel)).is_some();
        let mut ledger = self.ledger();
        ledger.counts.found_ended += 1;
        if !ended && ledger.destroyed.is_none() {
            ledger.violation(format!("{channel} is said to have ended, and hasn't"));
        }
    }

    /// A session was opened: since before that there is a base.
    pub(super) fn note_opened(&self, plan: &ProducerPlan, channels: &[&str], before: Duration) {
        let mut ledger = self.ledger();
        let bounded = ledger.told.insert(plan.id.clone(), before).is_some() && self.plan.bounded;
        if bounded && channels.iter().any(|channel| ledger.trimmed.contains_key(*channel)) {
            ledger.counts.bounded_on_trimmed += 1;
        }
    }

    /// A session that is opened knows all that was confirmed to those before it.
    pub(super) fn check_opened(&self, opened: &Opened) {
        let mut ledger = self.ledger();
        if ledger.destroyed.is_some() {
            return;
        }
        let forgotten = ledger.acked.iter().find(|acked| {
            let last = opened.last.get(&acked.channel);
            acked.confirmed
                && acked.producer == opened.producer
                && acked.epoch < opened.epoch
                && last.is_some_and(|last| *last < acked.number)
        });
        let what = forgotten.map(|acked| format!("{opened:?} forgets {acked:?}"));
        what.into_iter().for_each(|what| ledger.violation(what));
    }

    /// Why a producer ended, where it may: it is started again.
    pub(super) fn end_of_producer(&self, plan: &ProducerPlan, error: &Error) {
        let may = match error {
            Error::Fenced { .. } | Error::Produce(_) => true,
            // By an earlier life, which nobody heard of.
            Error::Ended { channel } => {
                self.found_ended(channel);
                true
            }
            Error::Transport(error) => {
                let kind = error.kind();
                let passes = matches!(kind, Kind::Poisoned | Kind::Closed) || error.is_temporary();
                passes || self.may_be_gone(kind)
            }
            _ => false,
        };
        if !may {
            self.ledger().violation(format!("producer {} ended: {error}", plan.id));
        }
    }
}
