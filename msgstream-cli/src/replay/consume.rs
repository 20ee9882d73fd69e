//! Channels to packs.

use std::path::PathBuf;

use msgstream::record::Position;
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream::{MsgPack, stream::TtMsgStream};
use tokio::sync::mpsc::Sender;

use crate::error::{Error, Result};
use crate::row::Place;
use crate::time::Time;

/// Hands on all packs, until every channel has ended. `peak` becomes the most that was buffered
/// when a pack was formed, in bytes.
pub(crate) async fn consume(
    stream: &mut TtMsgStream,
    packs: &Sender<MsgPack>,
    peak: &mut usize,
) -> Result<()> {
    while let Some(pack) = stream.consume().await? {
        let formed: usize =
            pack.msgs.iter().filter_map(|m| m.stored()).map(|m| m.record.footprint()).sum();
        *peak = (*peak).max(stream.buffered_bytes() + formed);
        packs.send(pack).await.map_err(|_| Error::Stopped)?;
    }
    Ok(())
}

/// An error of the stream in the words of the command line: the row that is late, the option that
/// helps.
pub(crate) async fn explain(transport: &dyn Transport, files: &[PathBuf], error: Error) -> Error {
    let (channel, position, ts, watermark) = match error {
        Error::Stream(msgstream::Error::Late { channel, position, ts, watermark }) => {
            (channel, position, ts, watermark)
        }
        Error::Stream(msgstream::Error::WindowTooLarge { begin, budget, .. }) => {
            let begin = begin.map_or("the start".to_owned(), |begin| Time(begin).to_string());
            return Error::Window { begin, budget };
        }
        error => return error,
    };
    let place = place_of(transport, &channel, position).await;
    match place.and_then(|place| Some((files.get(place.file())?, place.line()))) {
        Some((path, line)) => {
            let (path, ts, watermark) = (path.clone(), Time(ts), Time(watermark));
            Error::Late { path, line, ts, watermark, channel, position }
        }
        None => msgstream::Error::Late { channel, position, ts, watermark }.into(),
    }
}

async fn place_of(transport: &dyn Transport, channel: &str, position: Position) -> Option<Place> {
    let mut reader = transport.reader(channel, Start::At(position)).await.ok()?;
    let batch = reader.read(Limit::default().with_records(1)).await.ok()?;
    Some(Place::from_id(batch.records.first()?.meta.msg_id))
}
