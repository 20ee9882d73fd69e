//! The table of a broker in docs/performance.md.

use crate::pairs::{Measured, Ticks};

/// The least that our side shall do, in terms of the plain client.
const TARGET: f64 = 0.9;

pub(crate) fn table(measured: &[Measured]) -> String {
    let programs = measured.iter().any(|m| m.case.ticks.is_some());
    let (tick, line) = if programs { (" messages per tick |", " ---: |") } else { ("", "") };
    let head = format!(
        "\n| | payload, B | channels |{tick} msgstream, 1,000/s | plain client, 1,000/s | ratio (least to greatest) | msgstream, ns of CPU | plain client, ns of CPU |\n| --- | ---: | ---: |{line} ---: | ---: | ---: | ---: | ---: |\n"
    );
    let rows: String = measured.iter().map(row).collect();
    let reached = measured.iter().filter(|m| m.ratio.median >= TARGET).count();
    format!(
        "{head}{rows}\nAt least {TARGET} of the plain client: {reached} of {}.\n",
        measured.len()
    )
}

fn row(m: &Measured) -> String {
    format!(
        "| {} | {} | {} |{} {:.0} | {:.0} | {:.2} ({:.2} to {:.2}) | {:.0} | {:.0} |\n",
        m.case.name(),
        m.case.payload,
        m.case.channels,
        m.case.ticks.map_or_else(String::new, |Ticks(every)| format!(" {every} |")),
        m.ours.rate.median / 1e3,
        m.raw.rate.median / 1e3,
        m.ratio.median,
        m.ratio.least,
        m.ratio.greatest,
        m.ours.cpu_ns.median,
        m.raw.cpu_ns.median,
    )
}
