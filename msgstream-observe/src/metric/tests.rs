#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use opentelemetry_semantic_conventions::{SCHEMA_URL, attribute as a, metric};

use super::*;
use crate::attribute::MESSAGE_COUNT;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md");

#[test]
fn names_are_those_of_the_conventions() {
    assert_eq!(DURATION, metric::MESSAGING_CLIENT_OPERATION_DURATION);
    assert_eq!(SENT, metric::MESSAGING_CLIENT_SENT_MESSAGES);
    assert_eq!(CONSUMED, metric::MESSAGING_CLIENT_CONSUMED_MESSAGES);
    assert_eq!(SYSTEM, a::MESSAGING_SYSTEM);
    assert_eq!(DESTINATION, a::MESSAGING_DESTINATION_NAME);
    assert_eq!(SUBSCRIPTION, a::MESSAGING_DESTINATION_SUBSCRIPTION_NAME);
    assert_eq!(OPERATION, a::MESSAGING_OPERATION_NAME);
    assert_eq!(OPERATION_TYPE, a::MESSAGING_OPERATION_TYPE);
    assert_eq!(MESSAGE_COUNT, a::MESSAGING_BATCH_MESSAGE_COUNT);
    assert_eq!(ERROR_TYPE, a::ERROR_TYPE);
    for metric in METRICS {
        let ours = metric.name.starts_with("msgstream.");
        assert!(ours || [DURATION, SENT, CONSUMED].contains(&metric.name), "{}", metric.name);
    }
}

#[test]
fn no_name_is_there_twice() {
    let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn the_documentation_has_the_table_and_the_version() {
    let mut table = String::from(
        "| metric | kind | unit | attributes | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for Metric { name, kind, unit, attributes, meaning } in METRICS {
        let attributes: Vec<_> = attributes.iter().map(|name| format!("`{name}`")).collect();
        let attributes = attributes.join(", ");
        table += &format!("| `{name}` | {kind} | `{unit}` | {attributes} | {meaning} |\n");
    }
    let old = std::fs::read_to_string(FILE).unwrap();
    let (before, rest) = old.split_once("<!-- begin metrics -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end metrics -->").unwrap();
    let new = format!("{before}<!-- begin metrics -->\n{table}<!-- end metrics -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &new).unwrap();
    } else {
        assert!(new == old, "docs/observability.md is out of date: run this with UPDATE_DOCS=1");
    }
    let version = SCHEMA_URL.rsplit('/').next().unwrap();
    assert!(old.contains(&format!("version {version}")), "it must name the version {version}");
}
