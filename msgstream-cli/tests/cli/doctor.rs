//! `msgstream doctor`: a planted fault for each code, and none in a healthy stream.

use msgstream::message::TimeSyncMsg;
use msgstream::produce::SessionConfig;
use msgstream::record::{END_HEADER, Header, Position, unreadable};
use msgstream::transport::TransportExt as _;
use msgstream::{Producer, Timestamp};

use crate::kit::world::{World, message, stamped, tick};
use crate::kit::{run, url};

#[tokio::test]
async fn a_healthy_stream_has_no_findings() {
    let world = World::new("", &[]).await;
    let channels = ["orders-0", "orders-1"];
    let builder = Producer::builder(world.broker.clone()).channels(channels).create_missing();
    let mut producer = builder.session(SessionConfig::new("shop-1")).open().await.unwrap();
    producer.send(TimeSyncMsg::new(world.ago(2)).with_hash_keys([0])).await.unwrap();
    producer.tick(world.ago(1)).await.unwrap();
    world.commit_one(&channels).await;
    world.finds(&[], &[], 0);
    let all = ["--checkpoint", &world.checkpoint(), "--subscription", "billing", "--scan"];
    let (text, err) = run(&[&["doctor", &world.url], &all[..]].concat(), 0);
    assert_eq!(err, "");
    assert!(text.ends_with("no findings\n"), "{text}");
    let summary = ["subscription billing lag 0s", "session shop-1 open", "lag 0s"];
    assert!(summary.iter().all(|part| text.contains(part)), "{text}");
    producer.close().await.unwrap();
    world.finds(&[], &[], 0);
}

#[tokio::test]
async fn a_copy_is_healthy() {
    let world = World::new("", &["a", "b"]).await;
    for channel in ["a", "b"] {
        world.write(channel, vec![message(world.ago(2)), tick(world.ago(1))]).await;
    }
    let copy = &url(&world.folder.path().join("copy"));
    run(&["copy", &world.url, copy, "a", "b"], 0);
    let (found, _) = run(&["doctor", copy], 0);
    assert!(found.contains(".home: a home channel"), "{found}");
    assert!(found.ends_with("no findings\n"), "{found}");
}

#[tokio::test]
async fn a_home_channel_whose_beginning_is_gone_is_known_by_its_name() {
    let world = World::new("?segment_bytes=1", &["a"]).await;
    let builder = Producer::builder(world.broker.clone()).channels(["a"]);
    let mut producer = builder.session(SessionConfig::new("shop-1")).open().await.unwrap();
    producer.tick(world.ago(1)).await.unwrap();
    producer.confirm().await.unwrap();
    let fence = producer.opened().epoch;
    world.broker.trim("shop-1.home", Position::new(fence.words()[0] + 1)).await.unwrap();
    world.finds(&[], &[], 0);
}

#[tokio::test]
async fn a_channel_that_has_more_than_sessions_is_part_of_the_stream() {
    let own = SessionConfig::new("shop-1");
    let shared = own.clone().with_home("a");
    for session in [own, shared] {
        let world = World::new("", &["a"]).await;
        let builder = Producer::builder(world.broker.clone()).channels(["a"]);
        let mut producer = builder.session(session).open().await.unwrap();
        producer.send(TimeSyncMsg::new(world.ago(2)).with_hash_keys([0])).await.unwrap();
        world.finds(&[], &[("no-ticks", "a")], 1);
    }
}

#[tokio::test]
async fn a_channel_on_which_a_session_has_only_begun_is_waited_for() {
    let world = World::new("", &["a"]).await;
    let builder = Producer::builder(world.broker.clone()).channels(["a"]);
    let _producer = builder.session(SessionConfig::new("shop-1")).open().await.unwrap();
    world.finds(&[], &[("no-ticks", "a")], 1);
}

