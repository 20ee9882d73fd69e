//! What follows when programs begin again, on a copy of the world in which nothing goes wrong any
//! more.

use std::collections::BTreeSet;
use std::time::Duration;

use msgstream_core::produce::SessionConfig;
use msgstream_core::record::Record;
use msgstream_core::transport::Start;
use msgstream_core::{Checkpoint, Error, LatePolicy, MsgPack, MsgStream, TickSource, TtMsgStream};
use tokio::time::timeout;

use super::super::World;
use super::super::consumer::last_given;
use super::super::joins::Joins;
use super::super::ledger::given;
use super::super::model::{Logs, Model, ModelPack, Place, Rules, end_of};
use super::Verdict;
use super::packs::keeps_its_times;
use crate::{Rng, Sim};

/// So many of the saved checkpoints are resumed from where one leads to the next.
const RESUMES: usize = 8;
/// So many where each must be followed to the end: what follows depends on what was before.
const RESUMES_ALONE: usize = 3;
/// Where nothing comes for so long, nothing will.
const SILENCE: Duration = Duration::from_secs(15);
/// No interval of a world is larger, in bytes.
pub(super) const AMPLE: usize = 1 << 30;

/// What a stream gave until nothing more came.
struct Rest {
    packs: Vec<ModelPack>,
    /// How many late messages were left out.
    dropped: u64,
}

impl World {
    /// From any saved checkpoint the packs go on as if nothing had happened, however often the
    /// stream is resumed on the way.
    pub(super) async fn resumes_go_on(&self, copy: &Sim, model: &Model) -> Verdict {
        let mut rng = Rng::new(self.plan.seed ^ 0x0a9a_1e55);
        if self.plan.is_strict() {
            return self.resumes_agree(copy, model, &mut rng).await;
        }
        for (checkpoint, state) in self.store.checkpoints(RESUMES_ALONE, &mut rng) {
            let after = checkpoint.frontier.map(|ts| ts.0);
            let failed = |error| format!("resumed after {after:?}: {error}");
            let resumed = self.resume(copy, &[checkpoint], usize::MAX, &mut rng).await;
            let rest = resumed.map_err(failed)?;
            self.the_rest_comes(last_given(&state), after, &rest, model).map_err(failed)?;
        }
        Ok(())
    }

    /// Where packs are those of the model, what follows one checkpoint leads to the next. So that
    /// the log isn't read to its end for each of them, one resume goes as far as to the next.
    async fn resumes_agree(&self, copy: &Sim, model: &Model, rng: &mut Rng) -> Verdict {
        let saved = self.store.checkpoints(RESUMES, rng).into_iter();
        let mut saved: Vec<_> = saved.map(|(checkpoint, _)| checkpoint).collect();
        // A consumer may begin at an earlier save, so they don't always come in order.
        saved.sort_by_key(|checkpoint| checkpoint.frontier);
        let Some(first) = saved.first() else { return Ok(()) };
        let after = first.frontier.map(|ts| ts.0);
        let failed = |error| format!("resumed after {after:?} and on the way: {error}");
        let from = model.packs.iter().position(|pack| pack.begin >= after);
        let must = model.packs.get(from.unwrap_or(model.packs.len())..).unwrap_or_default();
        let rest = self.resume(copy, &saved, must.len(), rng).await.map_err(failed)?;
        same_packs(&rest.packs, must).map_err(failed)
    }

    /// Consumes what follows the first checkpoint, and begins again in between: with a new stream
    /// at each other checkpoint, and with the same one now and then.
    async fn resume(
        &self,
        copy: &Sim,
        saved: &[Checkpoint],
        most: usize,
        rng: &mut Rng,
    ) -> Result<Rest, String> {
        let failed = |error: Error| error.to_string();
        let config = self.plan.consumer.with_budget_bytes(AMPLE);
        let new = || TtMsgStream::new(self.plan.transport(copy), config).map_err(failed);
        let mut rest = Rest { packs: Vec::new(), dropped: 0 };
        let mut saved = saved.iter().peekable();
        let (mut stream, mut from) = (new()?, saved.next().cloned());
        let mut joins = Joins::new(&self.plan, None);
        while rest.packs.len() < most {
            if let Some(from) = from.take() {
                rest.dropped += stream.status().merge.counts.dropped_late;
                stream.resume(None, &from, |_| TickSource::Written).await.map_err(failed)?;
                stream.start().map_err(failed)?;
                joins = Joins::new(&self.plan, Some(&from));
            }
            joins.join(&self.plan, &mut stream, None).await.map_err(failed)?;
            let Some(pack) = next(&mut stream).await.map_err(failed)? else { break };
            rest.packs.push(given(&pack));
            from = rng.chance(0.1).then_some(pack.end);
            while let Some(saved) = saved.next_if(|saved| saved.frontier <= Some(pack.end_ts)) {
                if saved.frontier == Some(pack.end_ts) {
                    rest.dropped += stream.status().merge.counts.dropped_late;
                    (stream, from) = (new()?, Some(saved.clone()));
                }
            }
        }
        rest.dropped += stream.status().merge.counts.dropped_late;
        Ok(rest)
    }

