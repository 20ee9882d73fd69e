//! Whatever is written in whatever order, however consuming is cancelled and resumed meanwhile, and
//! whichever reads and seeks fail for a while: the packs are those of one run over all of it.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::transport::Transport;
use msgstream_core::{
    Checkpoint, ConsumerConfig, Error, LatePolicy, MsgPack, StoredMessage, TickSource, TtMsgStream,
};
use proptest::prelude::*;

use crate::rig::Entry::{self, Msg, Tick};
use crate::rig::{Rig, write};
use crate::{consuming, once};

const NAMES: [&str; 3] = ["b", "c", "a"];
/// The last tick of every channel, after everything else.
const LAST: u64 = 1000;
/// More than all logs together, in bytes.
const PLENTY: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Writes so many entries of the channel's log.
    Write(usize, usize),
    /// Polls `consume` so often, dropping it each time.
    Poll(usize),
    /// Waits for packs that may be there, and gives up after a while.
    Consume,
    /// The same stream goes on from the end of its last pack.
    Resume,
    /// Another stream goes on from there, by a checkpoint as JSON.
    Reopen,
}

#[derive(Clone, Debug)]
struct Case {
    late: LatePolicy,
    batch: usize,
    budget: usize,
    logs: Vec<Vec<Entry>>,
    steps: Vec<Step>,
    /// Whether the first reads and seeks fail.
    failures: Vec<bool>,
}

fn log() -> impl Strategy<Value = Vec<Entry>> {
    let step = prop_oneof![
        3 => (-3i64..14).prop_map(|d| (false, d)),
        1 => (-2i64..9).prop_map(|d| (true, d)),
    ];
    prop::collection::vec(step, 0..30).prop_map(|steps| {
        let mut clock = 5i64;
        let mut log = Vec::new();
        for (tick, d) in steps {
            let ts = u64::try_from(clock + d).unwrap_or(0);
            if tick {
                clock = clock.max(clock + d);
                log.push(Tick(ts));
            } else {
                log.push(Msg(ts));
            }
        }
        log.push(Tick(LAST));
        log
    })
}

fn case() -> impl Strategy<Value = Case> {
    let step = prop_oneof![
        4 => (0..NAMES.len(), 1usize..10).prop_map(|(channel, n)| Step::Write(channel, n)),
        3 => (1usize..6).prop_map(Step::Poll),
        2 => Just(Step::Consume),
        1 => Just(Step::Resume),
        1 => Just(Step::Reopen),
    ];
    (
        prop_oneof![Just(LatePolicy::Deliver), Just(LatePolicy::Drop)],
        1usize..8,
        // The small one is less than a log: channels are paused, and what they read given up.
        prop_oneof![Just(PLENTY), Just(6 << 10)],
        prop::collection::vec(log(), NAMES.len()),
        prop::collection::vec(step, 0..40),
        prop::collection::vec(prop::bool::weighted(0.4), 0..150),
    )
        .prop_map(|(late, batch, budget, logs, steps, failures)| Case {
            late,
            batch,
            budget,
            logs,
            steps,
            failures,
        })
}

struct Run {
    transport: Arc<dyn Transport>,
    config: ConsumerConfig,
    stream: TtMsgStream,
    packs: Vec<MsgPack>,
}

impl Run {
    fn done(&self) -> bool {
        self.packs.last().is_some_and(|pack| pack.end_ts.0 >= LAST)
    }

    /// Takes note of what `consume` gave. Where one interval is over the budget, that is raised.
    fn note(&mut self, pack: Result<Option<MsgPack>, Error>) {
        match pack {
            Ok(pack) => self.packs.extend(pack),
            Err(Error::WindowTooLarge { .. }) => self.stream.set_budget_bytes(PLENTY),
            Err(error) => panic!("{error}"),
        }
    }

    async fn step(&mut self, step: Step, left: &mut [&[Entry]]) {
        match step {
            Step::Write(channel, n) => {
                let (now, later) = left[channel].split_at(n.min(left[channel].len()));
                write(&*self.transport, NAMES[channel], now).await;
                left[channel] = later;
            }
            Step::Poll(times) => {
                for _ in 0..times {
                    if let Some(pack) = once(self.stream.consume()).await {
                        self.note(pack);
                    }
                }
            }
            Step::Consume => {
                let waiting = Duration::from_millis(100);
                if let Ok(pack) = tokio::time::timeout(waiting, self.stream.consume()).await {
                    self.note(pack);
                }
            }
            // Before the first pack there is no place to go on from.
            Step::Resume | Step::Reopen if self.packs.is_empty() => {}
            Step::Resume => {
                let end = &self.packs[self.packs.len() - 1].end;
                self.stream.resume(None, end, |_| TickSource::Written).await.unwrap();
            }
            Step::Reopen => {
                let stored = serde_json::to_string(&self.stream.checkpoint()).unwrap();
                let restored: Checkpoint = serde_json::from_str(&stored).unwrap();
                let mut stream = TtMsgStream::new(self.transport.clone(), self.config).unwrap();
                stream.resume(None, &restored, |_| TickSource::Written).await.unwrap();
                stream.start().unwrap();
                self.stream = stream;
            }
        }
    }
}

type Same = (Option<u64>, u64, Vec<StoredMessage>, Checkpoint);

fn same(packs: &[MsgPack]) -> Vec<Same> {
    let of = |pack: &MsgPack| {
        let msgs = pack.msgs.iter().map(|m| m.stored().unwrap().clone()).collect();
        (pack.begin_ts.map(|ts| ts.0), pack.end_ts.0, msgs, pack.end.clone())
    };
    packs.iter().map(of).collect()
}

async fn check(case: Case) -> (Vec<Same>, Vec<Same>) {
    let rig = Rig::new(&NAMES.map(|name| (name, [].as_slice()))).await;
    rig.plan().failures = case.failures.into();
    let transport = rig.shared();
    let config = ConsumerConfig::default()
        .with_late_policy(case.late)
        .with_max_records(case.batch)
        .with_budget_bytes(case.budget)
        .with_retry_for(Duration::MAX);
    let stream = consuming(transport.clone(), &NAMES, config).await;
    let mut run = Run { transport, config, stream, packs: Vec::new() };
    let mut left: Vec<_> = case.logs.iter().map(Vec::as_slice).collect();
    for step in case.steps {
        if !run.done() {
            run.step(step, &mut left).await;
        }
    }
    for channel in 0..NAMES.len() {
        run.step(Step::Write(channel, usize::MAX), &mut left).await;
    }
    while !run.done() {
        let pack = run.stream.consume().await;
        run.note(pack);
    }
    rig.plan().failures.clear();
    let whole = ConsumerConfig::default().with_late_policy(case.late);
    let mut stream = consuming(run.transport, &NAMES, whole).await;
    let mut at_once = Vec::new();
    while at_once.last().is_none_or(|pack: &MsgPack| pack.end_ts.0 < LAST) {
        at_once.extend(stream.consume().await.unwrap());
    }
    (same(&run.packs), same(&at_once))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_packs_are_those_of_one_run(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (packs, at_once) = runtime.block_on(check(case));
        prop_assert_eq!(packs, at_once);
    }
}
