//! `msgstream copy`, killed at random moments, loses and repeats nothing.
//!
//! Between brokers, of which `.ci/run kills` runs a round each:
//!
//! ```text
//! MSGSTREAM_COPY_FROM=$MSGSTREAM_NATS_URL MSGSTREAM_COPY_TO=$MSGSTREAM_KAFKA_URL MSGSTREAM_COPY_ROUNDS=50 \
//!     cargo test --release -p msgstream-cli --features nats,kafka --test cli -- copy_kills --ignored --nocapture
//! ```

use std::env::var;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::kit::channels::{Content, append, assert_equal, packs};
use crate::kit::{msgstream, run, texts, url};

/// How often the copy of a round is killed.
const KILLS: u32 = 3;

/// One round: channels are written, and copied by runs of which all but the last are killed.
struct Round {
    messages: u64,
    /// The runs were killed before they were done.
    killed: u32,
    /// Messages that were written by the last run.
    left: u64,
    /// How long the last run took.
    last: Duration,
}

/// Runs one round, with moments to kill at that are drawn from a time. All channels end.
async fn round(
    from: &str,
    to: &str,
    name: &str,
    seed: u64,
    messages: u64,
    time: Duration,
) -> Round {
    let source = msgstream::connect(from).await.unwrap();
    let copy = msgstream::connect(to).await.unwrap();
    let names = ["x", "y", "z"].map(|channel| format!("{name}-{channel}"));
    let channels = names.each_ref().map(String::as_str);
    let mut content = Content::new(seed);
    for channel in channels {
        let mut records = content.next(messages / 3);
        records.push(content.end());
        append(&source, channel, records).await;
    }
    let args = [&["copy", from, to][..], &channels].concat();
    let mut killed = 0;
    for _ in 0..KILLS {
        let mut child = msgstream(args.iter().copied()).stderr(Stdio::piped()).spawn().unwrap();
        // Kills are to come at any moment, so there is no event to wait for.
        let moment = time * content.below(1_000) as u32 / 1_000;
        tokio::time::sleep(moment).await;
        killed += u32::from(kill(&mut child));
        let (_, told) = texts(&child.wait_with_output().unwrap());
        assert!(!told.contains("error"), "{told}");
    }
    let begun = Instant::now();
    let (_, told) = run(&[&args[..], &["--verify"]].concat(), 0);
    let last = begun.elapsed();
    assert!(told.contains("verified"), "{told}");
    let copied = told.lines().find_map(|line| line.strip_prefix("messages copied"));
    let left = copied.unwrap().trim().parse().unwrap();
    let equal = assert_equal(&packs(&source, &channels).await, &packs(&copy, &channels).await);
    assert_eq!(equal as u64, messages / 3 * 3);
    for broker in [&source, &copy] {
        for channel in channels {
            broker.delete(channel).await.unwrap();
        }
        broker.close().await.unwrap();
    }
    Round { messages: equal as u64, killed, left, last }
}

/// Kills a process. Returns whether it was still running.
fn kill(child: &mut Child) -> bool {
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    running
}

#[tokio::test]
async fn a_copy_between_files_survives_kills() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (url(from.path()), url(to.path()));
    let mut killed = 0;
    let mut time = Duration::from_millis(500);
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    for n in 1..=3 {
        let round = round(&from, &to, &format!("round-{n}"), seed + n, 6_000, time).await;
        killed += round.killed;
        time = time.max(round.last);
    }
    assert!(killed > 0, "no run was killed before it was done");
}

#[tokio::test]
#[ignore = "it needs brokers: MSGSTREAM_COPY_FROM and MSGSTREAM_COPY_TO are their URLs"]
async fn a_copy_between_brokers_survives_kills() {
    let [from, to] = ["MSGSTREAM_COPY_FROM", "MSGSTREAM_COPY_TO"].map(|name| var(name).unwrap());
    let number = |name, otherwise| var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (rounds, messages) =
        (number("MSGSTREAM_COPY_ROUNDS", 3), number("MSGSTREAM_COPY_MESSAGES", 9_000));
    let seed = number("MSGSTREAM_COPY_SEED", u64::from(std::process::id()));
    let (mut counted, mut all, mut kills, mut copied) = (0, 0, 0, 0);
    let mut time = Duration::from_secs(1);
    while counted < rounds {
        all += 1;
        assert!(all <= 10 * rounds, "too few runs are killed while they write");
        let name = format!("copied-{seed}-{all}");
        let round = round(&from, &to, &name, seed + all, messages, time).await;
        // A round counts if a run was killed between the first message and its end.
        counted += u64::from(round.killed > 0 && round.left < round.messages);
        kills += round.killed;
        copied += round.messages;
        time = time.max(round.last / 2);
        let line = format!(
            "round {all}: {} messages, {} runs killed, {} messages in the last run",
            round.messages, round.killed, round.left
        );
        writeln!(std::io::stderr(), "{line}").unwrap();
    }
    writeln!(
        std::io::stderr(),
        "rounds {all}, counted {counted}, kills {kills}, messages {copied}, lost 0, repeated 0 (seed {seed})"
    )
    .unwrap();
}
