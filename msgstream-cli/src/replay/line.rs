//! A line of the output.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::time::Time;

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
}
