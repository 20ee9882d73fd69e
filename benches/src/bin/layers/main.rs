//! Measures what the layers of msgstream-layers cost, and writes the table of docs/layers.md.

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use msgstream_bench::clock::{Median, cpu_time};
use msgstream_bench::{Layer, Rates, Shape, Workload, document, machine};
use msgstream_core::transport::Transport;
use msgstream_layers::{Chunks, Encrypted, Faults, Key, KeyRing, Timeout};

/// Measures what the layers of msgstream-layers cost, in memory, and writes the table of
/// docs/layers.md.
#[derive(Debug, Parser)]
struct Args {
    /// A short run that checks everything and says little about speed. Writes no file.
    #[arg(long)]
    quick: bool,
    /// How often each workload runs; the median counts.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The file whose table is replaced.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/layers.md"))]
    output: PathBuf,
}

const SETUPS: [(&str, Layer); 6] = [
    ("bare", |transport| transport),
    ("`Timeout`", timed),
    ("`Faults` without any", faultless),
    ("`Chunks` without any", whole),
    ("`Chunks` of 4096 B", split),
    ("`Encrypted`", encrypted),
];

/// The sizes of payloads in bytes, and how many messages have them.
const SIZES: [(usize, usize); 2] = [(128, 100_000), (16 << 10, 10_000)];

const WORKLOADS: [Workload; 2] = [Workload::Produce, Workload::Undecoded];

fn timed(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Timeout::over(transport, Duration::from_secs(30)))
}

fn faultless(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Faults::over(transport, 7))
}

fn whole(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Chunks::over(transport))
}

fn split(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Chunks::over(transport).with_part_bytes(4096))
}

fn encrypted(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    match Key::new("bench", &[7; Key::BYTES]) {
        Ok(key) => Arc::new(Encrypted::over(transport, KeyRing::new(key))),
        // Without the layer the table would show that it costs nothing.
        Err(_) => unreachable!("`bench` is an id"),
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut table = String::from(
        "| workload | payload | setup | ns of CPU for a message (least to greatest) | more than bare |\n| --- | ---: | --- | ---: | ---: |\n",
    );
    for workload in WORKLOADS {
        for (payload, messages) in SIZES {
            let shape = Shape { payload, channels: 2, rates: Rates::Equal };
            let messages = if args.quick { 1_000 } else { messages };
            let mut times = vec![Vec::new(); SETUPS.len()];
            for run in 1..=if args.quick { 1 } else { args.runs } {
                eprintln!("run {run} of {workload} with {payload} B");
                for ((_, layer), times) in SETUPS.iter().zip(&mut times) {
                    times.push(time(*layer, workload, shape, messages)?);
                }
            }
            for ((name, _), own) in SETUPS.iter().zip(&times) {
                let Median { least, median, greatest } = Median::of(own.clone());
                // Of what ran one after the other, the difference counts.
                let more = own.iter().zip(&times[0]).map(|(own, bare)| own - bare);
                let more = Median::of(more.collect()).median;
                writeln!(
                    table,
                    "| {workload} | {payload} B | {name} | {median:.0} ({least:.0} to {greatest:.0}) | {more:.0} |"
                )?;
            }
        }
    }
    if args.quick {
        println!("{table}");
        return Ok(());
    }
    let command = "cargo run --release -p msgstream-bench --bin layers";
    let block = format!("{}\n{table}", machine::describe(command)?);
    document::replace(&args.output, "measured", &block)?;
    eprintln!("wrote {}", args.output.display());
    Ok(())
}

/// CPU time for one message, in ns.
fn time(
    layer: Layer,
    workload: Workload,
    shape: Shape,
    messages: usize,
) -> Result<f64, Box<dyn Error>> {
    let job = workload.prepare_over(shape, messages, layer)?;
    let begin = cpu_time();
    let done = job.run()?;
    let took = cpu_time() - begin;
    let messages = done.messages() as f64;
    done.check()?;
    Ok(took.as_nanos() as f64 / messages)
}
