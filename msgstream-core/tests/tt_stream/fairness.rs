//! Who is read when.

use std::sync::Arc;

use msgstream_core::ConsumerConfig;
use tokio::sync::Semaphore;

use crate::common::mem;
use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::{Entry, Rig, write};
use crate::{consuming, no_pack_yet, times, to_end};

fn log(windows: u64) -> Vec<Entry> {
    let mut log: Vec<_> = (1..=windows).flat_map(|n| [Msg(n * 10 - 1), Tick(n * 10)]).collect();
    log.push(End(windows * 10 + 1));
    log
}

#[tokio::test]
async fn channels_are_read_while_one_is_slow() {
    let log = log(50);
    let rig = Rig::new(&[("a", &log), ("b", &log), ("slow", &log)]).await;
    let gate = rig.gate("slow");
    let config = ConsumerConfig::default().with_max_records(10);
    let mut stream = consuming(rig.shared(), &["slow", "a", "b"], config).await;
    no_pack_yet(&mut stream).await;
    let status = stream.status();
    let read: Vec<_> = status.merge.channels.iter().map(|c| c.buffered).collect();
    assert_eq!(read, [50, 50, 0]);
    let waiting: Vec<_> = status.blocking.iter().map(|(channel, _)| &**channel).collect();
    assert_eq!(waiting, ["slow"]);
    // One read of it: five windows of two records each.
    gate.add_permits(1);
    for window in 1..=5 {
        assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, window * 10);
    }
    no_pack_yet(&mut stream).await;
    gate.add_permits(Semaphore::MAX_PERMITS >> 1);
    assert_eq!(to_end(&mut stream).await.len(), 46);
}

#[tokio::test]
async fn channels_that_always_have_something_take_turns() {
    let log = log(100);
    let names = ["a", "b", "c", "d", "e"];
    let logs: Vec<_> = names.iter().map(|name| (*name, &*log)).collect();
    let rig = Rig::new(&logs).await;
    let mut stream =
        consuming(rig.shared(), &names, ConsumerConfig::default().with_max_records(1)).await;
    assert_eq!(to_end(&mut stream).await.len(), 101);
    let reads = rig.plan().reads.clone();
    for name in names {
        let at: Vec<_> = (0..reads.len()).filter(|i| reads[*i] == name).collect();
        let longest = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= 3 * names.len(), "`{name}` had to wait for {longest} reads");
    }
}

#[tokio::test]
async fn a_thousand_channels() {
    let names: Vec<String> = (0..1024).map(|n| format!("channel-{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let transport = mem(&names).await;
    for (n, name) in (0..).zip(&names) {
        let late = n % 7;
        let log = [Msg(1 + late), Msg(12), Tick(10), Msg(15), Tick(20), Msg(21), End(30)];
        write(&*transport, name, &log).await;
    }
    let mut stream = consuming(Arc::clone(&transport), &names, ConsumerConfig::default()).await;
    let packs = to_end(&mut stream).await;
    let sizes: Vec<_> = packs.iter().map(|p| (p.end_ts.0, p.msgs.len())).collect();
    assert_eq!(sizes, [(10, 1024), (20, 2048), (30, 1024)]);
    for pack in &packs {
        let keys: Vec<_> = pack.msgs.iter().map(|m| (m.end_ts(), m.channel().unwrap())).collect();
        assert!(keys.is_sorted());
    }
    // From the middle on, too.
    stream.resume(None, &packs[0].end, |_| Default::default()).await.unwrap();
    assert_eq!(times(&to_end(&mut stream).await), times(&packs[1..]));
}
