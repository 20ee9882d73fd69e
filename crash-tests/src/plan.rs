//! What a round writes: every number's time and contents follow from the plan, so that they can be
//! told from anything else.

use std::time::Duration;

use msgstream::message::{SerdeBody, SerdeMsg};
use msgstream::{MsgType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Event time begins here, in Unix milliseconds.
const BEGIN: u64 = 1_700_000_000_000;

/// So many ticks does each producer write.
const TICKS: u64 = 20;

/// Producers with channels of their own, each of which gets the numbers from 1 on. So each producer
/// is the one authority for the ticks of its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What the names of the channels begin with.
    pub(crate) prefix: String,
    /// On how many physical channels the channels are, if they are virtual ones.
    pub(crate) physical: Option<u32>,
    pub(crate) producers: u32,
    /// Of each producer.
    pub(crate) channels: u32,
    /// On each channel.
    pub(crate) numbers: u64,
    /// The longest time that a process or a part of a round may take, in seconds.
    pub(crate) deadline: u64,
}

/// The contents of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    producer: u32,
    channel: u32,
    pub(crate) number: u64,
    fill: String,
}

impl SerdeBody for Body {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

impl Plan {
    /// A channel, by its producer and its index among that one's.
    pub(crate) fn channel(&self, producer: u32, channel: u32) -> String {
        format!("{}-{producer}-{channel:02}", self.prefix)
    }

    /// The home channel of a producer's session. If channels are virtual ones, it is one of those
    /// that they are on.
    pub(crate) fn home(&self, producer: u32) -> String {
        match self.physical {
            Some(channels) => self.physical_channel(producer % channels),
            None => format!("{}-home-{producer}", self.prefix),
        }
    }

    /// The channels that the broker has.
    pub(crate) fn created(&self) -> Vec<String> {
        if let Some(channels) = self.physical {
            return (0..channels).map(|number| self.physical_channel(number)).collect();
        }
        let homes = (0..self.producers).map(|producer| self.home(producer));
        self.all_channels().map(|(channel, ..)| channel).chain(homes).collect()
    }

    fn physical_channel(&self, number: u32) -> String {
        format!("{}-on_{number}", self.prefix)
    }

    /// The URL for a round's processes: virtual channels have a placement that is the round's own.
    pub(crate) fn url(&self, url: &str) -> String {
        let Some(channels) = self.physical else { return url.to_owned() };
        let sign = if url.contains('?') { '&' } else { '?' };
        format!("{url}{sign}placement=hash:{channels}:{}-on", self.prefix)
    }

    /// All channels with messages: name, producer and index.
    pub(crate) fn all_channels(&self) -> impl Iterator<Item = (String, u32, u32)> {
        let of = move |p| (0..self.channels).map(move |c| (self.channel(p, c), p, c));
        (0..self.producers).flat_map(of)
    }

    /// How many messages there are.
    pub(crate) const fn messages(&self) -> u64 {
        self.producers as u64 * self.channels as u64 * self.numbers
    }

    /// How many packs there are at the least: one for each tick.
    pub(crate) fn packs(&self) -> u64 {
        u64::from(self.producers) * self.numbers.div_ceil(self.block())
    }

    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }

    /// A tick follows so many numbers.
    const fn block(&self) -> u64 {
        let block = self.numbers.div_ceil(TICKS);
        if block == 0 { 1 } else { block }
    }

    /// The tick behind a number, where there is one. Each producer has ticks at other times.
    pub(crate) fn tick_after(&self, producer: u32, number: u64) -> Option<Timestamp> {
        number.is_multiple_of(self.block()).then(|| self.tick(producer, number))
    }

    /// The tick behind the last number.
    pub(crate) fn end(&self, producer: u32) -> Timestamp {
        self.tick(producer, self.numbers)
    }

    fn tick(&self, producer: u32, number: u64) -> Timestamp {
        millis(self.begin(producer) + number.div_ceil(self.block()) * self.block())
    }

    fn begin(&self, producer: u32) -> u64 {
        BEGIN + u64::from(producer) * self.block() / u64::from(self.producers.max(1))
    }

    /// The time of a number: any between the tick before and the tick behind it.
    pub(crate) fn ts(&self, producer: u32, channel: u32, number: u64) -> Timestamp {
        let before = (number.saturating_sub(1) / self.block()) * self.block();
        let within = mix(producer, channel, number) % self.block();
        millis(self.begin(producer) + before + 1 + within)
    }

    pub(crate) fn body(&self, producer: u32, channel: u32, number: u64) -> Body {
        let fill = format!("{:016x}", mix(producer, channel, number)).repeat(4);
        Body { producer, channel, number, fill }
    }

    /// The message of a number. The library's own repack takes it to its channel.
    pub(crate) fn message(
        &self,
        producer: u32,
        channel: u32,
        number: u64,
    ) -> Result<SerdeMsg<Body>> {
        let body = self.body(producer, channel, number);
        let message = SerdeMsg::new(self.ts(producer, channel, number), body);
        Ok(message.map_err(Error::Json)?.with_hash_keys([channel]))
    }
}

const fn millis(millis: u64) -> Timestamp {
    Timestamp(millis << Timestamp::LOGICAL_BITS)
}

fn mix(producer: u32, channel: u32, number: u64) -> u64 {
    Rng(number ^ (u64::from(producer) << 48) ^ (u64::from(channel) << 40)).next()
}

/// Random numbers of a seed (splitmix64), the same on every machine.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_between_the_ticks_around_them() {
        for numbers in [1, 7, 20, 1001] {
            let plan = Plan {
                prefix: "p".into(),
                physical: None,
                producers: 3,
                channels: 2,
                numbers,
                deadline: 1,
            };
            for (_, producer, channel) in plan.all_channels() {
                let mut watermark = Timestamp::MIN;
                for number in 1..=numbers {
                    let ts = plan.ts(producer, channel, number);
                    assert!(ts > watermark && ts <= plan.tick(producer, number));
                    watermark = plan.tick_after(producer, number).unwrap_or(watermark);
                }
                assert!(plan.end(producer) >= watermark);
            }
        }
    }
}
