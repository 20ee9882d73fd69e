//! The process that is a producer.

use std::sync::Arc;

use msgstream::produce::PackReceipt;
use msgstream::produce::SessionConfig;
use msgstream::{MsgPack, stream::MsgStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinError, yield_now};

use crate::error::{Error, Result};
use crate::folder::Folder;
use crate::journal::{Event, Journal, Number};

/// Writes what the plan has for a producer and its session doesn't know to be stored.
pub(crate) async fn run(url: &str, folder: &Folder, producer: u32) -> Result<()> {
    let plan = folder.read_plan()?;
    let journal = Arc::new(Journal::open(&folder.journal(producer))?);
    let transport = msgstream::connect(url).await?;
    let mut stream = MsgStream::new(transport.clone());
    let names: Vec<_> = (0..plan.channels).map(|c| plan.channel(producer, c)).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // A broker may take as long to come back as the round may.
    let config = SessionConfig::new(format!("p{producer}"))
        .with_home(plan.home(producer))
        .with_retry_for(plan.deadline());
    let mut open = names.clone();
    let opened = loop {
        match stream.create_session(config.clone(), &open).await {
            // A channel is ended once everything on all of them is stored, so ends are left to do.
            Err(msgstream::Error::Ended { channel }) => open.retain(|name| *name != channel),
            opened => break opened?,
        }
        if open.is_empty() {
            return Ok(());
        }
    };
    stream.start()?;
    if open.len() < names.len() {
        stream.end(plan.end(producer)).await?;
        stream.confirm().await?;
        stream.close().await?;
        return Ok(transport.close().await?);
    }

    let last: Vec<_> = names.iter().map(|name| opened.last.get(*name).copied()).collect();
    let first = last.iter().map(|last| last.unwrap_or(0)).min().unwrap_or(0) + 1;
    let (receipts, acks) = unbounded_channel();
    let acks = tokio::spawn(note_acks(journal.clone(), acks));
    for number in first..=plan.numbers {
        let due: Vec<Number> = (0..)
            .zip(&last)
            .filter(|(_, last)| **last < Some(number))
            .map(|(c, _)| (c, number))
            .collect();
        let messages = due.iter().map(|(channel, _)| plan.message(producer, *channel, number));
        let pack: MsgPack = messages.collect::<Result<Vec<_>>>()?.into_iter().collect();
        if !due.is_empty() {
            stream.ready().await?;
            let receipt = stream.submit(pack)?;
            journal.note(Event::Sent, &due)?;
            // Where nobody takes it, the task has failed, and says so below.
            drop(receipts.send((due, receipt)));
            // A writer that takes all there is at once would leave nothing to read.
            yield_now().await;
        }
        if let Some(tick) = plan.tick_after(producer, number) {
            stream.ready().await?;
            drop(receipts.send((Vec::new(), stream.submit_tick(tick)?)));
        }
    }
    drop(receipts);
    acks.await.map_err(panicked)??;
    stream.end(plan.end(producer)).await?;
    stream.confirm().await?;
    stream.close().await?;
    transport.close().await?;
    Arc::try_unwrap(journal).map_or(Ok(()), Journal::close)
}

async fn note_acks(
    journal: Arc<Journal>,
    mut receipts: UnboundedReceiver<(Vec<Number>, PackReceipt)>,
) -> Result<()> {
    while let Some((numbers, receipt)) = receipts.recv().await {
        receipt.await?;
        journal.note(Event::Acked, &numbers)?;
    }
    Ok(())
}

fn panicked(error: JoinError) -> Error {
    Error::Process { name: "the task that notes acknowledgements".to_owned(), source: error.into() }
}
