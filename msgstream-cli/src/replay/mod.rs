//! `msgstream replay`: CSV rows through channels and back, as packs aligned in event time.
//!
//! ```text
//! files -> rows -> batches -> produce ~ channels ~ consume -> output
//! ```
//!
//! Reading and writing have a thread each; producing and consuming are one task, so that what
//! stops one of them stops the other.

mod args;
mod batches;
mod channels;
mod consume;
mod line;
mod produce;
mod rows;
mod sink;
mod tally;
mod verify;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use msgstream::stream::MsgStream;
use msgstream::transport::{Start, Transport};
use msgstream::{consume::ConsumerConfig, produce::TimeTicker, stream::TtMsgStream};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

pub(crate) use self::args::ReplayArgs;
use self::batches::{BadRows, Batches};
use self::channels::Channels;
use self::rows::{Input, Rows};
use self::sink::{IdSet, Sink};
use self::tally::{Summary, Tally};
use self::verify::{Rule, Seen, verify};
use crate::args::Late;
use crate::error::{Error, Result};
use crate::interrupt::interrupt;
use crate::output::{Lines, print_json};
use crate::parts::{first_cause, joined};
use crate::settings::connect;
use crate::words::{is_quiet, say};

/// Batches that are read and not produced, and packs that are consumed and not written.
const BATCHES: usize = 8;
const PACKS: usize = 16;

/// Runs the command: the summary, and what `--verify` finds, go to stderr.
pub(crate) async fn run(args: &ReplayArgs) -> Result<()> {
    usable_files(args)?;
    if args.json && args.output.as_deref() == Some(Path::new("-")) {
        let reason =
            "--json writes the summary to stdout: write the rows to a file with --output FILE";
        return Err(Error::Usage(reason.to_owned()));
    }
    let transport = connect(&args.url).await?;
    let result = run_on(&transport, args).await;
    let closed = transport.close().await.map_err(|e| Error::Stream(e.into()));
    result.and(closed)
}

async fn run_on(transport: &Arc<dyn Transport>, args: &ReplayArgs) -> Result<()> {
    let (mut summary, mut verified) = (Summary::default(), false);
    let done = replay(transport, args, &mut summary, &mut verified).await;
    // Also if it failed: some of it may be done.
    let told = match args.json {
        true => print_json(&Report { summary, verified }),
        false => Ok(()),
    };
    done.and(told)
}

/// What a run did, as JSON.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    summary: Summary,
    verified: bool,
}

/// Runs, and verifies if that is asked for. Says what was done, unless it is to be JSON.
async fn replay(
    transport: &Arc<dyn Transport>,
    args: &ReplayArgs,
    summary: &mut Summary,
    verified: &mut bool,
) -> Result<()> {
    let tell = |text: &str| {
        if !args.json {
            say(text)
        }
    };
    let run = Run::new(args)?;
    let count = usize::try_from(args.channels.get()).unwrap_or(usize::MAX);
    let channels = Channels::create(transport.clone(), count).await?;
    let rule = Rule {
        tick: args.tick,
        max_delay: args.max_delay,
        drop_late: args.late == Late::Drop,
        channels: channels.names().into_iter().map(str::to_owned).collect(),
    };
    let result = run.run(transport, &channels.names(), summary).await;
    let result = match result {
        Err(error) => Err(consume::explain(transport, &args.files, error).await),
        consumed => consumed,
    };
    let destroyed = channels.destroy().await;
    tell(&summary.to_string());
    let consumed = match result {
        Err(Error::OutputClosed) if args.verify => return Err(Error::Unverifiable),
        Err(Error::OutputClosed) => return destroyed,
        result => result?,
    };
    destroyed?;
    summary.check()?;
    let Some(consumed) = consumed else { return Ok(()) };
    let input = input(args);
    let written = written_file(args).map(Path::to_owned);
    let summary = *summary;
    let verifying =
        spawn_blocking(move || verify(&input, &rule, &summary, &consumed, written.as_deref()));
    tokio::select! {
        done = joined(verifying) => done?,
        () = interrupt() => return Err(Error::Interrupted),
    }
    *verified = true;
    tell("verified: the files, read again, give these packs, rows, intervals and order");
    Ok(())
}

/// One run, ready to start.
struct Run<'a> {
    args: &'a ReplayArgs,
    batches: Batches,
    sink: Sink,
    tally: Arc<Tally>,
    bar: ProgressBar,
}

