//! `msgstream tail`, from the outside.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use msgstream::message::proto::InsertRequest;
use msgstream::message::{Event, InsertMsg, Json, Proto, hash_str};
use msgstream::{MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kit::{Running, json_lines, of_rows, run, url};

/// Writes rows `at,n` with these seconds as their times to channels, in turn.
fn produce(url: &str, channels: &[&str], seconds: &[u64], more: &[&str]) {
    let mut csv = "at,n\n".to_owned();
    for (n, at) in seconds.iter().enumerate() {
        writeln!(csv, "{at},{n}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("rows.csv");
    fs::write(&input, csv).unwrap();
    let input = input.display().to_string();
    let times = ["--time-column", "at", "--time-format", "unix", "--late", "deliver"];
    let args = ["produce", url, "--input", &input];
    run(&[&args[..], &times, channels, more].concat(), 0);
}

fn log(folder: &Path) -> String {
    url(&folder.join("log"))
}

/// The lines that it shows, and what it says.
fn tail(url: &str, args: &[&str]) -> (Vec<Value>, String) {
    let (out, told) = run(&[&["tail", url][..], args].concat(), 0);
    (json_lines(&out), told)
}

fn times(lines: &[Value]) -> Vec<String> {
    of_rows(lines, "at")
}

#[cfg(unix)]
#[test]
fn what_one_process_writes_another_shows_at_once_in_the_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let mut shown = Running::start(&["tail", url, "a", "b", "--follow"]);
    shown.says("waiting for channel `a`, which isn't there yet");
    let mut producing = Running::start(&["produce", url, "a", "b", "--tick-clock", "20ms"]);
    for n in 0..20 {
        producing.write(&format!("row {n}\n"));
        let line = shown.line();
        assert_eq!(line["row"]["line"], format!("row {n}"));
        assert_eq!(line["channel"], ["a", "b"][n % 2]);
    }
    assert_eq!(producing.end().2, "wrote 20 rows to 2 channels\n");
    shown.signal("INT");
    let (code, rest, told) = shown.end();
    assert_eq!((code, &*rest), (Some(0), ""));
    assert!(!told.contains("error"), "{told}");
}

#[test]
fn rows_of_several_channels_are_shown_in_the_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a", "b", "c"], &[5, 3, 4, 1, 2, 9, 7], &[]);
    let (lines, told) = tail(url, &["c", "b", "a"]);
    assert_eq!(times(&lines), ["1", "2", "3", "4", "5", "7", "9"]);
    assert_eq!(told, "");
    let keys = ["channel", "position", "ts", "type", "id", "vchannel", "late", "row"];
    assert_eq!(lines[0].as_object().unwrap().len(), keys.len());
    let wanted = json!({
        "channel": "a", "position": "1", "ts": "1970-01-01T00:00:01Z", "type": "Row", "id": 5,
        "vchannel": null, "late": false, "row": {"at": "1", "n": "3"}
    });
    assert_eq!(lines[0], wanted);
    assert_eq!(times(&tail(url, &["a", "b", "c", "--count", "3"]).0), ["1", "2", "3"]);
    assert_eq!(tail(url, &["a", "--json"]).0.len(), 3);
}

#[test]
fn what_is_after_the_last_tick_of_all_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    run(&["channels", "create", url, "empty"], 0);
    assert_eq!(tail(url, &["empty"]), (Vec::new(), String::new()));
    assert_eq!(tail(url, &["empty", "--from", "latest"]), (Vec::new(), String::new()));
    produce(url, &["a"], &[1, 2], &[]);
    let (lines, told) = tail(url, &["a", "empty"]);
    let wanted =
        "messages after the last tick that are not shown: 2 (channel `empty` has no tick)\n";
    assert_eq!((lines, &*told), (Vec::new(), wanted));
    produce(url, &["b"], &[1, 2], &[]);
    produce(url, &["a"], &[3, 4], &[]);
    let (lines, told) = tail(url, &["a", "b"]);
    assert_eq!(times(&lines), ["1", "1", "2", "2"]);
    assert!(
        told.contains("not shown: 2 (channel `b` has ticked up to 1970-01-01T00:00:02Z)"),
        "{told}"
    );
    let (_, told) = run(&["tail", url, "a", "missing"], 1);
    assert!(told.contains("channel `missing` can't be shown: there is no such channel"), "{told}");
}

