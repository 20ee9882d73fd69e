//! `msgstream copy`, from the outside.

use std::process::{Child, Command, Stdio};

use msgstream::consume::LatePolicy;
use msgstream::record::{Header, Position, Record, Stamp, unreadable};
use msgstream::{Consumer, Producer, produce::SessionConfig};
use serde_json::json;

use crate::kit::channels::{Broker, Content, append, assert_equal, end, message, packs, tick};
use crate::kit::{json_lines, msgstream, run, texts, url};

/// Two brokers and their URLs.
struct Both {
    from: String,
    to: String,
    source: Broker,
    copy: Broker,
    _folders: [tempfile::TempDir; 2],
}

impl Both {
    async fn new() -> Self {
        Self::with_options("").await
    }

    async fn with_options(options: &str) -> Self {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [from, to] = [0, 1].map(|side| format!("{}{options}", url(folders[side].path())));
        let source = msgstream::connect(&from).await.unwrap();
        let copy = msgstream::connect(&to).await.unwrap();
        Self { from, to, source, copy, _folders: folders }
    }

    /// Runs the copy, which must end with this exit code, and returns what it wrote to stderr.
    #[track_caller]
    fn run(&self, more: &[&str], exit: i32) -> String {
        let args = [&["copy", &self.from, &self.to], more].concat();
        let (out, err) = run(&args, exit);
        assert_eq!(out, "");
        err
    }

    fn start(&self, more: &[&str]) -> Child {
        let args = [&["copy", &self.from, &self.to], more].concat();
        msgstream(args).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn append(&self, channel: &str, records: Vec<Record>) {
        append(&self.source, channel, records).await;
    }

    /// Ends a channel on both sides, so that all that it has is in packs.
    async fn end(&self, channel: &str, end: &Record) {
        for broker in [&self.source, &self.copy] {
            append(broker, channel, vec![end.clone()]).await;
        }
    }

    async fn assert_equal(&self, channels: &[&str]) -> usize {
        let source = packs(&self.source, channels).await;
        assert_equal(&source, &packs(&self.copy, channels).await)
    }
}

#[tokio::test]
async fn packs_of_the_copy_are_those_of_the_source() {
    let both = Both::new().await;
    let mut contents = [1, 2, 3].map(Content::new);
    let channels = ["a", "b", "c"];
    for (channel, content) in channels.iter().zip(&mut contents) {
        both.append(channel, content.next(2_000)).await;
    }
    // One has ended, with more behind its end; one has no tick for its last messages.
    both.append("a", vec![contents[0].end(), message(1, 1)]).await;
    both.append("b", vec![tick(1_000_000), message(1_000_001, 1), message(1_000_003, 2)]).await;
    let told = both.run(&["a", "b", "c", "--verify"], 0);
    assert!(told.contains("messages copied              6002\n"), "{told}");
    assert!(told.contains("after an end                    1\n"), "{told}");
    assert!(told.contains("verified: "), "{told}");

    // The same once more, and with more to copy, in any order of the channels.
    let told = both.run(&["a", "b", "c"], 0);
    assert!(told.contains("messages copied                 0\n"), "{told}");
    both.append("c", contents[2].next(100)).await;
    let told = both.run(&["c", "a", "b", "--verify"], 0);
    assert!(told.contains("messages copied               100\n"), "{told}");

    both.end("b", &end(1_000_010)).await;
    both.end("c", &contents[2].end()).await;
    assert_eq!(both.assert_equal(&channels).await, 6_102);
    // Of any of the channels, too.
    both.assert_equal(&["b"]).await;
    both.assert_equal(&["a", "c"]).await;
    let late = packs(&both.copy, &["a"]).await;
    let late = late.iter().flat_map(|(.., messages)| messages).filter(|m| m.late).count();
    assert!(late > 50, "{late}");
}

#[tokio::test]
async fn channels_without_ticks_are_copied() {
    let both = Both::new().await;
    both.append("a", (1..=50).map(|n| message(100 - n, n)).collect()).await;
    both.append("b", vec![]).await;
    let told = both.run(&["a", "b", "--verify"], 0);
    assert!(
        told.contains("in 0 packs with 0 messages, and in 50 messages without a pack"),
        "{told}"
    );
    both.end("a", &end(1_000)).await;
    both.end("b", &end(1_000)).await;
    assert_eq!(both.assert_equal(&["a", "b"]).await, 50);
}

#[tokio::test]
async fn what_does_not_count_is_left_out() {
    let both = Both::new().await;
    let stamped = |mut record: Record, stamp: &str| {
        record.meta.stamp = Some(stamp.parse().unwrap());
        record
    };
    let control = |text: &str| {
        let mut record = tick(0);
        record.extra.push(Header::new(Stamp::HEADER, text.to_owned()));
        record
    };
    let log = vec![
        control("p;0;fence;1"),
        control("p;0;base;0"),
        stamped(message(1, 1), "p;0;1"),
        stamped(message(3, 3), "p;0;3"),
        stamped(message(2, 2), "p;0;2"),
        stamped(message(3, 3), "p;0;3"),
        stamped(message(2, 2), "p;0;2"),
        stamped(tick(4), "p;0;3"),
        control("p;9;fence;1"),
        control("p;9;base;3"),
        stamped(message(5, 4), "p;0;4"),
        stamped(tick(90), "p;0;4"),
        stamped(message(6, 5), "p;9;4"),
        stamped(tick(7), "p;9;4"),
        tick(7),
        control("p;9;bye;"),
        end(8),
    ];
    both.append("a", log).await;
    let told = both.run(&["a", "--verify"], 0);
    for line in [
        "messages copied                 4\n",
        "ticks                           3\n",
        "copies left out                 2\n",
        "void, left out                  2\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(both.assert_equal(&["a"]).await, 4);
}

#[tokio::test]
async fn a_destination_of_others_is_refused() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1), tick(1)]).await;
    both.append("b", vec![message(1, 1), tick(1)]).await;
    append(&both.copy, "a", vec![message(5, 5)]).await;
    append(&both.copy, "b", vec![]).await;
    let told = both.run(&["a", "b"], 1);
    assert!(
        told.contains("channel `a` of the destination has records that this copy didn't"),
        "{told}"
    );
    assert_eq!(both.copy.describe("a").await.unwrap().end, Position::new(1));

    // The records of a session are another's, too, and so are those of a copy of other channels.
    both.run(&["b"], 0);
    let told = both.run(&["b", "a"], 1);
    assert!(told.contains("`a`"), "{told}");
    both.copy.delete("a").await.unwrap();
    let told = both.run(&["a", "b"], 1);
    assert!(told.contains("channel `b` of the destination has records"), "{told}");
    let producer = Producer::builder(both.copy.clone()).channels(["c"]).create_missing();
    producer.session(SessionConfig::new("p")).open().await.unwrap().close().await.unwrap();
    both.append("c", vec![message(1, 1)]).await;
    both.run(&["c"], 1);
}

