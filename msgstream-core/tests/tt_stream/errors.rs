//! Errors of one channel, in a stream that returns each at once.

use std::time::Duration;

use msgstream_core::transport::TransportErrorKind;
use msgstream_core::{ConsumerConfig, Error};

use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::{Entry, Rig};
use crate::{consuming, times, to_end};

fn logs() -> [Vec<Entry>; 2] {
    [1, 2].map(|n| {
        let mut log: Vec<_> = (1..50).flat_map(|i| [Msg(i * 10 - n), Tick(i * 10)]).collect();
        log.push(End(500));
        log
    })
}

fn at_once() -> ConsumerConfig {
    ConsumerConfig::default().with_retry_for(Duration::ZERO)
}

async fn rig() -> Rig {
    let [a, b] = logs();
    Rig::new(&[("a", &a), ("b", &b)]).await
}

#[tokio::test]
async fn an_error_of_a_reader_names_its_channel_and_the_next_call_goes_on() {
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], at_once()).await;
    rig.plan().fail_read.insert("b".to_owned());
    let Err(Error::Transport(error)) = stream.consume().await else { panic!("no error") };
    assert_eq!(error.channel(), Some("b"));
    assert!(matches!(error.kind(), TransportErrorKind::Unavailable { .. }));
    let wanted = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    assert_eq!(times(&to_end(&mut stream).await), times(&to_end(&mut { wanted }).await));
}

#[tokio::test]
async fn many_errors_lose_and_repeat_nothing() {
    let rig = rig().await;
    let config = at_once().with_max_records(3);
    let wanted = times(&to_end(&mut consuming(rig.shared(), &["a", "b"], config).await).await);
    let mut stream = consuming(rig.shared(), &["a", "b"], config).await;
    let (mut packs, mut errors) = (Vec::new(), 0);
    for call in 0.. {
        // Every other call, or there would be no progress.
        if call % 2 == 0 {
            let channel = if call % 4 == 0 { "a" } else { "b" };
            rig.plan().fail_read.insert(channel.to_owned());
        }
        match stream.consume().await {
            Ok(Some(pack)) => packs.push(pack),
            Ok(None) => break,
            Err(Error::Transport(_)) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(times(&packs), wanted);
    assert!(errors > 10, "{errors} errors");
}
