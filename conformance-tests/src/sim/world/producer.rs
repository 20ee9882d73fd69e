//! A producer: numbered messages over a session, and ticks. Its own source is endless and always
//! the same, so after a crash it goes on with the number after the last one that is stored.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{Blob, InsertRequest, MsgBase};
use msgstream_core::session::{Opened, SessionConfig};
use msgstream_core::stream::{ChannelOutcome, PackReceipt};
use msgstream_core::transport::{Position, TransportErrorKind as Kind};
use msgstream_core::{Error, MsgPack, MsgStream, Timestamp};
use tokio::time::sleep;

use super::World;
use super::ledger::Acked;
use super::life::Program;
use super::plan::ProducerPlan;
use crate::sim::Rng;

pub(super) fn start(world: Arc<World>, name: String, plan: ProducerPlan, rng: Rng) -> Program {
    async move {
        let mut stream = MsgStream::new(Arc::new(world.sim.transport()));
        let producing = produce(&world, &name, &mut stream, &plan, rng).await;
        world.ledger().counts.sessions.insert(name, stream.session_counts());
        if let Err(error) = producing {
            world.end_of_producer(&plan, &error);
        }
    }
    .boxed()
}

/// A session, from its opening to its end.
struct Producer<'a> {
    world: &'a World,
    name: &'a str,
    plan: &'a ProducerPlan,
    stream: &'a mut MsgStream,
    rng: Rng,
    epoch: Position,
    /// The next number on each channel.
    next: BTreeMap<Arc<str>, u64>,
    in_flight: VecDeque<(Numbers, PackReceipt)>,
    /// Where the ledger has what was acknowledged and not confirmed.
    unconfirmed: Vec<usize>,
}

/// The numbers in a pack, for each channel.
type Numbers = BTreeMap<Arc<str>, Vec<u64>>;

async fn produce(
    world: &World,
    name: &str,
    stream: &mut MsgStream,
    plan: &ProducerPlan,
    mut rng: Rng,
) -> Result<(), Error> {
    let retry_for = Duration::from_secs(rng.range(2..60));
    let config = SessionConfig::new(&*plan.id, &*plan.home)?
        .with_retry_for(retry_for)
        .with_in_flight(rng.range(1..20_000) as usize);
    // Since the last time that a session of this producer was opened there is a base.
    let since = world.ledger().opened.get(&plan.id).copied().filter(|_| world.plan.bounded);
    let config = match since {
        Some(since) => config.with_scan_since(world.unix_time_at(since)),
        None => config,
    };
    let before = world.sim.now();
    let channels: Vec<_> = plan.channels.iter().map(String::as_str).collect();
    let opened = stream.create_session(config, &channels).await?;
    stream.start()?;
    world.sim.note(format_args!("{} opened at {}: {:?}", plan.id, opened.epoch, opened.last));
    world.check_opened(&opened);
    world.ledger().opened.insert(plan.id.clone(), before);
    let next = opened.last.iter().filter(|(channel, _)| channels.contains(&&***channel));
    let next = next.map(|(channel, last)| (channel.clone(), last + 1)).collect();
    let (epoch, in_flight, unconfirmed) = (opened.epoch, VecDeque::new(), Vec::new());
    Producer { world, name, plan, stream, rng, epoch, next, in_flight, unconfirmed }.run().await
}

