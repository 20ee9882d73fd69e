//! Records in a pack that can't be decoded.

use msgstream_core::stream::{PackDecoder, PoisonPolicy};
use msgstream_core::transport::{Meta, Position, Record, Start, Transport};
use msgstream_core::{
    DecodeError, Error, Message, MsgPack, MsgType, StoredMessage, Timestamp, TtConfig,
    UnmarshalDispatcher,
};

use super::stage::Entry::Tick;
use super::stage::{Stage, expected, message, take, times};
use crate::kit::read_from;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::poison":
    what_cant_be_decoded_is_named,
    what_cant_be_decoded_is_skipped_and_counted,
    what_cant_be_decoded_goes_to_the_dead_letters,
];

/// One channel with a good message, one of unknown type, a corrupt one, and a good one; the pack
/// with them; and where the two bad ones are.
async fn poisoned(harness: &dyn Harness) -> Result<(Stage, MsgPack, [Position; 2]), Failure> {
    let stage = Stage::new(harness, 2).await?;
    let name = stage.channels[0].as_str();
    let unknown = Record::new(Meta::new(MsgType(77_777), Timestamp(2)), "what is it?");
    let corrupt = Record::new(Meta::new(MsgType::INSERT, Timestamp(3)), &b"\xff\xff\xff"[..]);
    let stored = |record| Message::from(StoredMessage::new("elsewhere".into(), record));
    let msgs = vec![message(1, 1).into(), stored(unknown), stored(corrupt), message(4, 4).into()];
    let mut producer = stage.producer(&[name]).await?;
    let produced = producer.broadcast(&MsgPack::new(msgs)).await?;
    producer.close().await?;
    let bad = [produced.positions(name)[1], produced.positions(name)[2]];
    for channel in 0..2 {
        stage.write(channel, &[Tick(5)]).await?;
    }
    let mut packs = take(&mut stage.consumer(TtConfig::default()).await?, 1).await?;
    ensure_eq!(times(&packs), expected([(5, &[1, 2, 3, 4])]), "the pack, undecoded");
    Ok((stage, packs.remove(0), bad))
}

async fn decoder(stage: &Stage, policy: PoisonPolicy) -> Result<PackDecoder, Failure> {
    Ok(PackDecoder::new(stage.transport.clone(), UnmarshalDispatcher::new(), policy).await?)
}

/// The stream hands all of it out; decoding fails with the channel, the position and the reason.
pub async fn what_cant_be_decoded_is_named(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let (stage, pack, bad) = poisoned(harness).await?;
    let dispatcher = UnmarshalDispatcher::new();
    for (msg, at) in pack.msgs[1..3].iter().zip(bad) {
        let Err(Error::Decode { channel, position, source }) = msg.decode(&dispatcher) else {
            return Err(Failure::new(format!("{msg:?} was decoded")));
        };
        ensure_eq!((&*channel, position), (&*stage.channels[0], at), "what the error names");
        let right = match msg.msg_type() {
            MsgType::INSERT => matches!(source, DecodeError::Corrupt { .. }),
            unknown => {
                matches!(source, DecodeError::UnknownType { msg_type } if msg_type == unknown)
            }
        };
        ensure!(right, "the reason given for {} is {source}", msg.msg_type());
    }
    let stopped = decoder(&stage, PoisonPolicy::Stop).await?.decode(&pack).await;
    match stopped {
        Err(Error::Decode { position, .. }) if position == bad[0] => Ok(()),
        other => Err(Failure::new(format!("decoding the pack gave {other:?}"))),
    }
}

/// The other messages of the pack are decoded.
pub async fn what_cant_be_decoded_is_skipped_and_counted(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let (stage, pack, _) = poisoned(harness).await?;
    let mut decoder = decoder(&stage, PoisonPolicy::Skip).await?;
    let decoded = decoder.decode(&pack).await?;
    let got: Vec<_> = decoded.iter().map(|(_, value)| value.end_ts().0).collect();
    ensure_eq!(got, [1, 4], "what is decoded");
    ensure_eq!(decoder.poisoned(), 2, "what is counted");
    Ok(())
}

/// Dead letters are the records as they came, with where they come from.
pub async fn what_cant_be_decoded_goes_to_the_dead_letters(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let (stage, pack, bad) = poisoned(harness).await?;
    let graves = crate::kit::channel(transport, harness).await?;
    let mut decoder = decoder(&stage, PoisonPolicy::DeadLetter(graves.clone())).await?;
    ensure_eq!(decoder.decode(&pack).await?.len(), 2, "the messages that are decoded");
    let letters = read_from(transport, &graves, Start::Earliest).await?;
    ensure_eq!(letters.len(), 2, "the dead letters");
    for ((letter, msg), at) in letters.iter().zip(&pack.msgs[1..3]).zip(bad) {
        let original = msg.stored().map(|m| (&m.record.meta, &m.record.payload));
        ensure_eq!(Some((&letter.meta, &letter.payload)), original, "a dead letter");
        let from = letter.header(PackDecoder::CHANNEL_HEADER).map(|name| &name[..]);
        ensure_eq!(from, Some(stage.channels[0].as_bytes()), "where it comes from");
        let position = letter.header(PackDecoder::POSITION_HEADER).map(|at| at.to_vec());
        ensure_eq!(position, Some(at.to_string().into_bytes()), "its position there");
    }
    Ok(())
}
