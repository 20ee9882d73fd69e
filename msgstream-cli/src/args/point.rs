//! Points in a channel, as `--from` and `--before` take them.

use std::str::FromStr;

use msgstream::Timestamp;
use msgstream::record::Position;
use msgstream::transport::Start;

use crate::time::TimeFormat;

/// A point in a channel: one of its ends, a position, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Earliest,
    Latest,
    At(Position),
    Time(Timestamp),
}

impl FromStr for Point {
    type Err = String;

    /// Reads `earliest`, `latest`, a position such as 17 or 3:5, or a time in RFC 3339.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(position) = text.parse() {
            return Ok(Self::At(position));
        }
        let time = TimeFormat::Rfc3339.parse(text);
        time.map(Self::Time).map_err(|reason| {
            format!(
                "it is earliest, latest, a position such as 17, or a time in RFC 3339 ({reason})"
            )
        })
    }
}

impl From<Point> for Start {
    fn from(point: Point) -> Self {
        match point {
            Point::Earliest => Self::Earliest,
            Point::Latest => Self::Latest,
            Point::At(position) => Self::At(position),
            Point::Time(time) => Self::Time(time),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_point_is_an_end_a_position_or_a_time() {
        let at = |words| Point::At(Position::from_words(words));
        for (text, wanted) in [
            ("earliest", Point::Earliest),
            ("latest", Point::Latest),
            ("17", at([17, 0, 0])),
            ("3:5:1", at([3, 5, 1])),
            ("1970-01-02", Point::Time(Timestamp::from_unix_millis(86_400_000).unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
        for wrong in ["", "first", "-1", "1:2:3:4", "1969-12-31T00:00:00Z"] {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }
}
