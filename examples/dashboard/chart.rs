//! Draws what was ordered by minute and source, as text and as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::events::SOURCES;
use crate::join::Minutes;

const NAMES: [&str; 4] = [SOURCES[0], SOURCES[1], SOURCES[2], "no click"];
const MARKS: [char; 4] = ['#', '=', '+', '.'];
/// In order of the names, for people who see few colours, too.
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#999999"];

/// Returns the cents of a minute in order of the names.
fn row(minute: &BTreeMap<Option<String>, u64>) -> [u64; 4] {
    NAMES.map(|name| {
        let key = SOURCES.contains(&name).then(|| name.to_owned());
        minute.get(&key).copied().unwrap_or_default()
    })
}

fn clock(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
}

/// Returns a line for each minute.
pub(crate) fn text(minutes: &Minutes) -> String {
    let mut text = String::new();
    for (minute, sums) in minutes {
        let bar = row(sums).into_iter().zip(MARKS);
        let bar = bar.map(|(cents, mark)| mark.to_string().repeat((cents / 2_500) as usize));
        let bar: String = bar.collect();
        let total: u64 = sums.values().sum();
        let _ = writeln!(text, "{} {bar:<60} {:>7.2}", clock(*minute), total as f64 / 100.0);
    }
    let names = NAMES.iter().zip(MARKS).map(|(name, mark)| format!("{mark} {name}"));
    let _ = writeln!(text, "{}", names.collect::<Vec<_>>().join("   "));
    text
}

/// Returns the chart, for light and dark pages.
pub(crate) fn svg(minutes: &Minutes) -> String {
    let most = minutes.values().map(|sums| sums.values().sum::<u64>()).max().unwrap_or(1).max(1);
    let step = 600.0 / minutes.len().max(1) as f64;
    let mut bars = String::new();
    for (index, (minute, sums)) in minutes.iter().enumerate() {
        let (x, mut y) = (60.0 + step * index as f64, 230.0);
        for (cents, colour) in row(sums).into_iter().zip(COLOURS) {
            let height = 180.0 * cents as f64 / most as f64;
            y -= height;
            let width = step * 0.8;
            let _ = writeln!(
                bars,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
            );
        }
        if index % 3 == 0 {
            let _ = writeln!(bars, r#"<text x="{x:.1}" y="248">{}</text>"#, clock(*minute));
        }
    }
    for (index, (name, colour)) in NAMES.iter().zip(COLOURS).enumerate() {
        let x = 60 + 110 * index;
        let _ = writeln!(bars, r#"<rect x="{x}" y="268" width="10" height="10" fill="{colour}"/>"#);
        let _ = writeln!(bars, r#"<text x="{}" y="277">{name}</text>"#, x + 15);
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 290" role="img" aria-label="Orders by minute and source">
<style>
text {{ font: 12px sans-serif; fill: #222 }} line {{ stroke: #888 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}
</style>
<text x="60" y="30">Ordered by minute, and what led to it</text>
<text x="52" y="54" text-anchor="end">{:.0}</text><text x="52" y="234" text-anchor="end">0</text>
<line x1="58" y1="50" x2="58" y2="230"/><line x1="58" y1="230" x2="662" y2="230"/>
{bars}</svg>
"##,
        most as f64 / 100.0
    )
}
