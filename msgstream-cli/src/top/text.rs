//! Times, sizes and rates in a few characters.

use std::time::Duration;

use msgstream::Timestamp;
use ratatui::text::Span;

use crate::time::Time;

/// Returns the date of a time, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    Time(at).to_string().chars().take(10).collect()
}

/// Returns the time of the day, in UTC, to the second.
pub(crate) fn clock(at: Timestamp) -> String {
    Time(at).to_string().chars().skip(11).take(8).collect()
}

/// Returns how far a time is behind another one; nothing if it is ahead.
pub(crate) fn behind(at: Timestamp, now: Timestamp) -> String {
    span(Duration::from_millis(now.physical_ms().saturating_sub(at.physical_ms())))
}

/// Returns a duration in its greatest unit.
pub(crate) fn span(time: Duration) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{} ms", time.as_millis()),
        s if s < MINUTE => format!("{s:.1} s"),
        s if s < HOUR => format!("{:.1} m", s / MINUTE),
        s if s < DAY => format!("{:.1} h", s / HOUR),
        s => format!("{:.0} d", s / DAY),
    }
}

/// Returns a size in its greatest unit.
pub(crate) fn bytes(bytes: usize) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for greater in units {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, greater);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// Returns how many a second.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0/s".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}/s"),
        rate if rate < 10_000.0 => format!("{rate:.0}/s"),
        rate if rate < 1e6 => format!("{:.0}k/s", rate / 1e3),
        rate => format!("{:.1}M/s", rate / 1e6),
    }
}

/// Returns a number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a name of no more than this width. What is cut off is at its beginning: names often differ
/// at their ends.
pub(crate) fn fitting(name: &str, width: usize) -> String {
    let mut rest = name.chars();
    if Span::raw(name).width() <= width {
        return name.to_owned();
    }
    while !rest.as_str().is_empty() && Span::raw(rest.as_str()).width() + 1 > width {
        rest.next();
    }
    format!("…{}", rest.as_str())
}

/// Returns a URL without user, password and options, which may be secret.
pub(crate) fn public(url: &str) -> String {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (hosts, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
    format!("{scheme}://{hosts}{path}")
}

/// Draws the last values as bars, each as high as it is beside the greatest.
pub(crate) fn sparkline(values: &[u64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let greatest = shown.iter().copied().max().unwrap_or_default().max(1);
    let bar = |value: &u64| match value {
        0 => ' ',
        value => BARS[(u128::from(*value) * 7 / u128::from(greatest)) as usize],
    };
    format!("{:>width$}", shown.iter().map(bar).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_short() {
        let spans = [(0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (90_000, "1.5 m")];
        for (ms, text) in [&spans[..], &[(5_400_000, "1.5 h"), (172_800_000, "2 d")]].concat() {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        for (size, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64.0 MiB")]
        {
            assert_eq!(bytes(size), text);
        }
        for (number, text) in
            [(0.0, "0/s"), (0.25, "0.2/s"), (12.4, "12/s"), (12_400.0, "12k/s"), (2.5e6, "2.5M/s")]
        {
            assert_eq!(rate(number), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("file:///var/lib/shop", "file:///var/lib/shop"),
            ("nats://ann:secret@a:4222,b/shop-?token=x", "nats://a:4222,b/shop-"),
            ("kafka://a@b:c@host", "kafka://host"),
            ("mem:", "mem:"),
        ] {
            assert_eq!(public(url), shown);
        }
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(fitting("orders-0", 8), "orders-0");
        assert_eq!(fitting("orders-0", 4), "…s-0");
        assert_eq!(fitting("頻道-1", 5), "…道-1");
        assert_eq!(fitting("頻道", 0), "…");
    }

    #[test]
    fn bars_are_beside_the_greatest_and_at_the_right() {
        assert_eq!(sparkline(&[0, 1, 4, 8], 6), "   ▁▄█");
        assert_eq!(sparkline(&[9, 9, 1, 8], 2), "▁█");
        assert_eq!(sparkline(&[], 2), "  ");
        assert_eq!(sparkline(&[u64::MAX], 1), "█");
    }
}
