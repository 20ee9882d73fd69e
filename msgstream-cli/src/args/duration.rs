//! Durations, such as 1h or 500ms.

use std::time::Duration;

/// Reads a duration of whole milliseconds.
pub(crate) fn whole_ms(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|e| format!("write numbers with units, such as 500ms, 30s or 1h 30m ({e})"))?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("times are in whole milliseconds".to_owned());
    }
    Ok(duration)
}

/// Reads a duration of whole milliseconds that isn't zero.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = whole_ms(text)?;
    if interval.is_zero() {
        return Err("the interval must be 1ms at least".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations_are_whole_milliseconds() {
        assert_eq!(interval("1h").unwrap(), Duration::from_secs(3600));
        assert_eq!(whole_ms("0s").unwrap(), Duration::ZERO);
        for wrong in ["0s", "1us", "1500us", "-1h", "1", ""] {
            assert!(interval(wrong).is_err(), "{wrong:?}");
        }
    }
}