#[test]
fn packs_are_lines_and_end_where_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a", "b"], &[1, 2, 11, 12, 21], &["--tick", "1s"]);
    let (lines, _) = tail(url, &["a", "b", "--packs", "--align", "10s"]);
    let packs: Vec<_> = lines
        .iter()
        .map(|pack| (&pack["begin"], &pack["end"], times(pack["messages"].as_array().unwrap())))
        .collect();
    let seconds = ["1970-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "1970-01-01T00:00:20Z"];
    let [zero, ten, twenty] = seconds.map(Value::from);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let wanted = [
        (&Value::Null, &zero, texts(&[])),
        (&zero, &ten, texts(&["1", "2"])),
        (&ten, &twenty, texts(&["11", "12"])),
    ];
    assert_eq!(packs, wanted);
    assert_eq!(tail(url, &["a", "b", "--packs", "--count", "2"]).0.len(), 2);
}

#[test]
fn a_checkpoint_goes_on_in_the_middle_of_a_pack() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let file = folder.path().join("checkpoint").display().to_string();
    produce(url, &["a", "b"], &[1, 2, 3, 4, 5], &[]);
    let next = |more: &[&str]| {
        let (lines, _) = tail(url, &[&["a", "b", "--checkpoint", &file][..], more].concat());
        times(&lines)
    };
    assert_eq!(next(&["--count", "2"]), ["1", "2"]);
    assert_eq!(next(&["--count", "1"]), ["3"]);
    let (packs, _) = tail(url, &["a", "b", "--checkpoint", &file, "--packs"]);
    assert_eq!(times(packs[0]["messages"].as_array().unwrap()), ["4", "5"]);
    assert!(next(&[]).is_empty());
    produce(url, &["a", "b"], &[6, 7], &[]);
    assert_eq!(next(&["--count", "2"]), ["6", "7"]);
    let (none, told) = tail(url, &["a", "b", "--checkpoint", &file, "--from", "earliest"]);
    assert!(none.is_empty() && told.starts_with("--from counts for a new checkpoint"), "{told}");
}

#[test]
fn a_checkpoint_of_other_channels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let file = folder.path().join("checkpoint").display().to_string();
    produce(url, &["a", "b"], &[1, 2, 3, 4], &[]);
    let (shown, _) = tail(url, &["a", "b", "--count", "1", "--checkpoint", &file]);
    assert_eq!(times(&shown), ["1"]);
    for channels in [&["a"][..], &["a", "b", "c"]] {
        run(&["channels", "create", url, channels.last().unwrap()], i32::from(channels.len() == 1));
        let (_, told) = run(&[&["tail", url, "--checkpoint", &file], channels].concat(), 2);
        assert!(told.contains("is of `a`, `b`, and this run names `a`"), "{told}");
    }
    // The refused runs took nothing.
    let (shown, _) = tail(url, &["b", "a", "--checkpoint", &file]);
    assert_eq!(times(&shown), ["2", "3", "4"]);
}

#[test]
fn what_never_was_a_checkpoint_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let file = folder.path().join("orders.csv").display().to_string();
    produce(url, &["a"], &[1], &[]);
    fs::write(&file, "at,n\n1,2\n").unwrap();
    let (_, told) = run(&["tail", url, "a", "--checkpoint", &file], 2);
    assert!(told.contains("isn't a checkpoint: name another file"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "at,n\n1,2\n");
    fs::write(&file, "msgstream-checkpoint 1 damaged").unwrap();
    let (_, told) = run(&["tail", url, "a", "--checkpoint", &file], 1);
    assert!(told.contains("is corrupt"), "{told}");
}

#[test]
fn errors_say_what_was_asked_for_and_what_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["b"], &[1], &[]);
    let (_, missing) = run(&["tail", url, "a"], 1);
    let wanted = "error: channel `a` can't be shown: there is no such channel; ";
    assert!(missing.starts_with(wanted) && missing.contains("--follow waits"), "{missing}");
    let (_, none) = run(&["tail", url, "a", "--filter", "type=Rov"], 2);
    let wanted = "there is no type `Rov` (did you mean `Row`?): the types with names are ";
    assert!(none.contains(wanted), "{none}");
    let (_, zero) = run(&["tail", url, "a", "--count", "0"], 2);
    assert!(zero.contains("it must be at least 1"), "{zero}");
    let (_, align) = run(&["tail", url, "a", "--align", "banana"], 2);
    assert!(align.contains("such as 500ms, 30s or 1h 30m"), "{align}");
}

