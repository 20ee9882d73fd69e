//! Verifying a run: the files are read again, what had to come out is worked out from them, and
//! compared with what did.

mod compare;
mod expected;
mod seen;
#[cfg(test)]
mod tests;

use std::path::Path;

use self::compare::Differences;
use self::expected::Expected;
pub(crate) use self::expected::Rule;
pub(crate) use self::seen::Seen;
use super::rows::Input;
use super::tally::Summary;
use crate::error::{Error, Result};

/// Compares a run with its files: its packs, its rows, and what it said in its summary. The rows
/// are those of the output file where there is one, else those that were consumed.
///
/// # Errors
/// [`Error::Differs`] with the first differences, and files that can't be read.
pub(crate) fn verify(
    input: &Input,
    rule: &Rule,
    summary: &Summary,
    consumed: &Seen,
    written: Option<&Path>,
) -> Result<()> {
    let expected = Expected::read(input.clone(), rule)?;
    let mut found = Differences::default();
    compare::all_intervals(&expected, consumed, &mut found);
    match written {
        Some(path) => compare::rows(&expected, &Seen::read(path)?, rule, input, &mut found),
        None => compare::rows(&expected, consumed, rule, input, &mut found),
    }
    counts(&expected, summary, &mut found);
    if found.count == 0 {
        return Ok(());
    }
    Err(Error::Differs { count: found.count, first: found.first })
}

fn counts(expected: &Expected, summary: &Summary, found: &mut Differences) {
    let delivered = expected.rows.len() as u64;
    for (what, said, wanted) in [
        ("read", summary.read, expected.read),
        ("delivered", summary.delivered, delivered),
        ("late", summary.late, expected.late),
        ("dropped", summary.dropped, expected.dropped),
        ("bad", summary.bad, expected.bad),
    ] {
        if said != wanted {
            found.add(|| {
                format!("{said} rows were {what} by the summary, and {wanted} by the files")
            });
        }
    }
}
