//! The process that is the consumer.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use msgstream::consume::Committer;
use msgstream::message::SerdeMsg;
use msgstream::transport::Start;
use msgstream::{MsgPack, consume::ConsumerConfig, consume::TickSource, stream::TtMsgStream};
use tokio::time::sleep;

use crate::error::{Error, Result, chain};
use crate::folder::Folder;
use crate::output::{Totals, line};
use crate::plan::Body;
use crate::say;

/// How long to wait before a broker that is away is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Consumes all channels of the plan: emits each pack, then commits it.
///
/// The length of the output is part of the state. So what was emitted and not committed is cut off
/// by the next run, which emits it again.
pub(crate) async fn run(url: &str, folder: &Folder) -> Result<()> {
    let plan = folder.read_plan()?;
    let transport = msgstream::connect(url).await?;
    let (mut committer, stored) = Committer::open(folder.store()).await?;
    let mut stream = TtMsgStream::new(transport.clone(), ConsumerConfig::default())?;
    let subscription = Some("crash");
    let mut totals = Totals::default();
    match &stored.checkpoint {
        Some(checkpoint) => {
            stream.resume(subscription, checkpoint, |_| TickSource::Written).await?;
            totals = serde_json::from_slice(&stored.state).map_err(Error::Json)?;
        }
        None => {
            let names: Vec<_> = plan.all_channels().map(|(name, ..)| name).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            stream.create_consumers(subscription, &names, Start::Earliest).await?;
        }
    }
    stream.start()?;

    let path = folder.output();
    let output = File::options().append(true).create(true).open(&path);
    let mut output = output.map_err(Error::file(&path))?;
    output.set_len(totals.bytes).map_err(Error::file(&path))?;
    while let Some(pack) = consume(&mut stream).await? {
        let line = describe(&pack)?;
        output.write_all(line.as_bytes()).map_err(Error::file(&path))?;
        totals.add(&line);
        let state = serde_json::to_vec(&totals).map_err(Error::Json)?;
        match stream.commit(&mut committer, &pack.end, state).await.map_err(Error::from) {
            // It is saved, and the next commit moves the cursors.
            Err(error) if error.is_temporary() => say(&chain(&error)),
            committed => committed?,
        }
    }
    stream.close();
    transport.close().await?;
    Ok(())
}

/// The next pack, however often the broker goes away.
async fn consume(stream: &mut TtMsgStream) -> Result<Option<MsgPack>> {
    loop {
        match stream.consume().await.map_err(Error::from) {
            Err(error) if error.is_temporary() => {
                say(&chain(&error));
                sleep(PAUSE).await;
            }
            consumed => return consumed,
        }
    }
}

fn describe(pack: &MsgPack) -> Result<String> {
    let stored = pack.msgs.iter().filter_map(|message| message.stored());
    let messages = stored.map(|message| {
        let number =
            message.decode_as::<SerdeMsg<Body>>().map_err(msgstream::Error::from)?.value().number;
        Ok((&*message.channel, message.record.position, number))
    });
    let messages = messages.collect::<Result<Vec<_>>>()?;
    Ok(line(pack.begin_ts.map(|ts| ts.0), pack.end_ts.0, messages))
}