#[tokio::test]
async fn history_is_not_stale() {
    let world = World::new("", &["a", "b"]).await;
    for channel in ["a", "b"] {
        world.write(channel, vec![tick(world.ago(86_400))]).await;
    }
    world.finds(&[], &[], 0);
}

#[tokio::test]
async fn a_channel_that_is_missing() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    world.finds(&["a", "b"], &[("channel-missing", "b")], 1);
}

#[tokio::test]
async fn a_channel_that_is_damaged() {
    let world = World::new("", &["a", "b"]).await;
    for channel in ["a", "b"] {
        world.write(channel, vec![message(world.ago(1)), tick(world.ago(0))]).await;
    }
    world.broker.close().await.unwrap();
    let segment = world.folder.path().join("log/b/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    // The first frame begins after the segment's header of 72 bytes.
    bytes[90] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let findings = world.finds(&[], &[("channel-failed", "b")], 1);
    assert!(findings[0]["what"].as_str().unwrap().contains("damaged"), "{findings:?}");
}

#[tokio::test]
async fn a_channel_that_packs_wait_for() {
    let world = World::new("", &["a", "b"]).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    world.write("b", vec![message(world.ago(700)), tick(world.ago(600))]).await;
    let findings = world.finds(&[], &[("blocks-frontier", "b")], 1);
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!(findings[0]["position"], "1");
    assert!(findings[0]["what"].as_str().unwrap().contains("`a` is 10m ahead"), "{findings:?}");
    let since = humantime::parse_rfc3339(findings[0]["since"].as_str().unwrap()).unwrap();
    assert_eq!(Timestamp::from_system_time(since).unwrap(), world.ago(600));
    // Nobody is ahead of it, but the clock is.
    let findings = world.finds(&["b"], &[("blocks-frontier", "b")], 1);
    assert!(findings[0]["what"].as_str().unwrap().contains("ago"), "{findings:?}");
    world.finds(&["--max-lag", "1h"], &[], 0);
}

#[tokio::test]
async fn a_channel_that_packs_will_wait_for_next() {
    let world = World::new("", &["a", "b"]).await;
    world.write("a", vec![tick(world.ago(600))]).await;
    world.write("b", vec![tick(world.ago(590))]).await;
    world.finds(&[], &[("blocks-frontier", "a"), ("stale-ticks", "b")], 1);
}

#[tokio::test]
async fn channels_without_ticks() {
    let world = World::new("", &["a", "b", "c"]).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    world.write("b", vec![message(world.ago(0))]).await;
    world.finds(&[], &[("no-ticks", "b"), ("no-ticks", "c")], 1);
}

#[tokio::test]
async fn a_tick_of_a_wrong_clock() {
    let world = World::new("", &["a"]).await;
    let log = vec![tick(world.ago(9)), tick(world.ahead(86_400)), message(world.ago(8))];
    world.write("a", log).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    let findings = world.finds(&[], &[("tick-ahead", "a")], 1);
    assert_eq!(findings[0]["position"], "1");
    assert!(findings[0]["what"].as_str().unwrap().contains("1 message after it is late"));
    world.finds(&["--max-ahead", "2days"], &[("late-records", "a")], 0);
}

#[tokio::test]
async fn messages_that_the_broker_lost() {
    let world = World::new("", &["a"]).await;
    let log = vec![stamped(message(world.ago(2)), 1), stamped(tick(world.ago(1)), 5)];
    world.write("a", log).await;
    let findings = world.finds(&[], &[("missing-messages", "a")], 1);
    assert!(findings[0]["what"].as_str().unwrap().contains("4 messages were stored"));
}

#[tokio::test]
async fn a_checkpoint_of_a_channel_that_was_replaced() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    world.commit_one(&["a"]).await;
    world.broker.delete("a").await.unwrap();
    world.broker.create("a").await.unwrap();
    world.write("a", vec![tick(world.ago(0))]).await;
    world.finds(&["--checkpoint", &world.checkpoint()], &[("checkpoint-void", "a")], 1);
}

