//! `msgstream tail`: the messages of channels, as JSON lines.
//!
//! ```text
//! channels -> packs or raw -> sink -> stdout
//!                     checkpoint <-
//! ```

mod args;
mod checkpoint;
mod fields;
mod filter;
mod line;
mod packs;
mod raw;
mod sink;
mod until;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use msgstream::transport::{Start, Transport, TransportErrorKind};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

pub(crate) use self::args::TailArgs;
use self::checkpoint::Saver;
use self::packs::Packs;
use self::raw::Channel;
use self::sink::{Item, Sink};
use self::until::Until;
use crate::args::Point;
use crate::asked::Asked;
use crate::error::{Error, Result};
use crate::interrupt::interrupt;
use crate::parts::{first_cause, joined};
use crate::settings::{connect, connect_existing};
use crate::words::say;

/// Packs that are read and not written.
const PACKS: usize = 16;

/// How often it is looked whether a channel is there.
const LOOK: Duration = Duration::from_millis(100);

/// How long lines may take to be written after Ctrl-C: whoever reads them may have stopped, too.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) async fn run(args: &TailArgs) -> Result<()> {
    if matches!(args.from(), Point::At(_)) && args.channels.len() > 1 {
        let reason = "a position belongs to one channel: name one, or give --from a time";
        return Err(Error::Usage(reason.to_owned()));
    }
    let mut interrupted = pin!(interrupt());
    let broker = tokio::select! {
        biased;
        () = &mut interrupted => return Ok(()),
        broker = open_broker(args) => broker?,
    };
    let shown = show(&broker, args, interrupted).await;
    let shown = shown.map_err(|error| Asked::Show.of(&args.channels, error));
    shown.and(broker.close().await.map_err(Error::from))
}

/// Connects. With what follows, the log may come later, as the channels may.
async fn open_broker(args: &TailArgs) -> Result<Arc<dyn Transport>> {
    match args.stops() {
        true => connect_existing(&args.url).await,
        false => connect(&args.url).await,
    }
}

/// Shows messages to the end, or until Ctrl-C.
async fn show(
    broker: &Arc<dyn Transport>,
    args: &TailArgs,
    mut interrupted: Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    let (mut source, saver) = tokio::select! {
        biased;
        () = &mut interrupted => return Ok(()),
        opened = open(broker, args) => opened?,
    };
    let (shown, shown_until) = watch::channel(None);
    let sink = Sink::new(args, saver.is_some().then_some(shown));
    let mut saving = saver.map(|saver| tokio::spawn(saver.run(shown_until)));
    let (items, mut receiver) = mpsc::channel(PACKS);
    let writing = spawn_blocking(move || sink.run(&mut receiver));
    let read = tokio::select! {
        biased;
        () = &mut interrupted => None,
        read = source.run(&items) => Some(read),
        saved = ended(&mut saving) => Some(saved),
    };
    drop(items);
    // Lines end with the last item, and what is to be saved with the last line.
    let mut rest = pin!(async {
        let written = joined(writing).await;
        let saved = match saving {
            Some(saving) => joined(saving).await,
            None => Ok(()),
        };
        (written, saved)
    });
    if let Some(read) = read {
        tokio::select! {
            biased;
            () = interrupted => {}
            (written, saved) = &mut rest => return first_cause([written, saved, read]),
        }
    }
    match timeout(LAST_LINES, rest).await {
        Ok((written, saved)) => first_cause([written, saved, Ok(())]),
        Err(_) => Ok(()),
    }
}

/// Waits for the end of a part; for ever if there is none, or none any more.
async fn ended(part: &mut Option<JoinHandle<Result<()>>>) -> Result<()> {
    let Some(running) = part else { return std::future::pending().await };
    let end = joined(running).await;
    *part = None;
    end
}

/// What is shown.
enum Source {
    Packs(Box<Packs>),
    Raw(Arc<dyn Transport>, Vec<Channel>),
}

impl Source {
    async fn run(&mut self, items: &mpsc::Sender<Item>) -> Result<()> {
        match self {
            Self::Packs(packs) => packs.run(items).await,
            Self::Raw(broker, channels) => raw::run(broker, std::mem::take(channels), items).await,
        }
    }
}

async fn open(broker: &Arc<dyn Transport>, args: &TailArgs) -> Result<(Source, Option<Saver>)> {
    let (until, new) = match args.stops() {
        true => (Some(Until::now(broker.clone(), &args.channels).await?), Vec::new()),
        false => (None, wait_for(&**broker, &args.channels).await?),
    };
    let bounded: Arc<dyn Transport> = match &until {
        Some(until) => Arc::new(until.clone()),
        None => broker.clone(),
    };
    if args.raw {
        let channel = |name: &String| {
            let start = match args.from() {
                Point::Latest if new.contains(name) => Start::Earliest,
                from => from.into(),
            };
            let end = until.as_ref().and_then(|until| until.end(name));
            Channel { name: Arc::from(&**name), start, end }
        };
        let channels = args.channels.iter().map(channel).collect();
        return Ok((Source::Raw(bounded, channels), None));
    }
    let (saver, begun) = match &args.checkpoint {
        None => (None, None),
        Some(path) => {
            let (saver, begun) = Saver::open(path, &args.channels).await?;
            if begun.is_some() && args.from.is_some() {
                let path = path.display();
                say(&format!(
                    "--from counts for a new checkpoint: this goes on after what `{path}` says was shown"
                ));
            }
            (Some(saver), begun)
        }
    };
    let packs = Packs::open(bounded, args, &new, until, begun).await?;
    Ok((Source::Packs(Box::new(packs)), saver))
}

/// Waits until all channels are there. Returns those that came meanwhile.
async fn wait_for(broker: &dyn Transport, channels: &[String]) -> Result<Vec<String>> {
    let mut new = Vec::new();
    for channel in channels {
        while let Err(error) = broker.describe(channel).await {
            if *error.kind() != TransportErrorKind::NotFound {
                return Err(error.into());
            }
            if new.last() != Some(channel) {
                say(&format!("waiting for channel `{channel}`, which isn't there yet"));
                new.push(channel.clone());
            }
            sleep(LOOK).await;
        }
    }
    Ok(new)
}
