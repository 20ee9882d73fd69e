//! The throughput of the library alone by the number of channels, for messages of each size.

use crate::svg::{Anchor, Svg};
use crate::table::{block, rows};

const WORKLOADS: [&str; 4] = ["merge", "consume-undecoded", "consume-decoded", "produce"];
const SIZES: [(&str, &str); 2] = [("128", "a"), ("1024", "b")];
/// Of each of the four parts.
const WIDTH: f64 = 310.0;
const HEIGHT: f64 = 190.0;

/// Returns the numbers of channels, and millions of messages in a second of CPU time.
fn measured(page: &str, workload: &str, size: &str) -> Vec<(u32, f64)> {
    rows(block(page, "measured"), Some(&format!("### {workload}")))
        .iter()
        .filter(|cells| cells[1] == size && cells[2] == "equal")
        .map(|cells| (cells[0].parse().unwrap(), cells[3].parse().unwrap()))
        .collect()
}

/// Returns the distance of the lines of a grid from 0 to this: 3 to 6 lines, at round numbers.
fn step(most: f64) -> f64 {
    let steps = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
    steps.into_iter().find(|step| most / step <= 5.0).expect("a step for up to 250 M messages")
}

/// Draws the chart of the tables of the library alone.
pub(crate) fn chart(page: &str) -> String {
    let mut svg = Svg::default();
    svg.text(
        (8.0, 16.0),
        Anchor::Start,
        "",
        "Millions of messages in a second of CPU time, by the number of channels",
    );
    for (at, (size, class)) in SIZES.into_iter().enumerate() {
        let x = 468.0 + 76.0 * at as f64;
        svg.line((x, 12.0), (x + 16.0, 12.0), class);
        svg.dot((x + 8.0, 12.0), class);
        svg.text((x + 22.0, 16.0), Anchor::Start, "", format_args!("{size} B"));
    }
    for (at, workload) in WORKLOADS.into_iter().enumerate() {
        let corner = (WIDTH * (at % 2) as f64, 30.0 + HEIGHT * (at / 2) as f64);
        part(&mut svg, page, workload, corner);
    }
    svg.finish(2.0 * WIDTH, 34.0 + 2.0 * HEIGHT, "Throughput by the number of channels")
}

fn part(svg: &mut Svg, page: &str, workload: &str, corner: (f64, f64)) {
    let series = SIZES.map(|(size, class)| (measured(page, workload, size), class));
    let most =
        series.iter().flat_map(|(points, _)| points).map(|point| point.1).fold(0.0, f64::max);
    let step = step(most);
    let lines = (most / step).ceil();
    let (left, right) = (corner.0 + 40.0, corner.0 + WIDTH - 20.0);
    let (top, bottom) = (corner.1 + 32.0, corner.1 + HEIGHT - 26.0);
    let y = |value: f64| bottom - (bottom - top) * value / (step * lines);

    svg.text((left, corner.1 + 18.0), Anchor::Start, "head", workload);
    for line in 0..=lines as u32 {
        let value = step * f64::from(line);
        svg.line((left, y(value)), (right, y(value)), if line == 0 { "axis" } else { "grid" });
        svg.text((left - 6.0, y(value) + 4.0), Anchor::End, "faint", (value * 10.0).round() / 10.0);
    }
    for (points, class) in &series {
        let x =
            |at: usize| left + 16.0 + (right - left - 32.0) * at as f64 / (points.len() - 1) as f64;
        let places: Vec<_> =
            points.iter().enumerate().map(|(at, point)| (x(at), y(point.1))).collect();
        svg.path(&places, class);
        for (at, place) in places.iter().enumerate() {
            svg.dot(*place, class);
            if *class == SIZES[0].1 {
                svg.text((x(at), bottom + 16.0), Anchor::Middle, "faint", points[at].0);
            }
        }
    }
}
