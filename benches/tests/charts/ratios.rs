//! The throughput in terms of that of a plain client, with the least and the greatest ratio.

use crate::svg::{Anchor, Svg};
use crate::table::{block, rows};

const WIDTH: f64 = 640.0;
/// The ends of the axis.
const LEFT: f64 = 262.0;
const RIGHT: f64 = 590.0;
const ROW: f64 = 17.0;

struct Row {
    label: String,
    least: f64,
    median: f64,
    greatest: f64,
}

impl Row {
    /// Reads a cell such as `1.10 (0.99 to 1.18)`.
    fn new(label: String, cell: &str) -> Self {
        let numbers: Vec<f64> = cell
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter_map(|number| number.parse().ok())
            .collect();
        let [median, least, greatest] = numbers[..] else { panic!("no ratio: {cell}") };
        Self { label, least, median, greatest }
    }
}

fn of_broker(page: &str, name: &str) -> Vec<Row> {
    rows(block(page, name), None)
        .iter()
        .map(|cells| {
            let [what, payload, channels, _, _, ratio, ..] = cells[..] else { panic!("{cells:?}") };
            let s = if channels == "1" { "" } else { "s" };
            Row::new(format!("{what} {payload} B, {channels} channel{s}"), ratio)
        })
        .collect()
}

fn of_files(page: &str) -> Vec<Row> {
    rows(block(page, "files"), None)
        .iter()
        .map(|cells| Row::new(cells[0].replace("batches of ", ""), cells[3]))
        .collect()
}

/// Draws the chart of the tables of all brokers and of files.
pub(crate) fn chart(page: &str) -> String {
    let groups = [
        ("NATS", of_broker(page, "nats")),
        ("Kafka", of_broker(page, "kafka")),
        ("Pulsar", of_broker(page, "pulsar")),
        ("Files, beside bare writes and reads", of_files(page)),
    ];
    let all = || groups.iter().flat_map(|(_, rows)| rows);
    let low = all().map(|row| row.least).fold(1.0, f64::min).log2().floor();
    let high = all().map(|row| row.greatest).fold(1.0, f64::max).log2().ceil();
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * (ratio.log2() - low) / (high - low);

    let mut svg = Svg::default();
    let top = 44.0;
    let rows = groups.iter().map(|(_, rows)| 1.5 + rows.len() as f64).sum::<f64>();
    let bottom = top + ROW * rows;
    svg.text((LEFT, 14.0), Anchor::Start, "faint", "slower");
    svg.text((x(1.0), 14.0), Anchor::Middle, "head", "plain client = 1");
    svg.text((RIGHT, 14.0), Anchor::End, "faint", "faster");
    for power in low as i32..=high as i32 {
        let ratio = f64::from(power).exp2();
        let class = if power == 0 { "axis" } else { "grid" };
        svg.line((x(ratio), top - 8.0), (x(ratio), bottom), class);
        svg.text((x(ratio), top - 12.0), Anchor::Middle, "faint", ratio);
    }
    let mut y = top;
    for (name, rows) in &groups {
        y += 1.5 * ROW;
        svg.text((8.0, y - 4.0), Anchor::Start, "head", name);
        for Row { label, least, median, greatest } in rows {
            let middle = y + ROW / 2.0;
            svg.text((LEFT - 10.0, middle + 4.0), Anchor::End, "", label);
            svg.line((x(*least), middle), (x(*greatest), middle), "a spread");
            svg.dot((x(*median), middle), "a");
            svg.text((WIDTH - 8.0, middle + 4.0), Anchor::End, "", format_args!("{median:.2}"));
            y += ROW;
        }
    }
    svg.finish(WIDTH, bottom + 8.0, "Throughput in terms of that of the plain client")
}