#[tokio::test]
async fn wrong_usage_and_missing_channels_are_told() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1)]).await;
    let (_, told) = run(&["copy", &both.from, &format!("{}/?sync=commit", both.from), "a"], 2);
    assert!(told.contains("are the same"), "{told}");
    run(&["copy", &both.from, &both.to], 2);
    let told = both.run(&["a", "missing"], 1);
    assert!(told.contains("`missing`") && told.contains("no such channel"), "{told}");
    assert_eq!(both.copy.list("").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_place_that_was_lost_is_told() {
    let both = Both::with_options("?segment_bytes=2000").await;
    let mut content = Content::new(5);
    both.append("a", content.next(100)).await;
    both.run(&["a"], 0);
    let home = both.copy.list("copy-").await.unwrap().remove(0);

    // Records that aren't copied yet are gone.
    both.append("a", content.next(1_000)).await;
    let end = both.source.describe("a").await.unwrap().end;
    both.source.trim("a", end).await.unwrap();
    let told = both.run(&["a"], 1);
    assert!(told.contains("channel `a` of the source can't be read on from where"), "{told}");
    // The source is another channel.
    both.source.delete("a").await.unwrap();
    both.append("a", content.next(10)).await;
    let told = both.run(&["a"], 1);
    assert!(told.contains("channel `a` of the source can't be read on from where"), "{told}");
    // The copy is gone.
    both.copy.delete("a").await.unwrap();
    let told = both.run(&["a"], 1);
    assert!(told.contains("has 0 of the 100 messages that were copied"), "{told}");
    // After which all begins anew.
    for channel in ["a", &home] {
        both.copy.delete(channel).await.unwrap();
    }
    both.run(&["a", "--verify"], 0);
}

#[tokio::test]
async fn unreadable_records_stop_the_copy_or_are_left_out() {
    let both = Both::new().await;
    let broken = unreadable(Position::default(), "it is encrypted", [], "bytes".into());
    both.append("a", vec![message(1, 1), broken, message(2, 2), end(3)]).await;
    let told = both.run(&["a"], 1);
    assert!(
        told.contains("the record at 1 of channel `a`") && told.contains("it is encrypted"),
        "{told}"
    );
    let told = both.run(&["a", "--skip-unreadable", "--verify"], 0);
    assert!(told.contains("left out the record at 1 of `a`"), "{told}");
    assert!(told.contains("messages copied                 2\n"), "{told}");
    let copied = packs(&both.copy, &["a"]).await;
    assert_eq!(copied.iter().map(|(.., messages)| messages.len()).sum::<usize>(), 2);
}

#[tokio::test]
async fn what_the_destination_cannot_hold_stops_the_copy() {
    let both = Both::new().await;
    let mut large = message(3, 2);
    large.payload = vec![7; 9_000].into();
    both.append("a", vec![message(1, 1), tick(2), large, end(4)]).await;
    let small = format!("{}?max_payload=1000", both.to);
    let (_, told) = run(&["copy", &both.from, &small, "a"], 1);
    assert!(told.contains("the records from 1 to 2 of channel `a` of the source can't"), "{told}");
    assert!(told.contains("is over the channel's limit of 1000 bytes"), "{told}");
    let told = both.run(&["a", "--verify"], 0);
    assert!(told.contains("messages copied                 1\n"), "{told}");
    assert_eq!(both.assert_equal(&["a"]).await, 2);
}

#[tokio::test]
async fn what_differs_is_told() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1), tick(1), message(2, 2), tick(3), message(4, 4)]).await;
    both.run(&["a"], 0);
    append(&both.copy, "a", vec![message(3, 9)]).await;
    both.append("a", vec![message(5, 5), end(6)]).await;
    let told = both.run(&["a", "--verify"], 1);
    assert!(told.contains("error: the source and the copy differ in"), "{told}");
    assert!(told.contains("the source has 2 messages, the copy 3"), "{told}");
}

