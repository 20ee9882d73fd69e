//! Whether all that must be true of a run is.

mod again;
mod packs;
mod whole;

use std::collections::BTreeSet;

use msgstream_core::LatePolicy;
use msgstream_core::record::{Position, Record, Stamp};

use super::World;
use super::consumer::last_given;
use super::ledger::{Acked, Given, Ledger};
use super::model::{Logs, Model, Place, producer_of};

type Verdict = Result<(), String>;

impl World {
    /// Checks what was told against what is in the logs.
    pub(super) async fn judge(&self) -> Verdict {
        self.check_cursors();
        // What is still under way goes on while the copy is looked at.
        let copy = self.sim.fork();
        let logs = self.logs();
        let model = Model::new(&logs, &self.plan.rules());
        {
            let ledger = self.ledger();
            if let Some(violation) = &ledger.violation {
                return Err(violation.clone());
            }
            numbers_count_once(&model, &logs)?;
            self.nothing_is_missing(&ledger)?;
            self.acknowledged_counts(&ledger, &model, &logs)?;
            self.ended_means_ended(&ledger, &model)?;
            if self.plan.is_strict() {
                self.packs_are_the_models(&ledger, &model)?;
            } else {
                self.packs_keep_their_times(&ledger, &model)?;
            }
            self.committed_once(&ledger, &model)?;
        }
        if self.ledger().destroyed.is_none() {
            self.resumes_go_on(&copy, &model).await?;
            self.sessions_know_their_numbers(&copy, &logs, &model).await?;
            if self.plan.is_strict() {
                self.late_starters_agree(&copy, &logs).await?;
                self.whole_readers_agree(&copy).await?;
            }
        }
        Ok(())
    }

    /// What a producer was told to be stored counts, unless a newer session had begun there before;
    /// and in any case where it was told afterwards that none had. Behind a channel's end nothing
    /// does.
    fn acknowledged_counts(&self, ledger: &Ledger, model: &Model, logs: &Logs) -> Verdict {
        for acked in &ledger.acked {
            if ledger.destroyed(&acked.channel).is_some() {
                continue;
            }
            let of = (acked.producer.clone(), acked.channel.clone());
            let counts = model.numbers.get(&of).is_some_and(|n| n.contains_key(&acked.number));
            if counts || is_behind_end(acked, model) {
                continue;
            }
            let log = logs.get(&acked.channel).map(Vec::as_slice).unwrap_or_default();
            let newer = |record: &&Record| epoch_of(record, &acked.producer) > Some(acked.epoch);
            let mut before = log.iter().take_while(|r| r.position < acked.position);
            let superseded = !acked.confirmed && before.any(|r| newer(&r));
            if !superseded {
                return Err(format!("an acknowledged message doesn't count: {acked:?}"));
            }
        }
        Ok(())
    }

    /// A channel that its producer ended, and then made sure of it, has ended.
    fn ended_means_ended(&self, ledger: &Ledger, model: &Model) -> Verdict {
        let open = ledger.ended.iter().find(|channel| !model.ended.contains_key(*channel));
        match open.filter(|_| ledger.destroyed.is_none() && !self.plan.wild) {
            Some(channel) => Err(format!("{channel} was ended, and goes on")),
            None => Ok(()),
        }
    }

    /// Consumers miss nothing that a producer knows to be stored, unless somebody deleted it.
    fn nothing_is_missing(&self, ledger: &Ledger) -> Verdict {
        let lives = ledger.counts.consumers.values().filter(|life| !life.stray);
        let missing: u64 = lives.map(|life| life.merge.missing).sum();
        if missing > 0 && self.plan.vandal.is_none() {
            return Err(format!("consumers missed {missing} messages"));
        }
        Ok(())
    }

