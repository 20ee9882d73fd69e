//! Whether all that must be true of a run is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgstream_core::transport::{Position, Record, Stamp};
use msgstream_core::{LatePolicy, TickSource, TtMsgStream};

use super::World;
use super::consumer::last_given;
use super::ledger::{Given, Ledger};
use super::model::Model;

/// So many of the saved checkpoints are resumed from.
const RESUMES: usize = 4;

type Verdict = Result<(), String>;

type Logs = BTreeMap<Arc<str>, Vec<Record>>;

impl World {
    /// Checks what was told against what is in the logs.
    pub(super) async fn judge(&self) -> Verdict {
        self.check_cursors();
        let logs = self.logs();
        let model = Model::new(&logs, self.plan.grid(), self.plan.consumer.late);
        {
            let ledger = self.ledger();
            if let Some(violation) = &ledger.violation {
                return Err(violation.clone());
            }
            numbers_count_once(&model, &logs)?;
            self.nothing_is_missing(&ledger)?;
            self.acknowledged_counts(&ledger, &model, &logs)?;
            if self.plan.is_strict() {
                self.packs_are_the_models(&ledger, &model)?;
            }
            self.committed_once(&ledger, &model)?;
        }
        if self.plan.is_strict() && self.ledger().destroyed.is_none() {
            self.resumes_are_the_models(&model).await?;
        }
        Ok(())
    }

    /// What a producer was told to be stored counts, unless a newer session had begun there before;
    /// and in any case where it was told afterwards that none had.
    fn acknowledged_counts(&self, ledger: &Ledger, model: &Model, logs: &Logs) -> Verdict {
        for acked in &ledger.acked {
            if ledger.destroyed.as_ref().is_some_and(|d| *d.channel == *acked.channel) {
                continue;
            }
            let of = (acked.producer.clone(), acked.channel.clone());
            let counts = model.numbers.get(&of).is_some_and(|n| n.contains_key(&acked.number));
            let log = logs.get(&acked.channel).map(Vec::as_slice).unwrap_or_default();
            let newer = |record: &&Record| epoch_of(record, &acked.producer) > Some(acked.epoch);
            let mut before = log.iter().take_while(|r| r.position < acked.position);
            let superseded = !acked.confirmed && before.any(|r| newer(&r));
            if !counts && !superseded {
                return Err(format!("an acknowledged message doesn't count: {acked:?}"));
            }
        }
        Ok(())
    }

    /// Consumers miss nothing that a producer knows to be stored, unless somebody deleted it.
    fn nothing_is_missing(&self, ledger: &Ledger) -> Verdict {
        let missing: u64 = ledger.counts.merges.values().map(|counts| counts.missing).sum();
        if missing > 0 && !self.plan.retention && self.plan.vandal.is_none() {
            return Err(format!("consumers missed {missing} messages"));
        }
        Ok(())
    }

    /// Packs are a function of the channels' contents: each that any consumer was ever given is the
    /// model's, and the place behind it is always the same.
    fn packs_are_the_models(&self, ledger: &Ledger, model: &Model) -> Verdict {
        let until = ledger.destroyed.as_ref().map_or(usize::MAX, |destroyed| destroyed.given);
        let packs: BTreeMap<_, _> = model.packs.iter().map(|pack| (pack.begin, pack)).collect();
        let mut ends = BTreeMap::new();
        for Given { pack, end, .. } in ledger.given.iter().take(until).filter(|g| !g.stray) {
            if packs.get(&pack.begin) != Some(&pack) {
                let must = packs.get(&pack.begin);
                return Err(format!("a consumer was given {pack:?}, which must be {must:?}"));
            }
            let other = ends.entry(pack.begin).or_insert(end);
            if *other != end {
                return Err(format!("the pack to {} ends at {end}, and at {other}", pack.end));
            }
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
                if ledger.destroyed.is_none() && !model.taken.contains(&place) {
                    return Err(format!("{place:?} is delivered and doesn't count"));
                }
                if !seen.insert(place) {
                    return Err(format!("{channel} {position} is delivered twice"));
                }
            }
        }
        if !self.is_done(ledger) || ledger.destroyed.is_some() || ledger.told > 0 {
            return Ok(());
        }
        let late: BTreeSet<_> = match self.plan.consumer.late {
            LatePolicy::Drop => model.dropped.iter().collect(),
            _ => BTreeSet::new(),
        };
        for acked in &ledger.acked {
            let of = (acked.producer.clone(), acked.channel.clone());
            let Some(position) = model.numbers.get(&of).and_then(|n| n.get(&acked.number)) else {
                continue;
            };
            let place = (acked.channel.clone(), *position);
            if !seen.contains(&place) && !late.contains(&place) {
                return Err(format!("an acknowledged message is not delivered: {acked:?}"));
            }
        }
        Ok(())
    }

    /// From any saved checkpoint the packs go on as if nothing had happened.
    async fn resumes_are_the_models(&self, model: &Model) -> Verdict {
        let checkpoints = self.store.checkpoints();
        let step = checkpoints.len().div_ceil(RESUMES).max(1);
        for checkpoint in checkpoints.iter().step_by(step) {
            let transport = Arc::new(self.sim.fork().transport());
            let failed = |error| format!("a saved checkpoint can't be resumed: {error}");
            let config = self.plan.consumer.with_budget(1 << 30);
            let mut stream = TtMsgStream::new(transport, config).map_err(failed)?;
            let resumed = stream.resume(None, checkpoint, |_| TickSource::Written).await;
            resumed.and_then(|()| stream.start()).map_err(failed)?;
            let after = checkpoint.frontier.map(|ts| ts.0);
            let packs = model.packs.iter().skip_while(|pack| pack.begin < after);
            let mut ledger = Ledger::default();
            for must in packs {
                let pack = stream.consume().await.map_err(failed)?;
                let Some(pack) = pack else { return Err("the stream ended".to_owned()) };
                ledger.give(0, &pack, false);
                let given = ledger.given.pop().map(|given| given.pack);
                if given.as_ref() != Some(must) {
                    return Err(format!("resumed from {after:?}: {given:?} must be {must:?}"));
                }
            }
        }
        Ok(())
    }
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
        return Some(stamp.origin.epoch).filter(|_| *stamp.origin.producer == *producer);
    }
    let text = str::from_utf8(record.header(Stamp::HEADER)?).ok()?;
    let (name, rest) = text.split_once(';')?;
    let epoch = rest.split(';').next()?.parse().unwrap_or(record.position);
    Some(epoch).filter(|_| name == producer)
}
