//! What those get who read a channel whole that virtual ones are in.

use std::sync::Arc;

use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::Start;
use msgstream_core::{Error, LatePolicy, MsgType, TickSource, Timestamp, TtMsgStream};

use super::super::World;
use super::super::ledger::given;
use super::super::model::{Logs, Model, ModelPack, Rules};
use super::Verdict;
use super::again::{AMPLE, next, same_packs};
use crate::Sim;

impl World {
    /// They get each message of every virtual channel once, cut at the ticks that are for all: here one
    /// more, behind everything else.
    pub(super) async fn whole_readers_agree(&self, copy: &Sim) -> Verdict {
        let names = self.plan.virtuals.as_ref().map_or_else(Vec::new, |virtuals| virtuals.all());
        let failed = |what: String| format!("one who reads a channel whole: {what}");
        let sim = copy.fork();
        let logs = || names.iter().map(|name| (Arc::from(&**name), sim.records(name)));
        let last = logs().flat_map(|(_, log)| log).map(|record| record.meta.timestamp.0).max();
        let Some(last) = last else { return Ok(()) };
        let rules = Rules { late: LatePolicy::Deliver, joins: None, ..self.plan.rules() };
        let tick = Timestamp(last.next_multiple_of(rules.interval));
        let read = self.read_whole(&sim, &names, tick).await;
        let packs = read.map_err(|error| failed(error.to_string()))?;
        let must = Model::new(&logs().collect::<Logs>(), &rules).packs;
        same_packs(&packs, &must).map_err(failed)
    }

    /// Reads channels up to a tick that is written to each.
    async fn read_whole(
        &self,
        sim: &Sim,
        names: &[String],
        tick: Timestamp,
    ) -> Result<Vec<ModelPack>, Error> {
        let transport = self.plan.transport(sim);
        let config =
            self.plan.consumer.with_budget_bytes(AMPLE).with_late_policy(LatePolicy::Deliver);
        let mut stream = TtMsgStream::new(transport.clone(), config)?;
        for name in names {
            let tick = Record::new(Meta::new(MsgType::TIME_TICK, tick), Vec::new());
            drop(transport.writer(name).await?.submit(vec![tick]).await);
            stream.add_channel(None, name, Start::Earliest, TickSource::Written).await?;
        }
        stream.start()?;
        let mut packs = Vec::new();
        while packs.last().is_none_or(|pack: &ModelPack| pack.end < tick.0) {
            let Some(pack) = next(&mut stream).await? else { break };
            packs.push(given(&pack));
        }
        Ok(packs)
    }
}