#[cfg(unix)]
#[test]
fn a_checkpoint_is_kept_while_it_follows() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let file = folder.path().join("checkpoint").display().to_string();
    let args = ["tail", url, "a", "--follow", "--checkpoint", &file];
    for round in [1, 3, 5] {
        produce(url, &["a"], &[round, round + 1], &[]);
        let mut shown = Running::start(&args);
        assert_eq!(
            [shown.line(), shown.line()].map(|line| line["row"]["at"].clone()),
            [json!(round.to_string()), json!((round + 1).to_string())]
        );
        shown.signal("INT");
        let (code, rest, told) = shown.end();
        assert_eq!((code, &*rest, &*told), (Some(0), "", ""));
    }
}

#[test]
fn a_checkpoint_that_another_run_took_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let file = folder.path().join("checkpoint").display().to_string();
    produce(url, &["a"], &[1], &[]);
    let mut first = Running::start(&["tail", url, "a", "--follow", "--checkpoint", &file]);
    first.line();
    tail(url, &["a", "--checkpoint", &file]);
    produce(url, &["a"], &[2], &[]);
    let (code, _, told) = first.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("another consumer took over the store of checkpoints"), "{told}");
    let nowhere = folder.path().join("nowhere/checkpoint").display().to_string();
    run(&["tail", url, "a", "--checkpoint", &nowhere], 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    // Far more than a pipe holds.
    produce(url, &["a"], &(1..5_000).collect::<Vec<_>>(), &[]);
    let mut shown = Running::start(&["tail", url, "a", "--follow"]);
    shown.line();
    shown.go_away();
    assert_eq!(shown.end(), (Some(0), String::new(), String::new()));
}

#[cfg(unix)]
#[test]
fn an_interrupt_works_though_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a"], &(1..20_000).collect::<Vec<_>>(), &[]);
    let mut shown = Running::start(&["tail", url, "a"]);
    shown.line();
    shown.signal("INT");
    assert_eq!(shown.wait_unread(), (Some(0), String::new()));
}

#[test]
fn raw_shows_ticks_and_what_sessions_write_for_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a", "b"], &[1, 2, 3, 1], &["--session", "s", "--tick", "1s"]);
    let (lines, _) = tail(url, &["a", "--raw"]);
    assert!(lines.iter().all(|line| line["channel"] == "a"));
    let positions: Vec<_> = lines.iter().map(|line| line["position"].as_str().unwrap()).collect();
    let all: Vec<_> = (0..lines.len()).map(|n| n.to_string()).collect();
    assert_eq!(positions, all);
    let headers = |line: &Value| line["headers"]["ms-session"].as_str().unwrap().to_owned();
    let kinds: Vec<_> = lines.iter().map(headers).collect();
    assert!(kinds[0].contains(";fence;") && kinds[1].ends_with(";base;0"), "{kinds:?}");
    assert!(kinds.last().unwrap().ends_with(";bye;"), "{kinds:?}");
    let rows: Vec<_> = lines.iter().filter(|line| line["type"] == "Row").collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["late"], &rows[1]["late"]), (&json!(false), &json!(false)));
    let ticks: Vec<_> = lines.iter().filter(|line| line["type"] == "TimeTick").collect();
    assert_eq!(ticks.len(), lines.len() - 2);
    assert_eq!(ticks.last().unwrap()["fields"]["base"]["msg_type"], 1200);

    let (both, _) = tail(url, &["a", "b", "--raw", "--filter", "type=Row"]);
    assert_eq!(both.len(), 4);
    assert_eq!(both.iter().filter(|line| line["late"] == true).count(), 1);
    assert_eq!(tail(url, &["a", "b", "--raw", "--count", "3"]).0.len(), 3);
}