impl Producer<'_> {
    async fn run(mut self) -> Result<(), Error> {
        let mut ticked = self.world.sim.now();
        while self.next.values().any(|next| *next <= self.plan.messages) {
            self.stream.ready().await?;
            self.submit()?;
            let due =
                self.plan.tick_every.is_some_and(|every| ticked + every <= self.world.sim.now());
            if due {
                ticked = self.world.sim.now();
                self.tick().await?;
            } else if self.rng.chance(0.3) {
                self.settle().await?;
            }
            if self.rng.chance(0.1) {
                self.confirm().await?;
            }
            let pause = self.rng.time(&self.plan.pause);
            sleep(pause).await;
        }
        self.settle().await?;
        self.confirm().await?;
        self.world.ledger().finished.insert(self.plan.id.clone());
        let Some(every) = self.plan.tick_every else { return self.stream.close().await };
        while !self.plan.falls_silent {
            self.tick().await?;
            // Void ticks are acknowledged like others.
            self.confirm().await?;
            sleep(every).await;
        }
        self.tick().await?;
        self.stream.close().await
    }

    fn now(&self) -> Timestamp {
        self.world.unix_time()
    }

    /// Hands over a few messages, of some of the channels.
    fn submit(&mut self) -> Result<(), Error> {
        let now = self.now();
        let (mut msgs, mut numbers) = (Vec::new(), Numbers::new());
        for (key, channel) in (0..).zip(&self.plan.channels) {
            let Some(next) = self.next.get_mut(&**channel) else { continue };
            for _ in 0..self.rng.range(0..self.plan.batch + 1) {
                if *next > self.plan.messages {
                    break;
                }
                // After every tick there was, and some of them early.
                let early = if self.rng.chance(0.1) { self.rng.range(1..1_000) } else { 0 };
                let ts = now.0 + (early << Timestamp::LOGICAL_BITS) + 1 + self.rng.below(1_000);
                let payload = self.rng.range(self.plan.payload.clone()) as usize;
                msgs.push(message(key, *next, ts, payload));
                numbers.entry(Arc::from(&**channel)).or_default().push(*next);
                *next += 1;
                let latest = &mut self.world.ledger().latest;
                *latest = (*latest).max(ts);
            }
        }
        if !msgs.is_empty() {
            let receipt = self.stream.submit(MsgPack::from_iter(msgs))?;
            self.in_flight.push_back((numbers, receipt));
        }
        Ok(())
    }

    /// Promises that nothing up to now follows.
    async fn tick(&mut self) -> Result<(), Error> {
        let now = self.now();
        let ticked = self.stream.tick(now).await.map(drop);
        self.settle().await.and(ticked)
    }

    /// Waits for all receipts, and writes down what they tell.
    async fn settle(&mut self) -> Result<(), Error> {
        let counts = self.stream.session_counts();
        self.world.ledger().counts.sessions.insert(self.name.to_owned(), counts);
        let mut result = Ok(());
        while let Some((numbers, receipt)) = self.in_flight.front_mut() {
            let (outcomes, settled) = match receipt.await {
                Ok(produced) => (produced.channels, Ok(())),
                Err(Error::Produce(error)) => (error.channels.clone(), Err(Error::Produce(error))),
                Err(error) => return Err(error),
            };
            let numbers = std::mem::take(numbers);
            self.in_flight.pop_front();
            self.acked(&numbers, &outcomes);
            result = result.and(settled);
        }
        result
    }

    fn acked(&mut self, numbers: &Numbers, outcomes: &[ChannelOutcome]) {
        let mut ledger = self.world.ledger();
        for outcome in outcomes {
            let numbers = numbers.get(&outcome.channel).into_iter().flatten();
            for (number, position) in numbers.zip(&outcome.stored) {
                self.unconfirmed.push(ledger.acked.len());
                ledger.acked.push(Acked {
                    producer: Arc::from(&*self.plan.id),
                    channel: outcome.channel.clone(),
                    epoch: self.epoch,
                    number: *number,
                    position: *position,
                    confirmed: false,
                });
            }
        }
    }

    async fn confirm(&mut self) -> Result<(), Error> {
        let acked = std::mem::take(&mut self.unconfirmed);
        self.stream.confirm().await?;
        let mut ledger = self.world.ledger();
        for index in acked {
            if let Some(acked) = ledger.acked.get_mut(index) {
                acked.confirmed = true;
            }
        }
        drop(ledger);
        Ok(())
    }
}

/// A message of one row. The key is the channel's index.
pub(super) fn message(key: u32, number: u64, ts: u64, payload: usize) -> InsertMsg {
    let request = InsertRequest {
        base: Some(MsgBase { msg_id: number.cast_signed(), ..MsgBase::default() }),
        timestamps: vec![ts],
        row_ids: vec![number.cast_signed()],
        row_data: vec![Blob { value: vec![b'.'; payload].into() }],
        num_rows: 1,
        ..InsertRequest::default()
    };
    InsertMsg::new(request).with_hash_keys([key])
}

impl World {
    /// A session that is opened knows all that was confirmed to those before it.
    fn check_opened(&self, opened: &Opened) {
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
    fn end_of_producer(&self, plan: &ProducerPlan, error: &Error) {
        let may = match error {
            Error::Fenced { .. } | Error::Produce(_) => true,
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
