//! Measures what observing costs, and writes the table of docs/observability.md.

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use msgstream_bench::clock::{Median, cpu_time};
use msgstream_bench::{Layer, Rates, Shape, Workload, document, machine};
use msgstream_core::transport::Transport;
use msgstream_observe::{Observed, Propagated, TraceContext};

/// Measures what the layers of msgstream-observe cost, in memory, and writes the table of
/// docs/observability.md.
#[derive(Debug, Parser)]
struct Args {
    /// A short run that checks everything and says little about speed. Writes no file.
    #[arg(long)]
    quick: bool,
    /// Only what has this in its name, such as `produce/bare`, or `consume-undecoded/spans`. Writes no
    /// file.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How many messages a short run has.
    #[arg(long, default_value_t = 1_000)]
    messages: usize,
    /// How often each workload runs; the median counts.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The file whose table is replaced.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md"))]
    output: PathBuf,
}

/// What is around the transport, and what is installed.
struct Setup {
    key: &'static str,
    name: &'static str,
    layer: Layer,
    recorder: bool,
    subscriber: bool,
}

const SETUPS: [Setup; 5] = [
    Setup { key: "bare", name: "bare", layer: |t| t, recorder: false, subscriber: false },
    Setup { key: "layer", name: "`Observed`", layer: observed, recorder: false, subscriber: false },
    Setup {
        key: "recorder",
        name: "`Observed`, recorder",
        layer: observed,
        recorder: true,
        subscriber: false,
    },
    Setup {
        key: "spans",
        name: "`Observed`, recorder, spans",
        layer: observed,
        recorder: true,
        subscriber: true,
    },
    Setup {
        key: "propagated",
        name: "`Propagated`",
        layer: propagated,
        recorder: false,
        subscriber: false,
    },
];

const WORKLOADS: [(Workload, usize); 2] =
    [(Workload::Produce, 200_000), (Workload::Undecoded, 500_000)];

const SHAPE: Shape = Shape { payload: 128, channels: 2, rates: Rates::Equal };

fn observed(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Observed::over(transport, "mem"))
}

fn propagated(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Propagated::over(transport, || TraceContext::new(123, 456, true).ok()))
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
    let wanted = args.only.as_deref().unwrap_or_default();
    let mut table = String::from(
        "| workload | setup | ns of CPU for a message (least to greatest) | more than bare |\n| --- | --- | ---: | ---: |\n",
    );
    for (workload, messages) in WORKLOADS {
        let messages = if args.quick { args.messages } else { messages };
        let is_wanted = |setup: &&Setup| format!("{workload}/{}", setup.key).contains(wanted);
        let setups: Vec<_> = SETUPS.iter().filter(is_wanted).collect();
        let mut times = vec![Vec::new(); setups.len()];
        for run in 1..=if args.quick { 1 } else { args.runs } {
            eprintln!("run {run} of {workload}");
            for (setup, times) in setups.iter().zip(&mut times) {
                times.push(time(setup, workload, messages)?);
            }
        }
        for (setup, own) in setups.iter().zip(&times) {
            let Median { least, median, greatest } = Median::of(own.clone());
            // Of what ran one after the other, the difference counts.
            let more = own.iter().zip(&times[0]).map(|(own, bare)| own - bare);
            let more = Median::of(more.collect()).median;
            let name = setup.name;
            writeln!(
                table,
                "| {workload} | {name} | {median:.0} ({least:.0} to {greatest:.0}) | {more:.1} |"
            )?;
        }
    }
    if args.quick || args.only.is_some() {
        println!("{table}");
        return Ok(());
    }
    let command = "cargo run --release -p msgstream-bench --bin observe";
    let block = format!("{}\n{table}", machine::describe(command)?);
    document::replace(&args.output, "measured", &block)?;
    eprintln!("wrote {}", args.output.display());
    Ok(())
}

/// CPU time for one message, in ns.
fn time(setup: &Setup, workload: Workload, messages: usize) -> Result<f64, Box<dyn Error>> {
    let recorder = setup.recorder.then(|| PrometheusBuilder::new().build_recorder());
    let _recorder = recorder.as_ref().map(|r| metrics::set_default_local_recorder(r));
    // A subscriber that takes every span, and does nothing with it.
    let _subscriber =
        setup.subscriber.then(|| tracing::subscriber::set_default(tracing_subscriber::registry()));
    let job = workload.prepare_over(SHAPE, messages, setup.layer)?;
    let begin = cpu_time();
    let done = job.run()?;
    let took = cpu_time() - begin;
    let messages = done.messages() as f64;
    done.check()?;
    Ok(took.as_nanos() as f64 / messages)
}