#[tokio::test]
async fn a_checkpoint_and_a_subscription_whose_records_are_gone() {
    let world = World::new("?segment_bytes=1", &["a"]).await;
    world.write("a", vec![tick(world.ago(3))]).await;
    world.commit_one(&["a"]).await;
    world.write("a", vec![tick(world.ago(2)), tick(world.ago(1))]).await;
    world.broker.trim("a", Position::new(2)).await.unwrap();
    let both = [("checkpoint-trimmed", "a"), ("cursor-trimmed", "a")];
    world.finds(&["--checkpoint", &world.checkpoint()], &both, 1);
    world.finds(&["--subscription", "billing"], &both[1..], 1);
}

#[tokio::test]
async fn a_consumer_that_is_behind() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(600))]).await;
    world.commit_one(&["a"]).await;
    world.write("a", vec![tick(world.ago(0))]).await;
    let both = [("checkpoint-lag", "-"), ("subscription-lag", "a")];
    let found = world.finds(&["--checkpoint", &world.checkpoint()], &both, 0);
    assert_eq!(found[0]["severity"], "warning");
    world.finds(&[], &both[1..], 0);
    // One that isn't there isn't made, and one that is nowhere is a mistake.
    world.broker.create("b").await.unwrap();
    world.write("b", vec![tick(world.ago(600)), tick(world.ago(0))]).await;
    let lags = [both[1], ("subscription-lag", "b")];
    world.finds(&["a", "b", "--subscription", "billing"], &lags, 0);
    let (_, told) = run(&["doctor", &world.url, "--subscription", "biling"], 1);
    assert!(told.contains("subscription `biling` (did you mean `billing`?)"), "{told}");
    assert_eq!(world.broker.subscriptions("a").await.unwrap(), ["billing"]);
    assert_eq!(world.broker.subscriptions("b").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_checkpoint_of_other_channels() {
    let world = World::new("", &["a", "b"]).await;
    for channel in ["a", "b"] {
        world.write(channel, vec![tick(world.ago(0))]).await;
    }
    world.commit_one(&["a"]).await;
    let checkpoint = world.checkpoint();
    let (_, told) = run(&["doctor", &world.url, "b", "--checkpoint", &checkpoint], 1);
    assert!(told.contains("has none of these channels, but `a`"), "{told}");
    world.finds(&["a", "b", "--checkpoint", &checkpoint], &[], 0);
}

#[tokio::test]
async fn a_consumer_that_has_acknowledged_nothing() {
    let world = World::new("", &["a"]).await;
    let builder = Producer::builder(world.broker.clone()).channels(["a"]);
    let mut producer = builder.session(SessionConfig::new("shop-1")).open().await.unwrap();
    producer.send(TimeSyncMsg::new(world.ago(2)).with_hash_keys([0])).await.unwrap();
    producer.tick(world.ago(1)).await.unwrap();
    world.broker.subscription("a", "billing").await.unwrap().ack(Position::new(0)).await.unwrap();
    // What the session wrote to begin has no time.
    world.finds(&[], &[], 0);
}

#[tokio::test]
async fn retention_that_comes_near() {
    let world = World::new("?segment_bytes=1&sync=os", &["a"]).await;
    let ticks = (0..115).map(|n| tick(Timestamp(world.ago(1).0 + n)));
    world.write("a", ticks.collect()).await;
    world.broker.trim("a", Position::new(10)).await.unwrap();
    let cursor = world.broker.subscription("a", "billing").await.unwrap();
    cursor.ack(Position::new(12)).await.unwrap();
    world.finds(&[], &[("retention-near", "a")], 0);
    cursor.ack(Position::new(110)).await.unwrap();
    world.finds(&[], &[], 0);
}

#[tokio::test]
async fn a_message_that_pins_the_place_to_resume_from() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![message(world.ahead(3600)), tick(world.ago(0))]).await;
    let findings = world.finds(&[], &[("pinned-resume", "a")], 0);
    assert_eq!(findings[0]["position"], "0");
    world.commit_one(&["a"]).await;
    let args = ["--checkpoint", &world.checkpoint()];
    let findings = world.finds(&args, &[("pinned-resume", "a")], 0);
    assert!(findings[0]["what"].as_str().unwrap().contains("the checkpoint resumes at a message"));
}

