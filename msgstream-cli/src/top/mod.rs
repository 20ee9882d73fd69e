//! `msgstream top`: what a consumer of channels does, live.
//!
//! A sample is taken of the consumer every second; `state` makes rows of samples and obeys the keys;
//! `draw` draws them.

mod args;
mod draw;
#[cfg(test)]
mod picture;
#[cfg(test)]
mod planted;
mod sample;
mod screen;
mod state;
mod text;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use msgstream::consume::LatePolicy;
use msgstream::transport::Transport;
use msgstream::{Consumer, Timestamp};
use ratatui::crossterm::event::EventStream;
use tokio::time::MissedTickBehavior;

pub(crate) use self::args::TopArgs;
use self::draw::draw;
use self::sample::{Delivered, Sample};
use self::screen::{Screen, key};
use self::state::{Then, View};
use self::text::public;
use crate::error::{Error, Result, chain};
use crate::home::all_but_homes;
use crate::interrupt::interrupt;
use crate::settings::connect_existing;

/// How often a sample is taken.
const EVERY: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) async fn run(args: &TopArgs) -> Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let broker = connect_existing(&args.url).await?;
    let shown = show(args, broker.clone()).await;
    shown.and(broker.close().await.map_err(Error::from))
}

async fn show(args: &TopArgs, broker: Arc<dyn Transport>) -> Result<()> {
    let channels = match args.channels.is_empty() {
        true => all_but_homes(&*broker).await?,
        false => args.channels.clone(),
    };
    let consumer = Consumer::builder(broker).channels(channels).start(args.from.into());
    // What is late is no reason to stop here.
    let consumer = consumer.late_policy(LatePolicy::Deliver).open().await?;
    let screen = Screen::open().map_err(|source| Error::Terminal { source })?;
    watch(consumer, View::new(public(&args.url)), screen).await
}

/// Shows a consumer until somebody quits.
async fn watch(mut consumer: Consumer, mut view: View, mut screen: Screen) -> Result<()> {
    let terminal = |source| Error::Terminal { source };
    let (began, mut delivered, mut trouble) = (Instant::now(), Delivered::default(), None);
    let (mut reading, mut ended) = (true, false);
    let mut samples = tokio::time::interval(EVERY);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut events = EventStream::new();
    let mut interrupted = std::pin::pin!(interrupt());
    loop {
        tokio::select! {
            pack = consumer.next_pack(), if reading => {
                match pack {
                    Ok(Some(pack)) => {
                        delivered.add(&pack);
                        trouble = None;
                    }
                    Ok(None) => (reading, ended) = (false, true),
                    // It is tried again with the next sample.
                    Err(error) => (reading, trouble) = (false, Some(chain(&error))),
                }
                continue;
            }
            _ = samples.tick() => {
                let status = consumer.status();
                let now = now();
                view.update(Sample::of(&status, &delivered, began.elapsed(), now, trouble.clone()));
                reading = !ended;
            }
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(key) = key(&event)
                        && view.press(key) == Then::Quit
                    {
                        return Ok(());
                    }
                }
                Some(Err(source)) => return Err(terminal(source)),
                // The terminal is gone.
                None => return Ok(()),
            },
            () = &mut interrupted => return Ok(()),
        }
        screen.draw(|frame| draw(frame, &mut view)).map_err(terminal)?;
    }
}

fn now() -> Timestamp {
    // A clock that is before 1970 is as good as none.
    Timestamp::from_unix_millis(jiff::Timestamp::now().as_millisecond()).unwrap_or(Timestamp::MIN)
}
