//! A line of the output.

use std::fmt;

use msgstream::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A row that was delivered, as a line of the output has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line<'a> {
    /// The interval of its pack; the first one has no begin.
    pub(crate) begin: Option<Time>,
    pub(crate) end: Time,
    pub(crate) channel: &'a str,
    pub(crate) ts: Time,
    pub(crate) late: bool,
    #[serde(borrow)]
    pub(crate) row: &'a RawValue,
}

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

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: &str = Deserialize::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let ts = Timestamp::from_unix_millis(time.as_millisecond()).map_err(D::Error::custom)?;
        Ok(Self(ts))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_has_its_keys_in_order_and_reads_back() {
        let text = r#"{"begin":null,"end":"2013-01-01T10:00:00Z","channel":"c-0","ts":"2013-01-01T09:59:59.25Z","late":false,"row":{"b":"1","a":"x"}}"#;
        let line: Line<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(line.ts.0.physical_ms(), 1_357_034_399_250);
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        assert!(serde_json::from_str::<Line<'_>>(&text.replace("late", "lat")).is_err());
    }

    #[test]
    fn the_greatest_time_is_written_as_it_is() {
        assert_eq!(Time(Timestamp::MAX).to_string(), "4199-11-24T01:22:57.663Z");
    }
}
