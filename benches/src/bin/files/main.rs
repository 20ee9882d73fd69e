//! Measures logs in files beside bare writes and reads of the same bytes, and writes a block of
//! docs/performance.md.

mod read;
mod tail;
mod write;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use msgstream_bench::clock::Median;
use msgstream_bench::{document, machine};
use msgstream_core::record::{Meta, Record};
use msgstream_core::{MsgType, Timestamp};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures a log in files beside bare writes, syncs and reads of the same bytes, in pairs, and how
/// soon a reader in another process sees what is written. Writes a block of docs/performance.md.
#[derive(Debug, Parser)]
struct Args {
    /// The folder in which the files are made, and removed afterwards.
    #[arg(long, default_value = "target")]
    folder: PathBuf,
    /// A short run that checks everything and says little about speed. Writes no file.
    #[arg(long)]
    quick: bool,
    /// Only cases whose name holds this, such as `read` or `64 records`. Writes no file.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How many pairs of runs are measured; the median counts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// The file with the block.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))]
    output: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The reader in another process
    #[command(hide = true)]
    Tail { folder: PathBuf },
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    pairs: u32,
    /// How many bytes are written in a run.
    written: u64,
    /// How many bytes are read in a run.
    read: u64,
    /// How many records a reader in another process gets, one by one.
    tailed: u32,
}

/// Both sides of a case.
#[derive(Debug)]
struct Measured {
    /// MiB per second.
    ours: Median,
    bare: Median,
    ratio: Median,
    target: Option<f64>,
}

impl Measured {
    /// Of rates in pairs, ours first.
    fn new(target: Option<f64>, pairs: &[(f64, f64)]) -> Self {
        let of = |value: fn(&(f64, f64)) -> f64| Median::of(pairs.iter().map(value).collect());
        Self {
            ours: of(|(ours, _)| *ours),
            bare: of(|(_, bare)| *bare),
            ratio: of(|(ours, bare)| ours / bare),
            target,
        }
    }

    fn row(&self, name: &str) -> String {
        let target = self.target.map_or_else(String::new, |target| {
            let reached = if self.ratio.median >= target { "yes" } else { "no" };
            format!("at least {target}: {reached}")
        });
        let Self { ours, bare, ratio, .. } = self;
        format!(
            "| {name} | {:.0} | {:.0} | {:.2} ({:.2} to {:.2}) | {target} |\n",
            ours.median, bare.median, ratio.median, ratio.least, ratio.greatest
        )
    }
}

/// Runs both sides so many times, either first by turns, and returns what they return.
async fn in_turn(
    pairs: u32,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut bare: impl AsyncFnMut() -> Result<f64>,
) -> Result<Vec<(f64, f64)>> {
    let mut measured = Vec::new();
    for number in 0..pairs {
        measured.push(match number % 2 {
            0 => (ours().await?, bare().await?),
            _ => {
                let bare = bare().await?;
                (ours().await?, bare)
            }
        });
    }
    Ok(measured)
}

/// Records with payloads of a size.
fn records(count: usize, payload: usize) -> Vec<Record> {
    let record = |number| {
        let meta = Meta::new(MsgType::INSERT, Timestamp(number));
        Record::new(meta, vec![number as u8; payload])
    };
    (1..=count as u64).map(record).collect()
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Command::Tail { folder }) => tail::read(folder),
        None => run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let effort = match args.quick {
        true => Effort { pairs: 1, written: 1 << 20, read: 4 << 20, tailed: 20 },
        false => Effort { pairs: args.pairs, written: 48 << 20, read: 512 << 20, tailed: 500 },
    };
    std::fs::create_dir_all(&args.folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = "\n| | msgstream, MiB/s | bare, MiB/s | ratio (least to greatest) | target |\n| --- | ---: | ---: | ---: | --- |\n".to_owned();
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| name.contains(only));
    for (records, payload, in_flight) in [
        (500, 128, 1),
        (64, 1024, 1),
        (16, 64 << 10, 1),
        (500, 128, 8),
        (64, 1024, 8),
        (16, 64 << 10, 8),
    ] {
        let one = if in_flight == 1 { "one by one" } else { "8 in flight" };
        let name = format!("write batches of {records} records of {payload} B, {one}");
        if wanted(&name) {
            let shape = write::Batches { records, payload, in_flight };
            let measured = write::measure(&args.folder, effort, shape);
            table += &runtime.block_on(measured)?.row(&name);
        }
    }
    for (payload, target) in [(64 << 10, Some(0.9)), (128, None)] {
        let name = format!("read records of {payload} B");
        if wanted(&name) {
            let measured = read::measure(&args.folder, effort, payload, target);
            table += &runtime.block_on(measured)?.row(&name);
        }
    }
    if wanted("tail") {
        table += &runtime.block_on(tail::measure(&args.folder, effort))?;
    }
    if args.quick || args.only.is_some() {
        println!("{table}");
        return Ok(());
    }
    let command =
        format!("cargo run --release -p msgstream-bench --bin files -- --pairs {}", args.pairs);
    document::replace(&args.output, "files", &format!("{}{table}", machine::describe(&command)?))?;
    println!("{table}");
    eprintln!("wrote {}", args.output.display());
    Ok(())
}
