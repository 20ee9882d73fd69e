//! Times as files write them, and as the command line does.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use msgstream::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time in RFC 3339, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The greatest time is in the year 4199, so all of them fit.
        let ms = i64::try_from(self.0.physical_ms()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes a duration as a number of seconds.
pub(crate) fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: &str = Deserialize::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let ts = Timestamp::from_unix_millis(time.as_millisecond()).map_err(D::Error::custom)?;
        Ok(Self(ts))
    }
}

/// A format as of strftime that has all of a time.
const EXAMPLE: &str = "`%Y-%m-%d %H:%M:%S`";

/// How a file writes times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Rfc3339,
    Unix,
    UnixMs,
    Strftime(String),
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(format: &str) -> Result<Self, String> {
        match format {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix" => Ok(Self::Unix),
            "unix-ms" => Ok(Self::UnixMs),
            _ if format.contains('%') => Self::strftime(format),
            _ => Err(format!("it is rfc3339, unix, unix-ms, or a format such as {EXAMPLE}")),
        }
    }
}

impl TimeFormat {
    /// A format that can write a time and read it back.
    fn strftime(format: &str) -> Result<Self, String> {
        let this = Self::Strftime(format.to_owned());
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let text = strtime::format(format, &sample)
            .map_err(|e| format!("write a format such as {EXAMPLE} ({e})"))?;
        this.parse(&text).map_err(|e| {
            format!(
                "a date and a time can't be read with it: write a format such as {EXAMPLE} ({e})"
            )
        })?;
        Ok(this)
    }

    /// A time, cut to whole milliseconds; the error says why it is none.
    pub(crate) fn parse(&self, text: &str) -> Result<Timestamp, String> {
        let ms = self.millis(text).map_err(|reason| format!("`{text}` is not a time: {reason}"))?;
        Timestamp::from_unix_millis(ms).map_err(|e| format!("the time `{text}` can't be used: {e}"))
    }

    fn millis(&self, text: &str) -> Result<i64, String> {
        match self {
            Self::Rfc3339 => rfc3339(text).map(millis).map_err(|e| e.to_string()),
            Self::Strftime(format) => strptime(format, text).map(millis).map_err(|e| e.to_string()),
            Self::UnixMs => {
                text.parse().map_err(|_| "not a whole number of milliseconds".to_owned())
            }
            Self::Unix => {
                let seconds: Option<i64> = text.parse().ok();
                seconds
                    .and_then(|s| s.checked_mul(1000))
                    .ok_or_else(|| "not a whole number of seconds, or out of range".to_owned())
            }
        }
    }
}

fn rfc3339(text: &str) -> Result<jiff::Timestamp, jiff::Error> {
    text.parse().or_else(|no_instant| {
        let civil: DateTime = text.parse().map_err(|_| no_instant)?;
        utc(civil)
    })
}

fn strptime(format: &str, text: &str) -> Result<jiff::Timestamp, jiff::Error> {
    let parts = strtime::parse(format, text)?;
    let zoned =
        parts.offset().is_some() || parts.iana_time_zone().is_some() || parts.timestamp().is_some();
    if zoned { parts.to_timestamp() } else { utc(parts.to_datetime()?) }
}

fn utc(civil: DateTime) -> Result<jiff::Timestamp, jiff::Error> {
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

/// Rounded down: half a millisecond before 1970 is still before it.
fn millis(time: jiff::Timestamp) -> i64 {
    time.as_microsecond().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ms(format: &str, text: &str) -> Result<u64, String> {
        let format: TimeFormat = format.parse()?;
        format.parse(text).map(Timestamp::physical_ms)
    }

    #[test]
    fn each_format_gives_the_same_instant() {
        let wanted = Ok(1_357_034_400_250);
        for (format, text) in [
            ("rfc3339", "2013-01-01T10:00:00.250Z"),
            ("rfc3339", "2013-01-01T11:00:00.2509+01:00"),
            ("rfc3339", "2013-01-01 10:00:00.25"),
            ("unix-ms", "1357034400250"),
            ("%d.%m.%Y %H:%M:%S%.f", "01.01.2013 10:00:00.25"),
            ("%Y-%m-%d %H:%M:%S%.f %z", "2013-01-01 09:00:00.25 -0100"),
        ] {
            assert_eq!(ms(format, text), wanted, "{format} {text}");
        }
        assert_eq!(ms("unix", "1357034400"), Ok(1_357_034_400_000));
        assert_eq!(ms("%s", "1357034400"), Ok(1_357_034_400_000));
        assert_eq!(ms("%d/%m/%Y", "02/01/1970"), Ok(86_400_000));
    }

    #[test]
    fn what_is_no_time_or_before_1970_is_refused() {
        for (format, text) in [
            ("rfc3339", "NA"),
            ("rfc3339", ""),
            ("rfc3339", "1969-12-31T23:59:59.9999Z"),
            ("rfc3339", "2013-02-29T00:00:00Z"),
            ("unix", "1.5"),
            ("unix", "9223372036854775807"),
            ("unix-ms", "-1"),
            ("unix-ms", "9223372036854775807"),
            ("%Y-%m-%d", "2013-01-01 and more"),
        ] {
            assert!(ms(format, text).is_err(), "{format} {text}");
        }
    }

    #[test]
    fn a_format_that_gives_no_full_time_is_refused() {
        for wrong in ["iso", "%H:%M", "%d %b", "%!", "%"] {
            assert!(wrong.parse::<TimeFormat>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_greatest_time_is_written_as_it_is() {
        assert_eq!(Time(Timestamp::MAX).to_string(), "4199-11-24T01:22:57.663Z");
    }
}
