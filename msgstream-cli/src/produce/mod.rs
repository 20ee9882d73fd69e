//! `msgstream produce`: rows to channels.
//!
//! ```text
//! files -> rows -> times, route -> producer -> channels
//! ```
//!
//! Reading has a thread of its own, so that Ctrl-C works while a read waits.

mod args;
mod format;
mod pace;
mod progress;
mod route;
mod rows;
mod session;
mod times;
mod write;

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;

use msgstream::Producer;
use msgstream::transport::Transport;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

pub(crate) use self::args::ProduceArgs;
use self::progress::progress;
use self::route::Route;
use self::rows::Input;
use self::times::{Ticked, Times};
use self::write::Writer;
use crate::args::Late;
use crate::error::{Error, Result};
use crate::interrupt::{interrupt, unless};
use crate::settings::connect;
use crate::words::say;

/// Rows that are read and not written.
const ROWS: usize = 1024;

/// Runs the command: the summary goes to stderr.
pub(crate) async fn run(args: &ProduceArgs) -> Result<()> {
    let late_by_clock = args.tick_clock.is_some() && args.time_column.is_some();
    if args.session.is_some() && args.late == Late::Drop && late_by_clock {
        let reason = "--late drop can't be combined with --session and --tick-clock, since the \
                      clock would decide which rows are there: tick with --tick";
        return Err(Error::Usage(reason.to_owned()));
    }
    let input = Input::new(args)?;
    let mut interrupted = pin!(interrupt());
    let broker = unless(&mut interrupted, connect(&args.url)).await?;
    let done = run_on(&broker, args, &input, interrupted).await;
    done.and(broker.close().await.map_err(Error::from))
}

async fn run_on(
    broker: &Arc<dyn Transport>,
    args: &ProduceArgs,
    input: &Input,
    mut interrupted: Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    let Some(session) = &args.session else {
        let builder = Producer::builder(broker.clone()).channels(args.channels.clone());
        let builder = if args.no_create { builder } else { builder.create_missing() };
        let open = async { Ok(builder.open().await?) };
        let producer = unless(&mut interrupted, open).await?;
        let route = Route::new(&args.channels, &BTreeMap::new());
        let times = Times::new(args, Ticked::default());
        let mut writer = Writer::new(producer, args, input, route, times);
        write(&mut writer, args, input, &mut interrupted).await?;
        return unless(&mut interrupted, finish(writer, args)).await;
    };
    let open = async {
        let Some(producer) = session::open(broker, args, session).await? else { return Ok(None) };
        Ok(Some((producer, session::ticked(&**broker, &args.channels).await?)))
    };
    let Some((producer, ticked)) = unless(&mut interrupted, open).await? else { return Ok(()) };
    let route = Route::new(&args.channels, &producer.opened().last);
    let mut writer = Writer::new(producer, args, input, route, Times::new(args, ticked));
    write(&mut writer, args, input, &mut interrupted).await?;
    let finish = async {
        writer.check(&args.channels, session)?;
        writer.producer.flush().await?;
        // What was acknowledged counts, unless another run has opened the session meanwhile.
        writer.producer.confirm().await?;
        finish(writer, args).await
    };
    unless(&mut interrupted, finish).await
}

/// Writes all rows. Where it stops before the end, what was submitted is stored first.
async fn write<S>(
    writer: &mut Writer<'_, S>,
    args: &ProduceArgs,
    input: &Input,
    interrupted: &mut Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    let bar = progress(args);
    let (sender, mut rows) = mpsc::channel(ROWS);
    let (reading, progress) = (input.clone(), bar.clone());
    let reading = spawn_blocking(move || reading.read(&progress, &sender));
    let written = unless(interrupted, writer.run(&mut rows, &bar)).await;
    bar.finish_and_clear();
    let Err(error) = written else {
        // A reader that panicked must not look like the end of the input.
        return reading.await.map_err(|e| Error::Runtime { reason: e.to_string() });
    };
    match writer.producer.flush().await {
        Ok(()) => {
            say(&format!("stopped before the end of the input: {}", writer.tally));
            Err(error)
        }
        // It knows better why a writer accepts nothing more.
        Err(failed) if matches!(error, Error::Stream(_)) => Err(failed.into()),
        Err(failed) => {
            say(&format!("not all rows are stored: {}", crate::error::chain(&failed)));
            Err(error)
        }
    }
}

/// Writes the last tick, closes the channels, and says what was done.
async fn finish<S>(writer: Writer<'_, S>, args: &ProduceArgs) -> Result<()> {
    let told = writer.tally.to_string();
    writer.finish(args.end).await?;
    say(&told);
    Ok(())
}
