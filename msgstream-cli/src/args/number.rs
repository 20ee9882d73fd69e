//! Numbers that aren't zero.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

/// Reads a whole number that isn't zero, such as a `NonZeroU64`.
pub(crate) fn at_least_one<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseIntError| {
        let wanted = match error.kind() {
            IntErrorKind::Zero => "it must be at least 1",
            IntErrorKind::PosOverflow => "it is too large",
            _ => "it must be a whole number, at least 1",
        };
        wanted.to_owned()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn numbers_begin_at_one() {
        let parse = at_least_one::<NonZeroU32>;
        assert_eq!(parse("1").unwrap().get(), 1);
        assert_eq!(parse("0").unwrap_err(), "it must be at least 1");
        assert_eq!(parse("4294967296").unwrap_err(), "it is too large");
        assert_eq!(parse("many").unwrap_err(), "it must be a whole number, at least 1");
    }
}
