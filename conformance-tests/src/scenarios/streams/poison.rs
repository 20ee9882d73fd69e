//! Records in a pack that can't be decoded.

use msgstream_core::consume::{PackDecoder, PoisonPolicy};
use msgstream_core::message::UndecodableRecord;
use msgstream_core::record::END_HEADER;
use msgstream_core::record::{Header, Meta, Position, Record, Stamp};
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{
    ConsumerConfig, DecodeError, Error, Message, MsgPack, MsgType, StoredMessage, Timestamp,
    UnmarshalDispatcher,
};

use super::stage::Entry::{Msg, Tick};
use super::stage::{Stage, expected, message, take, times};
use crate::kit::{oversized, read_from};
use crate::scenario::{Need, Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::poison":
    what_cant_be_decoded_is_named,
    what_cant_be_decoded_is_skipped_and_counted,
    what_cant_be_decoded_goes_to_the_dead_letters,
    whatever_it_is_it_becomes_a_dead_letter,
    a_dead_letter_is_no_tick_and_no_end,
    what_fills_a_channels_limit_becomes_a_dead_letter [Need::PayloadLimit],
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
    let mut packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 1).await?;
    ensure_eq!(times(&packs), expected([(5, &[1, 2, 3, 4])]), "the pack, undecoded");
    Ok((stage, packs.remove(0), bad))
}

async fn decoder(stage: &Stage, policy: PoisonPolicy) -> Result<PackDecoder, Failure> {
    Ok(PackDecoder::new(stage.transport.clone(), UnmarshalDispatcher::new(), policy).await?)
}

/// Checks that the stream returns what can't be decoded, and that decoding fails with the channel,
/// the position and the reason.
pub async fn what_cant_be_decoded_is_named(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let (stage, pack, bad) = poisoned(harness).await?;
    let dispatcher = UnmarshalDispatcher::new();
    for (msg, at) in pack.msgs[1..3].iter().zip(bad) {
        let Err(UndecodableRecord { channel, position, source, .. }) = msg.decode(&dispatcher)
        else {
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
        Err(Error::Decode(error)) if error.position == bad[0] => Ok(()),
        other => Err(Failure::new(format!("decoding the pack gave {other:?}"))),
    }
}

/// Checks that what can't be decoded is skipped and counted, and that the other messages of the
/// pack are decoded.
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

/// Checks that dead letters are the records as they came, with their origin.
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
        let original = msg.stored().map(|m| (nameless(&m.record, &m.channel), &m.record.payload));
        let found = Some((nameless(letter, &graves), &letter.payload));
        ensure_eq!(found, original, "a dead letter");
        let from = letter.header(PackDecoder::CHANNEL_HEADER).map(|name| &name[..]);
        ensure_eq!(from, Some(stage.channels[0].as_bytes()), "where it comes from");
        let position = letter.header(PackDecoder::POSITION_HEADER).map(|at| at.to_vec());
        ensure_eq!(position, Some(at.to_string().into_bytes()), "its position there");
    }
    Ok(())
}

/// The metadata of a record without the name of the channel, which a virtual one adds.
fn nameless(record: &Record, channel: &str) -> Meta {
    let mut meta = record.meta.clone();
    meta.vchannel.take_if(|name| **name == *channel);
    meta
}

/// A message that was read elsewhere, at a position.
fn elsewhere(at: u64, mut record: Record) -> Message {
    record.position = Position::new(at);
    StoredMessage::new("else\nwhere".into(), record).into()
}

/// Decodes a pack of nothing but such messages, and returns the dead letters, which must name their
/// origin.
async fn buried(
    transport: &dyn Transport,
    stage: &Stage,
    graves: &str,
    records: impl IntoIterator<Item = Record>,
) -> Result<Vec<Record>, Failure> {
    let msgs: Vec<_> = (0..).zip(records).map(|(at, record)| elsewhere(at, record)).collect();
    let count = msgs.len();
    let mut decoder = decoder(stage, PoisonPolicy::DeadLetter(graves.to_owned())).await?;
    let pack = MsgPack::new(msgs);
    ensure_eq!(decoder.decode(&pack).await?.len(), 0, "the messages that are decoded");
    ensure_eq!(decoder.poisoned(), count as u64, "what is counted");
    let mut letters = read_from(transport, graves, Start::Earliest).await?;
    letters.iter_mut().for_each(|letter| letter.meta = nameless(letter, graves));
    ensure_eq!(letters.len(), count, "the dead letters");
    for (letter, at) in letters.iter().zip(0..) {
        let position = letter.header(PackDecoder::POSITION_HEADER).map(|at| at.to_vec());
        let wanted = Position::new(at).to_string().into_bytes();
        ensure_eq!(position, Some(wanted), "the position of a dead letter");
        let reason = letter.header(PackDecoder::REASON_HEADER).is_some();
        ensure!(reason, "a dead letter without a reason: {letter:?}");
    }
    Ok(letters)
}

