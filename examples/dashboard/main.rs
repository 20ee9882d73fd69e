//! A dashboard: which advertisement led to what was ordered, minute by minute.
//!
//! `cargo run --example dashboard [URL [FILE.svg]]`
//!
//! Clicks and orders are two streams, written by programs that know nothing of each other, each with a few seconds
//! of disorder. Read as one stream in event time they join like two sorted lists, and every run draws the same chart.

mod chart;
mod events;
mod join;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use msgstream::Consumer;
use msgstream::transport::{Transport, TransportExt as _};

use join::{Join, Minutes};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next();
    let url = url.unwrap_or(format!("file://{}", folder.path().display()));
    let file = arguments.next();
    // With a broker, channels of an earlier run may be there.
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let names = |stream| [0, 1].map(|n| format!("{stream}-{run}-{n}"));
    let (clicks, orders) = (names("clicks"), names("orders"));

    // The readers are there first: they wait for what comes.
    let broker = msgstream::connect(&url).await?;
    let all: Vec<_> = clicks.iter().chain(&orders).cloned().collect();
    for channel in &all {
        broker.create(channel).await?;
    }
    let live = tokio::spawn(minutes(broker.clone(), all.clone()));
    let history = events::history();
    tokio::try_join!(
        events::write(broker.clone(), &clicks, history.clicks),
        events::write(broker.clone(), &orders, history.orders),
    )?;
    let live = live.await??;

    print!("{}", chart::text(&live));
    if let Some(file) = file {
        std::fs::write(&file, chart::svg(&live))?;
        println!("drawn in {file}");
    }
    // Whoever reads it later, from the beginning, sees the same.
    assert_eq!(minutes(broker, all).await?, live);
    Ok(())
}

/// Joins both streams up to their end.
async fn minutes(broker: Arc<dyn Transport>, channels: Vec<String>) -> Result<Minutes> {
    let mut packs = Consumer::builder(broker).channels(channels).open().await?;
    let mut join = Join::default();
    while let Some(pack) = packs.next_pack().await? {
        join.take(&pack)?;
    }
    Ok(join.minutes)
}