    /// What a resumed stream gives is what the packs before the checkpoint, up to `last`, don't
    /// hold, all of it and nothing else.
    fn the_rest_comes(&self, last: u64, after: Option<u64>, rest: &Rest, model: &Model) -> Verdict {
        let ledger = self.ledger();
        let mut before = after;
        for pack in &rest.packs {
            keeps_its_times(pack, model)?;
            if pack.begin != before {
                return Err(format!("the pack after {before:?} begins at {:?}", pack.begin));
            }
            before = Some(pack.end);
        }
        let places = |pack: &ModelPack| -> Vec<Place> {
            pack.msgs.iter().map(|(channel, at, _)| (channel.clone(), *at)).collect()
        };
        let held = || ledger.chain(last).map(|given| &given.pack);
        let mut seen: BTreeSet<Place> = held().flat_map(places).collect();
        for place in rest.packs.iter().flat_map(places) {
            if !seen.insert(place.clone()) {
                return Err(format!("{place:?} came again"));
            }
        }
        // Before the first pack it isn't known where idle channels stand.
        let Some(end) = rest.packs.last().map(|pack| pack.end) else { return Ok(()) };
        let joined = self.joined_at(held().chain(&rest.packs).map(|pack| pack.end));
        let mut missing = model.taken.iter().filter(|(place, taken)| {
            taken.eff() <= end
                && !seen.contains(*place)
                && !self.is_before_join(place, model, joined)
        });
        if self.plan.consumer.late_policy != LatePolicy::Drop {
            return match missing.next() {
                Some(missing) => Err(format!("{missing:?} doesn't come up to {end}")),
                None => Ok(()),
            };
        }
        // Some were left out before the checkpoint, by this consumer or those before it.
        let lives = ledger.counts.consumers.values();
        let left_out = rest.dropped + lives.map(|life| life.merge.dropped_late).sum::<u64>();
        let missing = missing.count() as u64;
        if missing > left_out {
            return Err(format!("{missing} messages don't come, and {left_out} were left out"));
        }
        Ok(())
    }

    /// Whoever begins to read in the middle gets what the rules make of the records from there on.
    pub(super) async fn late_starters_agree(&self, copy: &Sim, logs: &Logs) -> Verdict {
        let mut rng = Rng::new(self.plan.seed ^ 0x1a7e);
        let transport = self.plan.transport(copy);
        let late = LatePolicy::Deliver;
        let config = self.plan.consumer.with_budget_bytes(AMPLE).with_late_policy(late);
        let failed = |error: Error| format!("one who begins in the middle: {error}");
        let mut stream = TtMsgStream::new(transport, config).map_err(failed)?;
        let mut left = Logs::new();
        for (channel, records) in logs {
            let from = rng.index(records.len());
            let Some(first) = records.get(from) else { continue };
            let start = Start::At(first.position);
            let added = stream.add_channel(None, channel, start, TickSource::Written).await;
            added.map_err(failed)?;
            left.insert(channel.clone(), records.iter().skip(from).cloned().collect());
        }
        if left.is_empty() {
            return Ok(());
        }
        stream.start().map_err(failed)?;
        let rules = Rules { late, joins: None, ..self.plan.rules() };
        let must = Model::new(&left, &rules).packs;
        let mut packs = Vec::new();
        while packs.len() < must.len() {
            let Some(pack) = next(&mut stream).await.map_err(failed)? else { break };
            packs.push(given(&pack));
        }
        same_packs(&packs, &must).map_err(|what| format!("one who begins in the middle: {what}"))
    }

    /// A session that is opened now is told exactly the numbers that count; also where retention
    /// left no more than what the subscription hasn't passed, and where it reads only that.
    pub(super) async fn sessions_know_their_numbers(
        &self,
        copy: &Sim,
        logs: &Logs,
        model: &Model,
    ) -> Verdict {
        let mut rng = Rng::new(self.plan.seed ^ 0x5e55_1035);
        let Some(plan) = rng.pick(&self.plan.producers) else { return Ok(()) };
        let failed = |error: Error| format!("{} can't be opened at the end: {error}", plan.id);
        let sim = copy.fork();
        self.trim_again(&sim);
        let mut stream = MsgStream::new(self.plan.transport(&sim));
        let mut config = SessionConfig::new(&*plan.id).with_home(&*plan.home);
        let since = self.ledger().told.get(&plan.id).copied();
        if let Some(since) = since.filter(|_| self.plan.bounded) {
            config = config.with_scan_since(self.unix_time_at(since));
        }
        let has_end = |log: &Vec<Record>| end_of(log).is_some();
        let is_open = |channel: &&String| !logs.get(channel.as_str()).is_some_and(has_end);
        let open: Vec<_> = plan.channels.iter().filter(is_open).map(String::as_str).collect();
        if open.is_empty() {
            return Ok(());
        }
        let opened = stream.create_session(config, &open).await.map_err(failed)?;
        for (channel, last) in &opened.last {
            let of = (opened.producer.clone(), channel.clone());
            let numbers = model.numbers.get(&of);
            let must = numbers.and_then(|n| n.last_key_value()).map_or(0, |(number, _)| *number);
            if *last != must {
                return Err(format!("{opened:?}: the last one that counts on {channel} is {must}"));
            }
        }
        Ok(())
    }

    /// Deletes from a copy of the broker what retention has deleted.
    fn trim_again(&self, sim: &Sim) {
        for (channel, before) in &self.ledger().trimmed {
            sim.trim(&self.plan.physical(channel), *before);
        }
    }
}

/// The next pack; `None` where none comes.
pub(super) async fn next(stream: &mut TtMsgStream) -> Result<Option<MsgPack>, Error> {
    loop {
        match timeout(SILENCE, stream.consume()).await {
            Ok(Err(Error::TickTooFar { channel, position, .. })) => {
                stream.ignore_tick(&channel, position)?;
            }
            Ok(consumed) => return consumed,
            Err(_) => return Ok(None),
        }
    }
}

pub(super) fn same_packs(packs: &[ModelPack], must: &[ModelPack]) -> Verdict {
    match packs.iter().zip(must).find(|(pack, must)| pack != must) {
        Some((pack, must)) => Err(format!("{pack:?} must be {must:?}")),
        None if packs.len() < must.len() => Err(format!("{:?} doesn't come", must[packs.len()])),
        None => Ok(()),
    }
}
