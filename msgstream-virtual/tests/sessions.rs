//! Whatever fails and whenever a producer crashes, each message of a session on virtual channels counts
//! once, for those who read them and for those who read the physical channels whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../msgstream-core/tests/session/faults.rs"]
mod faults;

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::message::{TimeSyncMsg, TimeTickMsg};
use msgstream_core::produce::{InSession, SessionConfig};
use msgstream_core::record::{END_HEADER, Header};
use msgstream_core::transport::{Fate, Start, Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{Consumer, Error, LatePolicy, Producer, Timestamp, TsMsg};
use msgstream_virtual::{Placement, Virtual};
use proptest::prelude::*;

use self::faults::{Fault, Flaky};

const PHYSICAL: [&str; 3] = ["log_0", "log_1", "log_2"];
/// On all physical channels, two of them on one.
const CHANNELS: [&str; 4] = ["a", "b", "c", "d"];

fn placement() -> Placement {
    let at = |name: &str| CHANNELS.iter().position(|channel| *channel == name);
    Placement::with(move |name| Some(PHYSICAL[at(name)? % 3].to_owned()))
}

#[derive(Clone, Debug)]
enum Step {
    /// Submits messages to these channels without waiting.
    Submit(Vec<usize>),
    /// Ticks, and waits until all have the tick.
    Tick(bool),
    Confirm,
    /// Nothing more comes of what is in flight, and another session opens.
    Crash,
    /// Another session opens, and the old one writes on.
    Replace,
    Fail(usize, Vec<Fault>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![
        2 => Just(Fault::None),
        1 => Just(Fault::LostAck),
        1 => Just(Fault::Refused),
        2 => (0_usize..3).prop_map(Fault::Holes),
    ];
    let faults = prop::collection::vec(fault, 1..4);
    let step = prop_oneof![
        5 => prop::collection::vec(0..4_usize, 1..8).prop_map(Step::Submit),
        2 => any::<bool>().prop_map(Step::Tick),
        1 => Just(Step::Confirm),
        2 => Just(Step::Crash),
        1 => Just(Step::Replace),
        3 => (0..3_usize, faults).prop_map(|(at, faults)| Step::Fail(at, faults)),
    ];
    prop::collection::vec(step, 1..16)
}

/// A program that goes on in its source behind the last time that counted when it opened. The source
/// of each channel has the even times; what has an odd one was written by a session that isn't the
/// newest any more.
struct Program {
    channels: Arc<dyn Transport>,
    producer: Producer<InSession>,
    /// How many messages of each channel were submitted.
    sent: [u64; 4],
    ticked: u64,
}

impl Program {
    async fn start(channels: Arc<dyn Transport>) -> Result<Self, Error> {
        let config = SessionConfig::new("p").with_home("log_0");
        let builder = Producer::builder(channels.clone()).channels(CHANNELS);
        let producer = builder.session(config).open().await?;
        let sent = CHANNELS.map(|channel| producer.opened().last[channel]);
        Ok(Self { channels, producer, sent, ticked: 0 })
    }

    fn submit(&mut self, to: usize, ts: u64) -> Result<(), Error> {
        let message = TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([to as u32]);
        drop(self.producer.submit(message)?);
        Ok(())
    }

    async fn run(mut self, flaky: &Flaky, steps: &[Step]) -> Result<Self, Error> {
        for step in steps {
            match step {
                Step::Submit(to) => {
                    for to in to {
                        self.sent[*to] += 1;
                        // After the last tick of all channels, whatever this one has.
                        self.submit(*to, 2 * self.sent[*to])?;
                    }
                }
                Step::Tick(waits) => {
                    let least = 2 * self.sent.iter().min().copied().unwrap_or_default();
                    if least > self.ticked {
                        let receipt = self.producer.submit_tick(Timestamp(least))?;
                        if *waits {
                            drop(receipt.await?);
                        }
                        self.ticked = least;
                    }
                }
                Step::Confirm => self.producer.confirm().await?,
                Step::Crash => {
                    let Self { channels, producer, sent, .. } = self;
                    for _ in 0..sent.iter().sum::<u64>() % 7 {
                        tokio::task::yield_now().await;
                    }
                    drop(producer);
                    self = Self::start(channels).await?;
                }
                Step::Replace => {
                    let mut new = Self::start(self.channels.clone()).await?;
                    for to in 0..4 {
                        self.submit(to, 2 * self.sent[to] + 1)?;
                    }
                    new.producer.confirm().await?;
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    self = new;
                }
                Step::Fail(at, faults) => flaky.fail(PHYSICAL[*at], faults.clone()),
            }
        }
        Ok(self)
    }
}

/// What is delivered on channels: the times by virtual channel, and the ends of packs.
async fn delivered(
    transport: Arc<dyn Transport>,
    channels: &[&str],
) -> (BTreeMap<String, Vec<u64>>, Vec<u64>, u64) {
    let builder = Consumer::builder(transport).channels(channels.iter().copied());
    let mut packs = builder.late_policy(LatePolicy::Deliver).open().await.unwrap();
    let (mut times, mut ends) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    while let Some(pack) = packs.next_pack().await.unwrap() {
        ends.push(pack.end_ts.0);
        for msg in pack.msgs.iter().filter_map(|msg| msg.stored()) {
            let of = msg.record.meta.vchannel.as_deref().unwrap().to_owned();
            assert!(msg.late || pack.begin_ts < Some(msg.record.meta.timestamp));
            times.entry(of).or_default().push(msg.record.meta.timestamp.0);
        }
    }
    (times, ends, packs.status().merge.counts.missing)
}

fn boxed(message: impl TsMsg) -> Box<dyn TsMsg> {
    Box::new(message)
}

/// Ends a physical channel for those who read it whole.
async fn end(broker: &dyn Transport, channel: &str) {
    let mut record = boxed(TimeTickMsg::new(Timestamp(1 << 40))).to_record();
    record.extra.push(Header::new(END_HEADER, "1"));
    let outcome = broker.writer(channel).await.unwrap().submit(vec![record]).await;
    assert_eq!(outcome.stored.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_message_counts_once_in_order(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let flaky = Flaky::new(&PHYSICAL).await;
            let channels: Arc<dyn Transport> =
                Arc::new(Virtual::over(flaky.arc(), placement()));
            let program = Program::start(channels.clone()).await.unwrap();
            let program = program.run(&flaky, &steps).await.unwrap();
            let sent = program.sent;
            let last = sent.iter().max().copied().unwrap_or_default();
            program.producer.end(Timestamp(2 * last + 1)).await.unwrap();
            let expected: BTreeMap<_, Vec<_>> = CHANNELS
                .iter()
                .zip(sent)
                .filter(|(_, sent)| *sent > 0)
                .map(|(channel, sent)| ((*channel).to_owned(), (1..=sent).map(|n| 2 * n).collect()))
                .collect();

            let (times, ends, missing) = delivered(channels, &CHANNELS).await;
            assert_eq!((times, missing), (expected.clone(), 0));
            assert!(ends.is_sorted_by(|a, b| a < b));

            // Who reads the physical channels whole takes the same.
            for channel in PHYSICAL {
                end(&*flaky.inner, channel).await;
            }
            let (mut times, ends, missing) = delivered(flaky.inner.clone(), &PHYSICAL).await;
            times.values_mut().for_each(|times| times.sort_unstable());
            assert_eq!((times, ends.len(), missing), (expected, 1, 0));
        });
    }
}

/// A failed batch of one virtual channel poisons its own writer; another one of the same physical channel
/// goes on.
#[tokio::test]
async fn poison_is_per_virtual_channel() {
    let flaky = Flaky::new(&["p_0"]).await;
    let channels = Virtual::over(flaky.arc(), Placement::hash(1, "p"));
    let record = || boxed(TimeSyncMsg::new(Timestamp(1))).to_record();
    let mut bad = channels.writer("bad").await.unwrap();
    let mut good = channels.writer("good").await.unwrap();
    flaky.fail("p_0", [Fault::Refused]);
    let failed = bad.submit(vec![record()]).await;
    assert_eq!(failed.rest.unwrap().fate, Fate::NotStored);
    let again = bad.submit(vec![record()]).await.rest.unwrap().error;
    assert_eq!(*again.kind(), TransportErrorKind::Poisoned);
    assert_eq!(again.channel(), Some("bad"));
    good.ready().await.unwrap();
    assert_eq!(good.submit(vec![record()]).await.stored.len(), 1);
    // Neither is what another one of them is refused for.
    let mut other = channels.writer("other").await.unwrap();
    let mut foreign = record();
    foreign.meta.vchannel = Some("good".into());
    let error = other.submit(vec![foreign]).await.rest.unwrap().error;
    assert!(matches!(error.kind(), TransportErrorKind::InvalidHeader { .. }), "{error}");
    assert_eq!(good.submit(vec![record()]).await.stored.len(), 1);
    other.close().await.unwrap();
    good.ready().await.unwrap();
    good.close().await.unwrap();
}

/// A session's home channel is a physical one.
#[tokio::test]
async fn a_home_on_a_virtual_channel_is_refused() {
    let broker = Flaky::new(&["p_0"]).await;
    let channels: Arc<dyn Transport> =
        Arc::new(Virtual::over(broker.arc(), Placement::hash(1, "p")));
    let session = SessionConfig::new("s").with_home("home");
    let opened = Producer::builder(channels).channels(["a"]).session(session).open().await;
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("with_home"), "{error}");
    let mut reader = broker.inner.reader("p_0", Start::Earliest).await.unwrap();
    assert!(reader.read(Default::default()).await.unwrap().records.is_empty());
}
