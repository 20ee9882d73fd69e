//! A producer: numbered messages over a session, and ticks. Its own source is endless and always
//! the same, so after a crash it goes on with the number after the last one that is stored.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::error::ChannelOutcome;
use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{Blob, InsertRequest, MsgBase};
use msgstream_core::produce::PackReceipt;
use msgstream_core::produce::SessionConfig;
use msgstream_core::record::Position;
use msgstream_core::{Error, MsgPack, MsgStream, Timestamp};
use tokio::time::sleep;

use super::World;
use super::ledger::Acked;
use super::life::Program;
use super::plan::{ProducerPlan, Then};
use crate::Rng;

pub(super) fn start(world: Arc<World>, name: String, plan: ProducerPlan, rng: Rng) -> Program {
    async move {
        let mut stream = MsgStream::new(world.plan.transport(&world.sim));
        // A guest doesn't know what others promise.
        stream.set_allow_late(plan.tick_every.is_none());
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
    /// The channels that haven't ended.
    channels: Vec<&'a str>,
    /// The next number on each channel.
    next: BTreeMap<Arc<str>, u64>,
    in_flight: VecDeque<(Numbers, PackReceipt)>,
    /// Where the ledger has what was acknowledged and not confirmed.
    unconfirmed: Vec<usize>,
    /// When the last tick was sent that was acknowledged and isn't confirmed.
    ticked: Option<Duration>,
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
    let config = SessionConfig::new(&*plan.id)
        .with_home(&*plan.home)
        .with_retry_for(retry_for)
        .with_window_bytes(rng.range(1..20_000) as usize);
    let mut channels: Vec<_> = plan.channels.iter().map(String::as_str).collect();
    let (before, opened) = loop {
        if channels.is_empty() {
            world.ledger().finish(&plan.id);
            return Ok(());
        }
        // Since the last time that a session of this producer was opened there is a base.
        let since = world.ledger().told.get(&plan.id).copied().filter(|_| world.plan.bounded);
        let config = match since {
            Some(since) => config.clone().with_scan_since(world.unix_time_at(since)),
            None => config.clone(),
        };
        let before = world.sim.now();
        match stream.create_session(config, &channels).await {
            Ok(opened) => break (before, opened),
            Err(Error::Ended { channel }) => {
                world.found_ended(&channel);
                channels.retain(|open| *open != channel);
            }
            Err(error) => return Err(error),
        }
    };
    stream.start()?;
    world.sim.note(format_args!("{} opened at {}: {:?}", plan.id, opened.epoch, opened.last));
    world.check_opened(&opened);
    world.note_opened(plan, &channels, before);
    let next = opened.last.iter().filter(|(channel, _)| channels.contains(&&***channel));
    let next = next.map(|(channel, last)| (channel.clone(), last + 1)).collect();
    let producer = Producer {
        world,
        name,
        plan,
        stream,
        rng,
        epoch: opened.epoch,
        channels,
        next,
        in_flight: VecDeque::new(),
        unconfirmed: Vec::new(),
        ticked: None,
    };
    producer.run().await
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
        if self.plan.then.is_end() {
            return self.end().await;
        }
        self.world.ledger().finish(&self.plan.id);
        let Some(every) = self.plan.tick_every else { return self.stream.close().await };
        while self.plan.then == Then::Ticks {
            self.stream.ready().await?;
            self.tick().await?;
            if self.rng.chance(0.3) {
                self.settle().await?;
            }
            // Void ticks are acknowledged like others.
            if self.rng.chance(0.3) {
                self.confirm().await?;
            }
            sleep(every).await;
        }
        self.tick().await?;
        self.settle().await?;
        self.stream.close().await
    }

    /// Ends its channels, within the session or without one, and makes sure of it.
    async fn end(mut self) -> Result<(), Error> {
        let now = self.now();
        self.world.ledger().produced(now.0);
        if self.plan.then == Then::Ends {
            self.stream.end(now).await?;
            self.confirm().await?;
        } else {
            self.stream.close().await?;
            let mut plain = MsgStream::new(self.world.plan.transport(&self.world.sim));
            plain.create_producers(&self.channels).await?;
            plain.start()?;
            plain.end(now).await?;
        }
        let mut ledger = self.world.ledger();
        ledger.ended.extend(self.channels.iter().map(|channel| Arc::from(*channel)));
        ledger.finish(&self.plan.id);
        Ok(())
    }

    /// Its own clock.
    fn now(&self) -> Timestamp {
        Timestamp(self.world.unix_time().0 + Timestamp::span(self.plan.clock))
    }

    /// Hands over a few messages, of some of the channels.
    fn submit(&mut self) -> Result<(), Error> {
        let now = self.now();
        let (mut msgs, mut numbers) = (Vec::new(), Numbers::new());
        for (key, channel) in (0..).zip(&self.channels) {
            let Some(next) = self.next.get_mut(*channel) else { continue };
            for _ in 0..self.rng.range(0..self.plan.batch + 1) {
                if *next > self.plan.messages {
                    break;
                }
                // After every tick there was, and some of them early.
                let early = if self.rng.chance(0.1) { self.rng.range(1..1_000) } else { 0 };
                let ts = now.0 + (early << Timestamp::LOGICAL_BITS) + 1 + self.rng.below(1_000);
                let payload = self.rng.range(self.plan.payload.clone()) as usize;
                msgs.push(message(key, *next, ts, payload));
                numbers.entry(Arc::from(*channel)).or_default().push(*next);
                *next += 1;
                self.world.ledger().produced(ts);
            }
        }
        if !msgs.is_empty() {
            let receipt = self.stream.submit(MsgPack::from_iter(msgs))?;
            self.in_flight.push_back((numbers, receipt));
        }
        Ok(())
    }

    /// Promises that nothing up to now follows, or once more what was promised long ago. It goes on
    /// at once, or waits for all that it wrote.
    async fn tick(&mut self) -> Result<(), Error> {
        let (began, mut now) = (self.world.sim.now(), self.now());
        if self.rng.chance(0.05) {
            now.0 -= Timestamp::span(Duration::from_secs(1));
        }
        self.world.ledger().produced(now.0);
        if self.rng.chance(0.7) {
            // What follows doesn't wait for it.
            let receipt = self.stream.submit_tick(now)?;
            self.in_flight.push_back((Numbers::new(), receipt));
            return Ok(());
        }
        let ticked = self.stream.tick(now).await.map(drop);
        if ticked.is_ok() {
            self.ticked = Some(began);
        }
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
        let (acked, ticked) = (std::mem::take(&mut self.unconfirmed), self.ticked.take());
        self.stream.confirm().await?;
        let mut ledger = self.world.ledger();
        let told = ledger.told.entry(self.plan.id.clone()).or_default();
        *told = (*told).max(ticked.unwrap_or_default());
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
