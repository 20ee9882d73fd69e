//! What transports can do, as a table.

use std::fmt::Write;

use msgstream_core::transport::{Capabilities, Capability};

/// Returns a Markdown table of what transports can do: a row for each capability, a column for each
/// transport.
///
/// ```
/// use msgstream_conformance::matrix;
/// use msgstream_core::transport::{Capabilities, Capability};
/// let can = Capabilities::none().with(Capability::List).with_max_payload(1024);
/// let table = matrix(&[("mine", can)]);
/// assert!(table.starts_with("| capability | mine |\n| --- | --- |\n| `create` | no |\n"));
/// assert!(table.contains("| `list` | yes |\n"));
/// assert!(table.ends_with("| `max_payload` | 1024 bytes |\n"));
/// ```
#[must_use]
pub fn matrix(transports: &[(&str, Capabilities)]) -> String {
    let mut table = row("capability", transports.iter().map(|(name, _)| (*name).to_owned()));
    table += &row("---", transports.iter().map(|_| "---".to_owned()));
    for capability in Capability::ALL {
        let cells = transports
            .iter()
            .map(|(_, can)| if can.has(*capability) { "yes" } else { "no" }.to_owned());
        table += &row(&format!("`{capability}`"), cells);
    }
    let limits = transports
        .iter()
        .map(|(_, can)| can.max_payload.map_or("memory".to_owned(), |n| format!("{n} bytes")));
    table + &row("`max_payload`", limits)
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let mut row = format!("| {first} |");
    for cell in cells {
        // Writing to a string never fails.
        let _ = write!(row, " {cell} |");
    }
    row + "\n"
}