#[tokio::test]
async fn records_that_stop_consumers() {
    let world = World::new("", &["a", "b"]).await;
    world.write("a", vec![tick(world.ago(5)), message(world.ago(6)), tick(world.ago(0))]).await;
    let findings = world.finds(&["a"], &[("late-records", "a")], 0);
    assert_eq!(findings[0]["position"], "1");
    let foreign = unreadable(Position::default(), "it is encrypted", [], "?".into());
    world.write("b", vec![foreign, tick(world.ago(0))]).await;
    world.finds(&["b"], &[("unreadable-records", "b")], 0);
}

#[tokio::test]
async fn messages_after_the_end() {
    let world = World::new("", &["a"]).await;
    let mut end = tick(world.ago(5));
    end.extra.push(Header::new(END_HEADER, "1"));
    world.write("a", vec![end, message(world.ago(0))]).await;
    world.finds(&[], &[("records-after-end", "a")], 0);
}

#[tokio::test]
async fn a_session_that_goes_on_after_it_was_fenced() {
    let world = World::new("", &["a"]).await;
    let open = || async {
        let builder = Producer::builder(world.broker.clone()).channels(["a"]);
        builder.session(SessionConfig::new("shop-1")).open().await.unwrap()
    };
    let mut old = open().await;
    let mut new = open().await;
    old.send(TimeSyncMsg::new(world.ago(2)).with_hash_keys([0])).await.unwrap();
    new.send(TimeSyncMsg::new(world.ago(2)).with_hash_keys([0])).await.unwrap();
    new.tick(world.ago(1)).await.unwrap();
    let findings = world.finds(&[], &[("session-fenced", "a")], 0);
    assert!(findings[0]["what"].as_str().unwrap().contains("session of `shop-1`"), "{findings:?}");
}

#[tokio::test]
async fn a_producer_that_was_forgotten() {
    let world = World::new("", &["a"]).await;
    let (day, now) = (86_400, world.ago(0));
    let begin = [tick(world.ago(3 * day)), stamped(message(world.ago(3 * day - 1)), 1)];
    world.write("a", begin.into_iter().chain([tick(now)]).collect()).await;
    world.finds(&[], &[("session-forgotten", "a")], 0);
}

#[tokio::test]
async fn older_records_are_read_if_it_is_asked_for() {
    let world = World::new("?sync=os", &["a"]).await;
    let late = [tick(world.ago(9)), message(world.ago(10))];
    let many = (0..10_100).map(|_| message(world.ago(1)));
    let log: Vec<_> = late.into_iter().chain(many).chain([tick(world.ago(0))]).collect();
    let mut writer = world.broker.writer("a").await.unwrap();
    assert!(writer.submit(log).await.rest.is_none());
    world.finds(&[], &[], 0);
    let (text, _) = run(&["doctor", &world.url], 0);
    assert!(text.contains("--scan reads all"), "{text}");
    world.finds(&["--scan"], &[("late-records", "a")], 0);
}

#[test]
fn what_is_wrong_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let url = &url(folder.path());
    let nothing = folder.path().join("none").display().to_string();
    let (_, missing) = run(&["doctor", url, "--checkpoint", &nothing], 1);
    assert!(missing.contains("has no checkpoint"), "{missing}");
    run(&["doctor", url, "--max-lag", "soon"], 2);
    run(&["doctor", "nowhere"], 2);
    let (found, told) = run(&["doctor", url], 1);
    assert!(found.is_empty() && told.contains("there are no channels"), "{found}{told}");
}
