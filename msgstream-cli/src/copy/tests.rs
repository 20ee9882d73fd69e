//! Copies to a simulated broker at which much goes wrong, by runs that are killed.
#![allow(clippy::unwrap_used)]

// What the tests from the outside copy, too.
#[path = "../../tests/cli/kit/channels.rs"]
#[allow(dead_code, unreachable_pub)]
mod channels;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msgstream_sim::{Rng, Sim, SimBuilder};
use tokio::time::timeout;

use self::channels::{Broker, Content, append, assert_equal, packs};
use super::args::CopyArgs;
use super::copier::Copier;
use super::place::{Place, now};
use super::verify::verify;
use crate::error::{Error, Result};

const CHANNELS: [&str; 3] = ["a", "b", "c"];

fn ms(range: Range<u64>) -> Range<Duration> {
    Duration::from_millis(range.start)..Duration::from_millis(range.end)
}

fn broken(seed: u64) -> SimBuilder {
    Sim::seed(seed)
        .clock(now())
        .latency(ms(0..20))
        .lost_acks(0.02)
        .unknown_outcomes(0.15)
        .partial_batches(0.15)
        .duplicates(0.03)
        .late_writes(ms(1..3_000))
        .disconnects(0.005, ms(10..2_000))
        .stale_reads(0.2, ms(1..500))
        .short_reads(0.1)
        .gaps(0.1)
}

fn args(follow: bool) -> CopyArgs {
    CopyArgs {
        source: String::new(),
        destination: String::new(),
        channels: Vec::new(),
        follow,
        skip_unreadable: false,
        verify: false,
        json: false,
    }
}

/// One run of a copy, to its end.
async fn copy(source: &Broker, destination: Broker, follow: bool) -> Result<Vec<Place>> {
    let names: BTreeSet<Arc<str>> = CHANNELS.map(Arc::from).into();
    let mut never = tokio::spawn(std::future::pending());
    let mut copier = Copier::begin(source, &destination, &names, &args(follow)).await?;
    assert!(copier.run(&mut never).await?);
    never.abort();
    copier.finish().await
}

/// What the runs of a world did.
#[derive(Debug, Default)]
struct Done {
    killed: u64,
    failed: u64,
    late: usize,
}

async fn world(seed: u64, done: &mut Done) {
    let mut rng = Rng::new(seed);
    let source: Broker = Arc::new(Sim::seed(seed).short_reads(0.1).build().transport());
    let sim = broken(seed).build();
    let mut contents = CHANNELS.map(|_| Content::new(rng.range(1..u64::MAX)));
    for n in 0..rng.range(1..6) {
        for (channel, content) in CHANNELS.iter().zip(&mut contents) {
            append(&source, channel, content.next(rng.range(20..150))).await;
            if n == 0 && rng.chance(0.2) {
                append(&source, channel, vec![content.end()]).await;
            }
        }
        // A run that is killed, or fails, or comes to its end.
        let time = Duration::from_millis(rng.range(1..8_000));
        match timeout(time, copy(&source, Arc::new(sim.transport()), rng.chance(0.5))).await {
            Err(_) => done.killed += 1,
            Ok(Err(_)) => done.failed += 1,
            Ok(Ok(_)) => {}
        }
    }
    for (channel, content) in CHANNELS.iter().zip(&contents) {
        append(&source, channel, vec![content.end()]).await;
    }
    sim.heal();
    let destination: Broker = Arc::new(sim.transport());
    let places = loop {
        match copy(&source, destination.clone(), true).await {
            // A fence of an earlier run that the broker stored only now.
            Err(Error::Stream(msgstream::Error::Fenced { .. })) => done.failed += 1,
            copied => break copied.unwrap(),
        }
    };
    verify(&source, &destination, &places, false).await.unwrap();
    let expected = packs(&source, &CHANNELS).await;
    assert_equal(&expected, &packs(&destination, &CHANNELS).await);
    done.late += expected.iter().flat_map(|(.., seen)| seen).filter(|seen| seen.late).count();
}

#[test]
fn runs_that_are_killed_while_their_broker_fails_lose_and_repeat_nothing() {
    let mut done = Done::default();
    // As many that never ran.
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for seed in (1..=25).chain(fresh..fresh + 25) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        println!("seed {seed}");
        runtime.block_on(world(seed, &mut done));
    }
    println!("{done:?}");
    assert!(done.killed > 20 && done.failed > 5 && done.late > 300, "{done:?}");
}
