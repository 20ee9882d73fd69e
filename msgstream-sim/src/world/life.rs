//! Lives and deaths of programs: a program is a future, and one that crashes is one that isn't
//! polled any more.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use super::World;
use crate::Rng;

/// A program that runs until it has nothing more to do, or is interrupted at an await.
pub(super) type Program = BoxFuture<'static, ()>;

/// Polls a program so many times, each an event of the run; more often as long as `on` says so.
/// Says whether the program came to its own end.
async fn live(
    world: &World,
    name: &str,
    program: &mut Program,
    mut polls: u64,
    on: impl Fn() -> bool,
) -> bool {
    poll_fn(|cx| {
        if polls == 0 && !on() {
            return Poll::Ready(false);
        }
        polls = polls.saturating_sub(1);
        world.sim.note(format_args!("poll {name}"));
        match program.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if polls == 0 && !on() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls a future until it is done or was polled so many times, then drops it.
pub(super) async fn cancelled_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Starts a program again and again until `done`, each time from what is durable. A crash drops it
/// at an await. Some are only believed dead: they go on as zombies, beside those that take their
/// place.
pub(super) async fn supervise(
    world: Arc<World>,
    name: String,
    mut rng: Rng,
    start: impl Fn(Arc<World>, String, Rng) -> Program,
    done: impl Fn(&World) -> bool,
) {
    for life in 0_u32.. {
        if done(&world) {
            return;
        }
        let name = format!("{name}.{life}");
        let mut program = start(world.clone(), name.clone(), rng.fork());
        let polls = lifetime(world.plan.crashes, &mut rng);
        // Where all is well, nobody crashes.
        let ended = live(&world, &name, &mut program, polls, || world.is_calm()).await;
        if !ended && rng.chance(world.plan.zombies) {
            tokio::spawn(undead(world.clone(), name, program, rng.fork()));
        }
        sleep(Duration::from_millis(rng.range(0..300))).await;
    }
}

/// How many polls a life has: few, so that starting is interrupted too, or many. Of none, the one
/// that is started next and the zombie start at the same time.
fn lifetime(crashes: f64, rng: &mut Rng) -> u64 {
    let most = [2, 30, 300, 2_000][rng.index(4)];
    if rng.chance(crashes) { rng.range(0..most) } else { u64::MAX }
}

/// Goes on for a while, at once or after a pause, and ends for good.
async fn undead(world: Arc<World>, name: String, mut program: Program, mut rng: Rng) {
    if rng.chance(0.5) {
        sleep(Duration::from_millis(rng.range(1..8_000))).await;
    }
    live(&world, &format!("{name} (zombie)"), &mut program, rng.range(1..400), || false).await;
}
