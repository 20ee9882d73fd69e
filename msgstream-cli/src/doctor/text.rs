//! Numbers and durations in words.

use std::time::Duration;

/// Returns a duration in words, in whole seconds from 1 s on.
pub(super) fn span(duration: Duration) -> String {
    let whole = match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(whole).to_string()
}

/// Returns a number with what it counts.
pub(super) fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