    /// The packs that are committed follow each other, and hold each message once, and only such as
    /// count. Where all must have come true, they hold all that was acknowledged.
    fn committed_once(&self, ledger: &Ledger, model: &Model) -> Verdict {
        let mut seen = BTreeSet::new();
        let last = self.store.state().map_or(0, |state| last_given(&state));
        for Given { pack, .. } in ledger.chain(last) {
            for (channel, position, _) in &pack.msgs {
                let place = (channel.clone(), *position);
                if ledger.destroyed.is_none() && !model.taken.contains_key(&place) {
                    return Err(format!("{place:?} is delivered and doesn't count"));
                }
                if !seen.insert(place) {
                    return Err(format!("{channel} {position} is delivered twice"));
                }
            }
        }
        if !self.is_done(ledger) || ledger.destroyed.is_some() || ledger.told_gone > 0 {
            return Ok(());
        }
        let joined = self.joined_at(ledger.chain(last).map(|given| given.pack.end));
        let may_drop = self.plan.consumer.late_policy == LatePolicy::Drop;
        let mut dropped = BTreeSet::new();
        for acked in &ledger.acked {
            let of = (acked.producer.clone(), acked.channel.clone());
            let Some(position) = model.numbers.get(&of).and_then(|n| n.get(&acked.number)) else {
                continue;
            };
            let place = (acked.channel.clone(), *position);
            if seen.contains(&place) || self.is_before_join(&place, model, joined) {
                continue;
            }
            if may_drop && self.plan.is_strict() && model.dropped.contains(&place) {
                continue;
            }
            if !may_drop || self.plan.is_strict() {
                return Err(format!("an acknowledged message is not delivered: {acked:?}"));
            }
            dropped.insert(place);
        }
        // What idle channels bring late is left out; nobody says which it is, but how many.
        let lives = ledger.counts.consumers.values();
        let left_out: u64 = lives.map(|life| life.merge.dropped_late).sum();
        if dropped.len() as u64 > left_out {
            let many = dropped.len();
            return Err(format!("{many} are not delivered, {left_out} were left out: {dropped:?}"));
        }
        Ok(())
    }

    /// After which of a consumer's packs the channel joined that does, by the packs' ends.
    fn joined_at(&self, ends: impl Iterator<Item = u64>) -> Option<u64> {
        let (_, at) = self.plan.joiner()?;
        ends.filter(|end| *end >= at.0).min()
    }

    fn is_before_join(&self, place: &Place, model: &Model, joined: Option<u64>) -> bool {
        let joins = self.plan.joiner().is_some_and(|(joiner, _)| *joiner == *place.0);
        let taken = model.taken.get(place);
        joins && taken.is_none_or(|taken| joined.is_none_or(|joined| taken.eff() <= joined))
    }
}

fn is_behind_end(acked: &Acked, model: &Model) -> bool {
    model.ended.get(&acked.channel).is_some_and(|end| *end < acked.position)
}

/// The numbers of a producer that count are all numbers, each with its own message.
fn numbers_count_once(model: &Model, logs: &Logs) -> Verdict {
    for ((producer, channel), numbers) in &model.numbers {
        let log = logs.get(channel).map(Vec::as_slice).unwrap_or_default();
        for (must, (number, position)) in (1..).zip(numbers) {
            if must != *number {
                return Err(format!("{producer} on {channel}: {must} is missing before {number}"));
            }
            let at = log.binary_search_by_key(position, |r| r.position).ok();
            let says = at.and_then(|at| log.get(at)).map(|r| r.meta.msg_id);
            if says != Some(number.cast_signed()) {
                return Err(format!(
                    "{producer} on {channel}: message {says:?} has number {number}"
                ));
            }
        }
    }
    Ok(())
}

/// The epoch of a producer that a record speaks of.
fn epoch_of(record: &Record, producer: &str) -> Option<Position> {
    if let Some(stamp) = &record.meta.stamp {
        return Some(stamp.origin.epoch)
            .filter(|_| producer_of(&stamp.origin.producer) == producer);
    }
    let text = str::from_utf8(record.header(Stamp::HEADER)?).ok()?;
    let (name, rest) = text.split_once(';')?;
    let epoch = rest.split(';').next()?.parse().unwrap_or(record.position);
    Some(epoch).filter(|_| producer_of(name) == producer)
}
