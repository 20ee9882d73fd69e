//! What transports can do, as a table.

use std::fmt::Write;

use msgstream_core::transport::Capabilities;

/// What transports can do, as a Markdown table: a row for each capability, a column for each
/// transport.
///
/// ```
/// use msgstream_conformance::matrix;
/// use msgstream_core::transport::Capabilities;
/// let table = matrix(&[("mine", Capabilities::none().with("list").with_max_payload(1024))]);
/// assert!(table.starts_with("| capability | mine |\n| --- | --- |\n| `create` | no |\n"));
/// assert!(table.contains("| `list` | yes |\n"));
/// assert!(table.ends_with("| `max_payload` | 1024 bytes |\n"));
/// ```
#[must_use]
pub fn matrix(transports: &[(&str, Capabilities)]) -> String {
    let mut table = row("capability", transports.iter().map(|(name, _)| (*name).to_owned()));
    table += &row("---", transports.iter().map(|_| "---".to_owned()));
    for (i, name) in Capabilities::NAMES.iter().enumerate() {
        let cells = transports.iter().map(|(_, can)| {
            let yes = can.iter().nth(i).is_some_and(|(_, yes)| yes);
            if yes { "yes" } else { "no" }.to_owned()
        });
        table += &row(&format!("`{name}`"), cells);
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