#[test]
fn a_start_is_a_position_of_one_channel_or_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a", "b"], &[1, 2, 3, 4], &["--tick", "1s"]);
    let (raw, _) = tail(url, &["a", "--raw"]);
    let row = raw.iter().find(|line| line["row"]["at"] == "3").unwrap();
    let from = row["position"].as_str().unwrap();
    assert_eq!(times(&tail(url, &["a", "--from", from]).0), ["3"]);
    assert_eq!(tail(url, &["a", "--from", from, "--raw"]).0[0], *row);
    let (_, told) = run(&["tail", url, "a", "b", "--from", from], 2);
    assert!(told.contains("a position belongs to one channel"), "{told}");
    assert_eq!(tail(url, &["a", "b", "--from", "1970-01-01T00:00:00Z"]).0.len(), 4);
    assert_eq!(tail(url, &["a", "b", "--from", "latest"]), (Vec::new(), String::new()));
}

#[test]
fn channels_without_ticks_can_be_shown_with_made_up_ones() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let mut producing = Running::start(&["produce", url, "a"]);
    producing.write("one\n");
    run(&["tail", url, "a", "--raw", "--follow", "--count", "1"], 0);
    // It never comes to its end, so it never ticks.
    producing.signal("KILL");
    producing.end();
    let (none, told) = tail(url, &["a"]);
    assert!(none.is_empty() && told.contains("channel `a` has no tick"), "{told}");
    assert_eq!(of_rows(&tail(url, &["a", "--synthetic-ticks", "0s"]).0, "line"), ["one"]);
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    cents: u64,
}

impl Event for Order {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;

    fn timestamp(&self) -> Timestamp {
        Timestamp(self.cents)
    }

    fn hash_key(&self) -> u32 {
        hash_str("ann")
    }
}

/// What another program encodes in its own way.
#[derive(Clone, PartialEq, prost::Message)]
struct Own {
    #[prost(uint64, tag = "7")]
    number: u64,
}

impl Event for Own {
    const TYPE: MsgType = MsgType(70_002);
    type Codec = Proto;

    fn timestamp(&self) -> Timestamp {
        Timestamp(self.number)
    }

    fn hash_key(&self) -> u32 {
        0
    }
}

#[tokio::test]
async fn messages_of_programs_are_shown_as_far_as_they_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    let broker = msgstream::connect(url).await.unwrap();
    let producer = Producer::builder(broker.clone()).channels(["a"]).create_missing();
    let mut producer = producer.open().await.unwrap();
    producer.send(Order { cents: 1 }).await.unwrap();
    producer.send(Own { number: 2 }).await.unwrap();
    let insert = InsertRequest {
        shard_name: "dml_3_42v0".to_owned(),
        timestamps: vec![3],
        ..InsertRequest::default()
    };
    producer.send(InsertMsg::new(insert).with_hash_keys([0])).await.unwrap();
    producer.tick(Timestamp(3)).await.unwrap();
    producer.close().await.unwrap();

    let (lines, _) = tail(url, &["a"]);
    assert_eq!((&lines[0]["type"], &lines[0]["row"]), (&json!("70001"), &json!({"cents": 1})));
    assert_eq!((&lines[1]["type"], &lines[1]["payload_base64"]), (&json!("70002"), &json!("OAI=")));
    assert_eq!(
        (&lines[2]["type"], &lines[2]["vchannel"]),
        (&json!("Insert"), &json!("dml_3_42v0"))
    );
    assert_eq!(lines[2]["fields"]["timestamps"], json!([3]));
    let filtered = |filter: &str| tail(url, &["a", "--filter", filter]).0.len();
    assert_eq!(filtered("type=Insert,type=70001"), 2);
    assert_eq!(filtered("vchannel=dml_3_42v0"), 1);
    assert_eq!(filtered("type=70001,vchannel=dml_3_42v0"), 0);
    broker.close().await.unwrap();
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let url = &log(folder.path());
    produce(url, &["a"], &[1], &[]);
    let other = folder.path().join("other").display().to_string();
    for usage in [
        &["tail", url][..],
        &["tail", "nowhere", "a"],
        &["tail", url, "a", "a"],
        &["tail", url, "a", "--follow", "--until-end"],
        &["tail", url, "a", "--raw", "--packs"],
        &["tail", url, "a", "--raw", "--checkpoint", &other],
        &["tail", url, "a", "--raw", "--late", "drop"],
        &["tail", url, "a", "--filter", "colour=red"],
        &["tail", url, "a", "--count", "0"],
        &["tail", url, "a", "--from", "first"],
        &["tail", url, "a", "--align", "0s"],
    ] {
        run(usage, 2);
    }
}