/// Waits until the copy has a pack with this end.
async fn copied(both: &Both, channel: &str, ts: u64) {
    while both.copy.describe(channel).await.is_err() {
        tokio::task::yield_now().await;
    }
    let builder = Consumer::builder(both.copy.clone()).channels([channel]);
    let mut consumer = builder.late_policy(LatePolicy::Deliver).open().await.unwrap();
    while consumer.next_pack().await.unwrap().unwrap().end_ts.0 < ts {}
}

#[tokio::test]
async fn following_goes_on_until_all_channels_end() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1), tick(5)]).await;
    both.append("b", vec![]).await;
    let copy = both.start(&["a", "b", "--follow", "--verify"]);
    copied(&both, "a", 5).await;
    both.append("b", vec![message(8, 2), end(9)]).await;
    both.append("a", vec![message(8, 2), tick(9)]).await;
    copied(&both, "a", 9).await;
    both.append("a", vec![message(10, 3), end(11)]).await;
    let output = copy.wait_with_output().unwrap();
    let (_, told) = texts(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains(" with 4 messages\n"), "{told}");
    assert!(told.contains("verified: the source and the copy are equal in "), "{told}");
    assert_eq!(both.assert_equal(&["a", "b"]).await, 4);
}

#[tokio::test]
async fn an_interrupt_ends_a_copy_that_follows_and_the_next_run_goes_on() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1), tick(5)]).await;
    let copy = both.start(&["a", "--follow", "--verify"]);
    copied(&both, "a", 5).await;
    let id = copy.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = copy.wait_with_output().unwrap();
    let (_, told) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("messages copied                 1\n"), "{told}");
    let verified = "verified: the source and the copy are equal in 1 pack with 1 message\n";
    assert!(told.ends_with(verified), "{told}");
    both.append("a", vec![message(6, 2), end(7)]).await;
    let told = both.run(&["a", "--verify"], 0);
    assert!(told.contains("messages copied                 1\n"), "{told}");
    assert_eq!(both.assert_equal(&["a"]).await, 2);
}

#[tokio::test]
async fn the_summary_may_be_json() {
    let both = Both::new().await;
    both.append("a", vec![message(1, 1), tick(5)]).await;
    let args = ["copy", &both.from, &both.to, "a", "--verify", "--json"];
    let (out, told) = run(&args, 0);
    assert_eq!(told, "");
    let summary = json_lines(&out);
    let [summary] = &*summary else { panic!("{out}") };
    assert_eq!((&summary["messages"], &summary["ticks"]), (&json!(1), &json!(1)));
    assert_eq!(summary["complete"], true);
    assert_eq!(summary["verified"], json!({"packs": 1, "messages": 1, "without_pack": 0}));

    let (_, told) = run(&["copy", &both.from, &both.to, "none"], 1);
    let missing = "error: channel `none` can't be copied: the source has no such channel; ";
    assert!(told.starts_with(missing), "{told}");
}
