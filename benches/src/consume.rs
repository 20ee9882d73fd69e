//! Consuming, from a log that is there already.

use msgstream_core::message::view::InsertView;
use msgstream_core::message::{FromRecord as _, InsertMsg, StoredMessage};
use msgstream_core::record::Record;
use msgstream_core::transport::Start;
use msgstream_core::{ConsumerConfig, Message, MsgPack, Timestamp, TtMsgStream};

use crate::checksum::{Checksum, of_insert, of_undecoded, of_view};
use crate::log::{Input, Writer, write};
use crate::produce::runtime;
use crate::workload::{Layer, Result};
use crate::{Done, Error, Job, MESSAGES_PER_TICK, Shape};

pub(crate) fn prepare_undecoded(
    shape: Shape,
    messages: usize,
    writer: Writer,
    layer: Layer,
) -> Result<Job> {
    prepare(
        shape,
        messages,
        (writer, layer),
        |input| input.headers,
        |message| Ok(of_undecoded(message)),
    )
}

pub(crate) fn prepare_decoded(shape: Shape, messages: usize, layer: Layer) -> Result<Job> {
    prepare(
        shape,
        messages,
        (Writer::Plain, layer),
        |input| input.contents,
        |message| {
            Ok(of_insert(
                &message.channel,
                message.decode_as::<InsertMsg>().map_err(msgstream_core::Error::from)?.body(),
            ))
        },
    )
}

pub(crate) fn prepare_views(shape: Shape, messages: usize, layer: Layer) -> Result<Job> {
    prepare(
        shape,
        messages,
        (Writer::Plain, layer),
        |input| input.contents,
        |message| Ok(of_view(&message.channel, &InsertView::from_record(&message.record)?)),
    )
}

fn prepare(
    shape: Shape,
    messages: usize,
    (writer, layer): (Writer, Layer),
    expected: impl Fn(&Input) -> Checksum,
    hash: impl Fn(&StoredMessage) -> Result<u64> + 'static,
) -> Result<Job> {
    let runtime = runtime()?;
    let mut input = Input::new(shape, messages);
    let expected = expected(&input);
    let mut stream = runtime.block_on(async {
        let (transport, mut writer) = input.open(writer, layer).await?;
        write(&mut writer, std::mem::take(&mut input.packs)).await?;
        let names: Vec<_> = input.names.iter().map(String::as_str).collect();
        let mut stream = TtMsgStream::new(
            transport,
            ConsumerConfig::default().with_budget_bytes(budget(shape)),
        )?;
        stream.create_consumers(None, &names, Start::Earliest).await?;
        stream.start()?;
        Ok::<_, Error>(stream)
    })?;
    Ok(Job::new(move || {
        let mut found = Checksum::default();
        runtime.block_on(async {
            while let Some(pack) = stream.consume().await? {
                add_pack(&mut found, &pack, &hash)?;
            }
            Ok::<_, Error>(())
        })?;
        Ok(Done::compared(found, expected, stream))
    }))
}

/// The default of 64 MiB, or room for four intervals where they are larger.
pub(crate) fn budget(shape: Shape) -> usize {
    let interval = shape.channels * MESSAGES_PER_TICK * (Record::OVERHEAD + 256 + shape.payload);
    ConsumerConfig::default().budget_bytes.max(4 * interval)
}

/// Checks the order of a pack, and adds its messages up.
pub(crate) fn add_pack(
    sum: &mut Checksum,
    pack: &MsgPack,
    hash: impl Fn(&StoredMessage) -> Result<u64>,
) -> Result<()> {
    let mut last: Option<(Timestamp, &str)> = None;
    for message in &pack.msgs {
        let Message::Stored(message) = message else { return Err(Error::Order) };
        let ts = message.record.meta.timestamp;
        let place = (ts, &*message.channel);
        if Some(ts) <= pack.begin_ts || pack.end_ts < ts || message.late || Some(place) < last {
            return Err(Error::Order);
        }
        last = Some(place);
        sum.add(hash(message)?);
    }
    Ok(())
}
