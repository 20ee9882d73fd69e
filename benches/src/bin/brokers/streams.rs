//! Our side as a program uses it: a producer with a session that writes typed messages and ticks,
//! and a consumer whose packs are decoded.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::message::InsertMsg;
use msgstream_core::produce::{InSession, SessionConfig};
use msgstream_core::record::Record;
use msgstream_core::transport::Transport;
use msgstream_core::{Consumer, ConsumerConfig, Message, MsgPack, Producer, Timestamp};

use crate::load::{Found, Load};
use crate::pairs::Ticks;
use crate::side::{Result, Side, Work};

/// The messages of each channel that are submitted together, if ticks aren't more frequent.
const BATCH: u64 = 100;

pub(crate) struct Streams {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) ticks: Ticks,
}

#[async_trait]
impl Side for Streams {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        let producer = Producer::builder(Arc::clone(&self.transport))
            .channels(&load.channels)
            .session(SessionConfig::new("bench"))
            .open()
            .await?;
        Ok(Box::new(Produce { steps: self.steps(load), producer: Some(producer) }))
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        let interval = load.channels.len() as u64 * self.ticks.0.min(load.messages);
        let interval = interval as usize * (Record::OVERHEAD + 256 + load.blob(0).len());
        let consumer = Consumer::builder(Arc::clone(&self.transport))
            .channels(&load.channels)
            .budget_bytes(ConsumerConfig::default().budget_bytes.max(4 * interval))
            .open()
            .await?;
        Ok(Box::new(Consume { load: Arc::clone(load), consumer }))
    }
}

/// What a program submits.
enum Step {
    Pack(MsgPack),
    Tick(Timestamp),
}

impl Streams {
    /// The messages as a program has them, built before the clock starts.
    fn steps(&self, load: &Load) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut next = 0;
        while next < load.messages {
            let tick = (next / self.ticks.0 + 1) * self.ticks.0;
            let upto = load.messages.min(next + BATCH).min(tick);
            let rows = |number| {
                let keys = 0..load.channels.len() as u32;
                keys.map(move |key| InsertMsg::new(load.insert(number)).with_hash_keys([key]))
            };
            steps.push(Step::Pack((next..upto).flat_map(rows).collect()));
            if upto == tick || upto == load.messages {
                steps.push(Step::Tick(load.timestamp(upto - 1)));
            }
            next = upto;
        }
        steps
    }
}

struct Produce {
    steps: Vec<Step>,
    producer: Option<Producer<InSession>>,
}

#[async_trait]
impl Work<()> for Produce {
    async fn run(&mut self) -> Result<()> {
        let mut producer = self.producer.take().ok_or("the work was done already")?;
        for step in self.steps.drain(..) {
            producer.ready().await?;
            // `flush` fails if one of them does.
            drop(match step {
                Step::Pack(pack) => producer.submit(pack)?,
                Step::Tick(ts) => producer.submit_tick(ts)?,
            });
        }
        producer.flush().await?;
        self.producer = Some(producer);
        Ok(())
    }
}

struct Consume {
    load: Arc<Load>,
    consumer: Consumer,
}

#[async_trait]
impl Work<Found> for Consume {
    async fn run(&mut self) -> Result<Found> {
        let channels = &self.load.channels;
        let mut found = vec![Found::default(); channels.len()];
        let (mut messages, total) = (0, self.load.total());
        while messages < total {
            let pack = self.consumer.next_pack().await?.ok_or("the channels have ended")?;
            for message in &pack.msgs {
                let Message::Stored(message) = message else {
                    return Err("a message that was not read".into());
                };
                let row = message.decode_as::<InsertMsg>()?;
                let channel = channels.iter().position(|name| **name == *message.channel);
                let channel = channel.ok_or("a message of another channel")?;
                let request = row.body();
                found[channel].add(request.timestamps[0], &request.row_data[0].value)?;
            }
            messages += pack.msgs.len() as u64;
        }
        Ok(Found::sum(found))
    }
}
