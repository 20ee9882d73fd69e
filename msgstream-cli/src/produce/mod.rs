//! `msgstream produce`: rows to channels.
//!
//! ```text
//! files -> rows -> plan -> producer -> channels
//! ```
//!
//! Reading has a thread of its own, so that Ctrl-C works while a read waits.

mod args;
mod format;
mod pace;
mod plan;
mod progress;
mod route;
mod rows;
mod session;
mod times;
mod write;

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;

use indicatif::ProgressBar;
use msgstream::Producer;
use msgstream::transport::Transport;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

pub(crate) use self::args::ProduceArgs;
use self::plan::{Plan, Tally};
use self::progress::progress;
use self::rows::{Input, InputRow};
use self::session::Opened;
use self::times::Ticked;
use self::write::Writer;
use crate::args::Late;
use crate::asked::Asked;
use crate::error::{Error, Result};
use crate::interrupt::{interrupt, unless};
use crate::output::print_json;
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
    let done = done.map_err(|error| Asked::Write.of(&args.channels, error));
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
        // Rows that are late are judged by the plan.
        let builder = builder.allow_late();
        let open = async { Ok(builder.open().await?) };
        let producer = unless(&mut interrupted, open).await?;
        let plan = Plan::new(args, input, &BTreeMap::new(), Ticked::default());
        let mut writer = Writer::new(producer, plan, args);
        write(&mut writer, args, input, &mut interrupted).await?;
        return unless(&mut interrupted, finish(writer, args)).await;
    };
    match unless(&mut interrupted, session::open(broker, args, session)).await? {
        Opened::Writing(producer, ticked) => {
            let plan = Plan::new(args, input, &producer.opened().last, ticked);
            let mut writer = Writer::new(producer, plan, args);
            write(&mut writer, args, input, &mut interrupted).await?;
            let finish = async {
                writer.plan.check(&args.channels, session)?;
                writer.producer.flush().await?;
                // What was acknowledged counts, unless another run has opened the session meanwhile.
                writer.producer.confirm().await?;
                finish(writer, args).await
            };
            unless(&mut interrupted, finish).await
        }
        Opened::Ending(ending) => {
            let mut plan = Plan::new(args, input, &ending.last, Ticked::default());
            let finish = async {
                all_written(&mut plan, Reading::start(args, input), session).await?;
                plan.check(&args.channels, session)?;
                ending.finish().await
            };
            unless(&mut interrupted, finish).await?;
            tell(&plan.tally, args)
        }
    }
}

/// The rows that a thread reads.
struct Reading {
    rows: mpsc::Receiver<Result<InputRow>>,
    bar: ProgressBar,
    thread: JoinHandle<()>,
}

impl Reading {
    fn start(args: &ProduceArgs, input: &Input) -> Self {
        let bar = progress(args);
        let (sender, rows) = mpsc::channel(ROWS);
        let (reading, progress) = (input.clone(), bar.clone());
        let thread = spawn_blocking(move || reading.read(&progress, &sender));
        Self { rows, bar, thread }
    }

    /// Waits for the thread, after its last row. If it panicked, that wasn't the end of the input.
    async fn end(self) -> Result<()> {
        self.thread.await.map_err(|e| Error::Runtime { source: e.into() })
    }
}

/// Writes all rows. Where it stops before the end, what was submitted is stored first.
async fn write<S>(
    writer: &mut Writer<'_, S>,
    args: &ProduceArgs,
    input: &Input,
    interrupted: &mut Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    let mut reading = Reading::start(args, input);
    let written = unless(interrupted, writer.run(&mut reading.rows, &reading.bar)).await;
    reading.bar.finish_and_clear();
    let Err(error) = written else { return reading.end().await };
    match writer.producer.flush().await {
        Ok(()) => {
            say(&format!("stopped before the end of the input: {}", writer.plan.tally));
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

/// Reads all rows, of which none may be left to write.
async fn all_written(plan: &mut Plan<'_>, mut reading: Reading, session: &str) -> Result<()> {
    while let Some(row) = reading.rows.recv().await {
        if let (Some(_), _) = plan.admit(row?)? {
            return Err(Error::EndedBefore { session: session.to_owned() });
        }
    }
    reading.bar.finish_and_clear();
    reading.end().await
}

/// Writes the last tick, closes the channels, and says what was done.
async fn finish<S>(writer: Writer<'_, S>, args: &ProduceArgs) -> Result<()> {
    let tally = writer.plan.tally.clone();
    writer.finish(args.end).await?;
    tell(&tally, args)
}

fn tell(tally: &Tally, args: &ProduceArgs) -> Result<()> {
    if args.json {
        return print_json(tally);
    }
    say(&tally.to_string());
    Ok(())
}
