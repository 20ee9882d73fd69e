//! What a scrape holds.
#![allow(clippy::unwrap_used)]

/// Returns the value of a series in the text format of Prometheus, by the names before dots became
/// underscores.
pub(crate) fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let name = name.replace('.', "_");
    let mut labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{}=\"{value}\"", name.replace('.', "_")))
        .collect();
    labels.sort();
    text.lines().find_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (of, rest) = series.split_once('{').unwrap_or((series, ""));
        let mut found: Vec<&str> = rest.trim_end_matches('}').split(',').collect();
        found.sort_unstable();
        (of == name && found == labels).then(|| value.parse().unwrap())
    })
}
