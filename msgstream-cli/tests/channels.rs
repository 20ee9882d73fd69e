//! `msgstream channels`, from the outside.
#![allow(clippy::unwrap_used)]

mod kit;

use msgstream::record::Record;
use msgstream::transport::TransportExt as _;
use serde_json::{Value, json};

use crate::kit::{run, url};

#[test]
fn channels_are_created_listed_described_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let owned = ["--owner", "billing", "--property", "region=north"];
    let create = ["channels", "create", url, "orders-0", "orders-1", "other"];
    run(&[&create[..], &owned].concat(), 0);

    assert_eq!(run(&["channels", "list", url], 0).0, "orders-0\norders-1\nother\n");
    assert_eq!(run(&["channels", "list", url, "or", "orders"], 0).0, "orders-0\norders-1\n");
    let json = run(&["channels", "list", url, "ot", "--json"], 0).0;
    assert_eq!(json, "{\"channel\":\"other\"}\n");

    let described = run(&["channels", "describe", url, "orders-1", "--json"], 0).0;
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["channel"], "orders-1");
    assert_eq!(described["owner"]["role"], "billing");
    assert_eq!(described["properties"]["region"], "north");
    assert_eq!((&described["first"], &described["end"]), (&Value::Null, &Value::from("0")));
    let (all, _) = run(&["channels", "describe", url], 0);
    assert_eq!(all.lines().filter(|line| *line == "  owner        billing").count(), 3, "{all}");

    let (_, told) = run(&["channels", "destroy", url, "other", "orders-0"], 0);
    assert_eq!(told, "destroyed `other`\ndestroyed `orders-0`\n");
    assert_eq!(run(&["channels", "list", url], 0).0, "orders-1\n");
}

#[tokio::test]
async fn records_and_subscriptions_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let broker = msgstream::connect(url).await.unwrap();
    broker.create("orders").await.unwrap();
    let mut writer = broker.writer("orders").await.unwrap();
    let stored = writer.submit(vec![Record::default(); 3]).await.stored;
    broker.subscription("orders", "billing").await.unwrap().ack(stored[2]).await.unwrap();
    broker.subscription("orders", "audit").await.unwrap();
    broker.close().await.unwrap();

    let described = run(&["channels", "describe", url, "--json"], 0).0;
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["records"], 3);
    let audit = json!({"name": "audit", "acked": null});
    let billing = json!({"name": "billing", "acked": stored[2].to_string()});
    assert_eq!(described["subscriptions"], json!([audit, billing]));
    let (text, _) = run(&["channels", "describe", url, "orders"], 0);
    for line in ["  records      3", "  subscription audit", "  subscription billing at 2"] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
}

#[test]
fn what_is_wrong_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let (_, missing) = run(&["channels", "destroy", url, "orders"], 1);
    assert!(missing.contains("channel `orders` failed: there is no such channel"), "{missing}");
    let (_, nameless) = run(&["channels", "create", url, "orders", "--property", "region"], 2);
    assert!(nameless.contains("--property NAME=VALUE"), "{nameless}");
    for usage in [
        &["channels", "create", url][..],
        &["channels", "trim", url, "orders"],
        &["channels", "trim", url, "orders", "--before", "soon"],
        &["channels", "list", "nowhere"],
        &["channels", "list", "file:///tmp?colour=red"],
    ] {
        run(usage, 2);
    }
}
