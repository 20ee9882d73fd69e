//! The tables of docs/performance.md.

use std::fmt::Write;

use msgstream_bench::clock::Median;
use msgstream_bench::{SESSIONS, Shape, Workload};

use crate::measure::Measured;
use crate::{find, shape};

/// Least millions of messages per second of CPU time, with 2 channels and a 128 B blob.
const TARGETS: [(Workload, f64); 3] =
    [(Workload::Produce, 1.5), (Workload::Decoded, 1.2), (Workload::Undecoded, 5.0)];

/// The most that a message may cost with 1,024 channels, in terms of its cost with 8.
const RATIO: f64 = 2.0;

/// The most that a session may add to a message, produced and consumed.
const SESSION_NS: f64 = 60.0;

/// All tables.
pub(crate) fn tables(measured: &[Measured]) -> String {
    let mut tables = targets(measured);
    for workload in Workload::ALL {
        let rows = measured.iter().filter(|m| m.case.workload == workload);
        let rows: String = rows.map(row).collect();
        if !rows.is_empty() {
            let head = "| channels | blob, B | rates | M/s of CPU | M/s of wall | ns of CPU (least to greatest) | allocations | peak heap, MiB |\n| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n";
            tables += &format!("\n### {workload}\n\n{head}{rows}");
        }
    }
    tables
}

fn row(m: &Measured) -> String {
    let Shape { payload, channels, rates } = m.case.shape;
    format!(
        "| {channels} | {payload} | {rates} | {:.2} | {:.2} | {:.0} ({:.0} to {:.0}) | {:.2} | {:.1} |\n",
        millions(m.cpu_ns.median),
        millions(m.wall_ns.median),
        m.cpu_ns.median,
        m.cpu_ns.least,
        m.cpu_ns.greatest,
        m.allocations,
        m.peak as f64 / f64::from(1 << 20),
    )
}

/// What a session adds to a message, in ns: the median of the pairs of runs.
fn session_ns(measured: &[Measured], workload: Workload, shape: Shape) -> Option<f64> {
    let without = find(measured, workload, shape)?;
    let with = find(measured, workload.with_session()?, shape)?;
    let more = with.runs.iter().zip(&without.runs).map(|(with, without)| with - without);
    Some(Median::of(more.collect()).median)
}

/// Millions in a second, at so many ns each.
fn millions(ns: f64) -> f64 {
    1_000.0 / ns
}

/// What should be reached, beside what was.
pub(crate) fn targets(measured: &[Measured]) -> String {
    let mut rows = String::new();
    let mut row = |what: String, target: String, found: String, reached: bool| {
        let reached = if reached { "yes" } else { "no" };
        // Writing to a string can't fail.
        let _ = writeln!(rows, "| {what} | {target} | {found} | {reached} |");
    };
    for (workload, target) in TARGETS {
        if let Some(m) = find(measured, workload, shape(2)) {
            let found = millions(m.cpu_ns.median);
            row(
                format!("{workload}: M messages per second of CPU"),
                format!("at least {target:.1}"),
                format!("{found:.2}"),
                found >= target,
            );
        }
    }
    for workload in Workload::ALL {
        let [few, many] = [8, 1024].map(|channels| find(measured, workload, shape(channels)));
        if let (Some(few), Some(many)) = (few, many) {
            let found = many.cpu_ns.median / few.cpu_ns.median;
            row(
                format!("{workload}: cost of a message, 1,024 channels to 8"),
                format!("at most {RATIO:.1}"),
                format!("{found:.2}"),
                found <= RATIO,
            );
        }
    }
    for shape in SESSIONS {
        let [produce, consume] =
            [Workload::Produce, Workload::Undecoded].map(|w| session_ns(measured, w, shape));
        if let (Some(produce), Some(consume)) = (produce, consume) {
            row(
                format!("session and dedup: ns of CPU for a message, {} channels", shape.channels),
                format!("at most {SESSION_NS:.0}"),
                format!(
                    "{:.0} ({produce:.0} to produce, {consume:.0} to consume)",
                    produce + consume
                ),
                produce + consume <= SESSION_NS,
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n| 128 B, 100 messages per channel and tick | target | measured | reached |\n| --- | ---: | ---: | --- |\n{rows}"
    )
}