/// Checks that every dead letter is written, with its bytes: those with headers that the transport
/// doesn't take, with names that mean something to readers, with long ones, and dead letters
/// themselves.
pub async fn whatever_it_is_it_becomes_a_dead_letter(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 1).await?;
    let graves = stage.channels[0].clone();
    let mut records = Vec::new();
    for (name, value) in [
        ("binary", b"\xff\x00".as_slice()),
        ("lines", b"one\r\ntwo"),
        ("a\u{fffd}:b\n", b"x"),
        ("", b"x"),
        ("timestamp", b"soon"),
        ("msg_type", b"TimeTick"),
        ("_v", b"1"),
        (Stamp::HEADER, b"who;knows"),
        (PackDecoder::REASON_HEADER, b"it is a dead letter"),
        (PackDecoder::POSITION_HEADER, b"another"),
    ] {
        let mut record = Record::new(Meta::new(MsgType(77_777), Timestamp(2)), name.to_owned());
        // Twice, which not every transport takes either.
        let headers = [value, b"again"].map(|value| Header::new(name, value));
        record.extra.extend(headers);
        records.push(record);
    }
    let mut letters = buried(transport, &stage, &graves, records.clone()).await?;
    for (letter, record) in letters.iter().zip(&records) {
        ensure_eq!((&letter.meta, &letter.payload), (&record.meta, &record.payload), "a letter");
    }
    // And what became of them once more.
    let graves = crate::kit::channel(transport, harness).await?;
    for letter in &mut letters {
        letter.meta.msg_type = MsgType(77_777);
    }
    buried(transport, &stage, &graves, letters).await.map(drop)
}

/// Checks that a tick and a channel's end that can't be decoded neither end the channel of dead
/// letters nor promise anything there.
pub async fn a_dead_letter_is_no_tick_and_no_end(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 1).await?;
    let graves = stage.channels[0].clone();
    let tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(3)), &b"\xff\xff"[..]);
    let mut end = tick.clone();
    end.extra.push(Header::new(END_HEADER, "1"));
    let letters = buried(transport, &stage, &graves, [tick, end]).await?;
    for letter in letters {
        ensure!(letter.meta.msg_type != MsgType::TIME_TICK, "a dead letter is a tick");
        let number = letter.header(PackDecoder::TYPE_HEADER).map(|number| number.to_vec());
        ensure_eq!(number, Some(b"1200".to_vec()), "the type that it had");
    }
    stage.write(0, &[Msg(1), Tick(5)]).await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 1).await?;
    ensure_eq!((packs[0].end_ts.0, packs[0].msgs.len()), (5, 3), "what a stream reads of it");
    Ok(())
}

/// Checks that a record as large as the channel takes, which leaves no room for what a dead letter
/// adds, is cut, and that its dead letter says so.
pub async fn what_fills_a_channels_limit_becomes_a_dead_letter(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 1).await?;
    let graves = stage.channels[0].clone();
    let mut large = oversized(transport)?;
    large.meta.msg_type = MsgType(77_777);
    let mut with_headers = large.clone();
    with_headers.extra.push(Header::new("long", vec![b'x'; large.payload.len()]));
    let length = large.payload.len();
    let letters = buried(transport, &stage, &graves, [large, with_headers]).await?;
    for letter in letters {
        let said = letter.header(PackDecoder::CUT_HEADER).map(|said| said.to_vec());
        let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
        ensure!(said.contains(&format!("payload: {length}")), "what was cut is {said:?}");
        ensure!(letter.payload.len() < length, "it isn't cut");
    }
    Ok(())
}
