//! `msgstream channels`, from the outside.

use msgstream::record::Record;
use msgstream::transport::TransportExt as _;
use serde_json::{Value, json};

use crate::kit::{json_lines, run, url};

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
    assert_eq!(described["properties"], json!({"region": "north"}), "the owner is told once");
    let incarnation = described["incarnation"].as_str().unwrap();
    assert_eq!(incarnation.len(), 32, "{incarnation}");
    let (all, _) = run(&["channels", "describe", url], 0);
    assert_eq!(all.lines().filter(|line| *line == "  owner        billing").count(), 3, "{all}");

    let (_, told) = run(&["channels", "destroy", url, "other", "orders-0"], 0);
    assert_eq!(told, "destroyed `other`\ndestroyed `orders-0`\n");
    assert_eq!(run(&["channels", "list", url], 0).0, "orders-1\n");

    let (done, told) = run(&["channels", "create", url, "a", "b", "--json"], 0);
    let made = |channel: &str| json!({"channel": channel, "result": "created"});
    assert_eq!((json_lines(&done), &*told), (vec![made("a"), made("b")], ""));
    let (done, told) = run(&["channels", "destroy", url, "a", "--json"], 0);
    let gone = json!({"channel": "a", "result": "destroyed"});
    assert_eq!((json_lines(&done), &*told), (vec![gone], ""));
}

#[test]
fn a_trim_that_removes_nothing_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    run(&["channels", "create", url, "a"], 0);
    let trim = |before: &str, more: &[&str]| {
        run(&[&["channels", "trim", url, "a", "--before", before], more].concat(), 0)
    };
    assert_eq!(trim("latest", &[]).1, "nothing was removed from `a`: it has no record\n");
    produce(url, b"1\n2\n3\n");
    let told = trim("0", &[]).1;
    assert_eq!(told, "nothing was removed from `a`: the first record is at 0\n");
    let told = trim("2", &[]).1;
    let why = "the piece with 0 isn't wholly before 2\n";
    assert!(told.starts_with("nothing was removed from `a`: the broker removes"), "{told}");
    assert!(told.ends_with(why), "{told}");
    let (done, told) = trim("2", &["--json"]);
    let unchanged = json!({"channel": "a", "result": "unchanged", "first": "0"});
    assert_eq!((json_lines(&done), &*told), (vec![unchanged], ""));
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

/// Writes rows to the channel, each into a segment of its own.
fn produce(url: &str, rows: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("rows");
    std::fs::write(&input, rows).unwrap();
    let input = input.display().to_string();
    // So slow, that each row is written by itself.
    run(&["produce", url, "a", "--input", &input, "--rate", "50"], 0);
}

#[test]
fn what_is_before_a_position_or_a_time_is_trimmed() {
    let folder = tempfile::tempdir().unwrap();
    let url = &format!("{}?segment_bytes=1", url(folder.path()));
    let rows = || {
        let (raw, _) = run(&["tail", url, "a", "--raw", "--filter", "type=Row"], 0);
        let lines = json_lines(&raw).into_iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        lines.map(|l| (text(&l["row"]["line"]), text(&l["position"]))).collect::<Vec<_>>()
    };
    let lines = || rows().into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    produce(url, b"1\n2\n3\n");
    let (_, second) = &rows()[1];
    let (_, told) = run(&["channels", "trim", url, "a", "--before", second], 0);
    assert_eq!(told, format!("trimmed `a`; the first that is left: {second}\n"));
    assert_eq!(lines(), ["2", "3"]);

    // A time after what is there, and before what comes.
    let millis = || jiff::Timestamp::now().as_millisecond();
    let next = |then: i64| std::iter::repeat_with(millis).find(|now| *now > then).unwrap();
    let time = next(millis());
    next(time);
    produce(url, b"4\n");
    let time = jiff::Timestamp::from_millisecond(time).unwrap().to_string();
    run(&["channels", "trim", url, "a", "--before", &time], 0);
    assert_eq!(lines(), ["4"]);
    run(&["channels", "trim", url, "a", "--before", "earliest"], 0);
    assert_eq!(lines(), ["4"]);
}

#[test]
fn only_what_writes_makes_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let (typo, copy) = (folder.path().join("typo"), folder.path().join("copy"));
    let (url, copied) = (&url(&typo), &url(&copy));
    for command in [
        &["channels", "list", url][..],
        &["channels", "describe", url],
        &["channels", "destroy", url, "a"],
        &["channels", "trim", url, "a", "--before", "latest"],
        &["copy", url, copied, "a"],
        &["doctor", url],
        &["doctor", url, "a"],
        &["repair-ticks", url, "a"],
        &["tail", url, "a", "--until-end"],
    ] {
        let (out, told) = run(command, 3);
        let says_so = told.contains("there is no log") && told.contains(typo.to_str().unwrap());
        assert!(out.is_empty() && says_so, "{command:?}: {out}{told}");
        assert!(!typo.exists() && !copy.exists(), "{command:?}");
    }
    let (out, told) = run(&["channels", "list", &format!("{url}?create=true")], 0);
    assert_eq!((&*out, &*told), ("", "there are no channels\n"));
    assert!(typo.exists());
    run(&["channels", "create", copied, "a"], 0);
    assert_eq!(run(&["channels", "list", copied], 0), ("a\n".to_owned(), String::new()));
    let (_, told) = run(&["channels", "list", copied, "b", "c"], 0);
    assert_eq!(told, "there are no channels whose names begin with `b`, `c`\n");
}

#[test]
fn what_is_wrong_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let (_, missing) = run(&["channels", "destroy", url, "orders"], 1);
    let wanted = "error: channel `orders` can't be destroyed: there is no such channel; `msgstream channels list` names those that there are\n";
    assert_eq!(missing, wanted);
    run(&["channels", "create", url, "made"], 0);
    let (_, twice) = run(&["channels", "create", url, "made"], 1);
    assert!(twice.contains("`made` can't be created: it exists already; use it"), "{twice}");
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
