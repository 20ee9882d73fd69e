//! Whatever fails and whenever the producer crashes, each message is delivered once, in order.

use msgstream_core::produce::SessionConfig;
use msgstream_core::{Error, MsgStream, Timestamp};
use proptest::prelude::*;

use crate::common::insert;
use crate::faults::{Fault, Flaky};
use crate::{AB, config, delivered, open};

#[derive(Clone, Debug)]
enum Step {
    /// Submits batches of these sizes without waiting.
    Submit(Vec<u64>),
    Tick,
    Confirm,
    /// Nothing more comes of what is in flight, and another session opens.
    Crash,
    Fail(Vec<Fault>),
    FailHome(Vec<Fault>),
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        2 => Just(Fault::None),
        1 => Just(Fault::LostAck),
        1 => Just(Fault::Refused),
        2 => (0_usize..3).prop_map(Fault::Holes),
    ];
    prop::collection::vec(fault, 1..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(1_u64..4, 1..5).prop_map(Step::Submit),
        2 => Just(Step::Tick),
        1 => Just(Step::Confirm),
        2 => Just(Step::Crash),
        3 => faults().prop_map(Step::Fail),
        1 => faults().prop_map(Step::FailHome),
    ];
    prop::collection::vec(step, 1..20)
}

/// A program that goes on in its source, the even numbers, from what it was told.
struct Program {
    flaky: Flaky,
    stream: MsgStream,
    /// How many messages were submitted.
    sent: u64,
}

impl Program {
    async fn start(flaky: Flaky, config: SessionConfig) -> Result<Self, Error> {
        let (stream, opened) = open(&flaky.arc(), config).await?;
        Ok(Self { flaky, stream, sent: opened.last["a"] })
    }

    async fn run(mut self, steps: &[Step]) -> Result<Self, Error> {
        for step in steps {
            match step {
                Step::Submit(batches) => {
                    for size in batches {
                        let times = (self.sent + 1..=self.sent + size).map(|n| 2 * n);
                        let pack = times.map(|ts| insert(ts, ts as u32)).collect();
                        drop(self.stream.submit(pack)?);
                        self.sent += size;
                    }
                }
                Step::Tick => drop(self.stream.tick(Timestamp(2 * self.sent)).await?),
                Step::Confirm => self.stream.confirm().await?,
                Step::Crash => {
                    // Some of it gets through before.
                    for _ in 0..self.sent % 7 {
                        tokio::task::yield_now().await;
                    }
                    self = Self::start(self.flaky, config()).await?;
                }
                Step::Fail(faults) => self.flaky.fail("a", faults.clone()),
                Step::FailHome(faults) => self.flaky.fail("home", faults.clone()),
            }
        }
        Ok(self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_message_is_delivered_once_in_order(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let flaky = Flaky::new(&["home", AB[0], AB[1]]).await;
            let program = Program::start(flaky.clone(), config()).await.unwrap();
            let mut program = program.run(&steps).await.unwrap();
            program.stream.end(Timestamp(2 * program.sent + 1)).await.unwrap();
            program.stream.close().await.unwrap();
            let (times, consumer) = delivered(&flaky).await;
            let expected: Vec<_> = (1..=program.sent).map(|n| 2 * n).collect();
            assert_eq!(times, expected);
            assert_eq!(consumer.status().merge.counts.missing, 0);
        });
    }
}