impl<'a> Run<'a> {
    /// Opens all files, so that what is missing stops the run before it begins.
    fn new(args: &'a ReplayArgs) -> Result<Self> {
        let bar = progress_bar(args);
        let tally = Arc::new(Tally::default());
        let rows = Rows::new(input(args), bar.clone())?;
        let bad_rows = args.bad_rows.as_deref().map(BadRows::create).transpose()?;
        let output = args.output.as_deref().map(Lines::create).transpose()?;
        let ticker = TimeTicker::new(args.tick).with_delay(args.max_delay);
        let seen = args.verify.then(Seen::default);
        let rows_seen = written_file(args).is_none();
        Ok(Self {
            args,
            batches: Batches { rows, ticker, bad_rows, tally: tally.clone() },
            sink: Sink { output, seen, rows_seen, tally: tally.clone(), ids: IdSet::default() },
            tally,
            bar,
        })
    }

    /// Runs to the end, to the first error or to Ctrl-C; fills in the summary in each case. Gives
    /// what was consumed, for a verification.
    async fn run(
        self,
        transport: &Arc<dyn Transport>,
        channels: &[&str],
        summary: &mut Summary,
    ) -> Result<Option<Seen>> {
        let mut producer = MsgStream::new(transport.clone());
        // What is late in the file is late in the channels.
        producer.set_allow_late(true);
        producer.create_producers(channels).await?;
        producer.start()?;
        let config = ConsumerConfig::default().with_late_policy(self.args.late.into());
        let mut consumer = TtMsgStream::new(transport.clone(), config)?;
        consumer.create_consumers(None, channels, Start::Earliest).await?;
        consumer.start()?;

        let begun = Instant::now();
        let (batch_sender, mut batches) = mpsc::channel(BATCHES);
        let (packs, mut pack_receiver) = mpsc::channel(PACKS);
        let (reading, sink) = (self.batches, self.sink);
        let reading = spawn_blocking(move || reading.run(&batch_sender));
        let writing = spawn_blocking(move || sink.run(&mut pack_receiver));
        let mut peak = 0;
        let streamed = tokio::select! {
            // First, so that no row comes out before the signal is listened for.
            biased;
            () = interrupt() => Err(Error::Interrupted),
            done = async {
                tokio::try_join!(
                    produce::produce(&mut producer, &mut batches),
                    consume::consume(&mut consumer, &packs, &mut peak),
                )
            } => done.map(drop),
        };
        // Each thread ends when nobody is at the other end of its queue.
        drop((batches, packs));
        let written = joined(writing).await;
        // A read that is stuck, of a pipe perhaps, must not hold up an interrupt.
        let read = match streamed {
            Err(Error::Interrupted) => Ok(()),
            _ => joined(reading).await,
        };
        self.bar.finish_and_clear();

        let counts = consumer.status().merge.counts;
        *summary = Summary {
            late: counts.late,
            dropped: counts.dropped_late,
            packs: counts.packs,
            elapsed: begun.elapsed(),
            peak,
            ..Summary::of(&self.tally)
        };
        consumer.close();
        let (seen, written) = written.map_or_else(|e| (None, Err(e)), |seen| (seen, Ok(())));
        first_cause([streamed, read, written])?;
        producer.close().await?;
        Ok(seen)
    }
}

fn input(args: &ReplayArgs) -> Input {
    Input {
        files: args.files.clone(),
        time_column: args.time_column.clone(),
        time_format: args.time_format.clone(),
        key_column: args.key_column.clone(),
    }
}

/// The output, where it is a file that can be read again: not stdout, a pipe or a device.
fn written_file(args: &ReplayArgs) -> Option<&Path> {
    let path = args.output.as_deref().filter(|path| *path != Path::new("-"))?;
    std::fs::metadata(path).is_ok_and(|m| m.is_file()).then_some(path)
}

/// Refuses to write over an input, or two outputs over each other, and to read a pipe twice.
fn usable_files(args: &ReplayArgs) -> Result<()> {
    if args.verify {
        let special = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|m| !m.is_file());
        if let Some(path) = args.files.iter().find(special) {
            return Err(Error::NotPlain { path: path.clone() });
        }
    }
    let mut taken: Vec<(PathBuf, &'static str)> = Vec::new();
    // A file that isn't there yet is the same as another by its name alone.
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stdout = Path::new("-");
    let outputs = [(args.output.as_deref(), "output"), (args.bad_rows.as_deref(), "bad rows")];
    taken.extend(args.files.iter().map(|path| (real(path), "input")));
    for (path, role) in outputs {
        let Some(path) = path.filter(|path| *path != stdout) else { continue };
        let found = real(path);
        if let Some((_, other)) = taken.iter().find(|(taken, _)| *taken == found) {
            return Err(Error::SameFile { path: path.to_owned(), role, other });
        }
        taken.push((found, role));
    }
    Ok(())
}

/// A bar on stderr, by the bytes of the files; hidden where stderr is no terminal, or where the
/// output goes to the same one, and with `--quiet`.
fn progress_bar(args: &ReplayArgs) -> ProgressBar {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if is_quiet() || to_stdout && std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let size = |path| std::fs::metadata(path).map_or(0, |m| m.len());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {elapsed}");
    let bar = ProgressBar::new(args.files.iter().map(size).sum());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
