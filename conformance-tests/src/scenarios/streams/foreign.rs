//! Streams over channels with what other programs write and no message can be made of.

use msgstream_core::consume::{PackDecoder, PoisonPolicy};
use msgstream_core::record::Position;
use msgstream_core::transport::{Capability, Start, Transport};
use msgstream_core::{
    ConsumerConfig, DecodeError, Error, Message, MsgPack, MsgType, UnmarshalDispatcher,
};

use super::stage::Entry::{End, Msg, Tick};
use super::stage::{Stage, same, to_end};
use crate::kit::read_from;
use crate::plain::PlainRecord;
use crate::scenario::Need::{self, Can};
use crate::scenario::{Scenario, list};
use crate::scenarios::foreign::{bad, ensure_bad, plain, write_plain};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::foreign":
    bad_records_come_in_their_packs [Need::PlainClient],
    a_stream_resumes_around_bad_records [Need::PlainClient, Can(Capability::SeekPosition)],
    bad_records_stop_the_decoder [Need::PlainClient],
    bad_records_are_skipped_and_counted [Need::PlainClient],
    bad_records_become_dead_letters [Need::PlainClient],
];

/// Two channels that end, the first with a pack for each kind of bad record; and the bad ones.
async fn stage(harness: &dyn Harness) -> Result<(Stage, Vec<PlainRecord>), Failure> {
    let client = plain(harness)?;
    let kinds = client.bad_kinds();
    let stage = Stage::new(harness, 2).await?;
    let mut written = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let from = at as u64 * 10;
        stage.write(0, &[Msg(from + 1)]).await?;
        let record = bad(*kind, from);
        write_plain(client, &stage.channels[0], std::slice::from_ref(&record)).await?;
        stage.write(0, &[Msg(from + 2), Tick(from + 9)]).await?;
        stage.write(1, &[Msg(from + 3), Tick(from + 9)]).await?;
        written.push(record);
    }
    let end = End(kinds.len() as u64 * 10);
    for channel in [0, 1] {
        stage.write(channel, &[end]).await?;
    }
    Ok((stage, written))
}

fn unreadable(packs: &[MsgPack]) -> impl Iterator<Item = &Message> {
    let msgs = packs.iter().flat_map(|pack| &pack.msgs);
    msgs.filter(|msg| msg.msg_type() == MsgType::UNREADABLE)
}

/// Checks that each bad record is in the pack of its interval, once, with its bytes, and that all
/// the others are, too.
pub async fn bad_records_come_in_their_packs(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let (stage, written) = stage(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    let counts: Vec<_> = packs.iter().map(|pack| pack.msgs.len()).collect();
    let mut expected = vec![4; written.len()];
    expected.push(0);
    ensure_eq!(counts, expected, "the messages in each pack");
    for (pack, written) in packs.iter().zip(&written) {
        let [msg] = Vec::from_iter(unreadable(std::slice::from_ref(pack)))[..] else {
            return Err(Failure::new(format!("the bad ones in {pack:?}")));
        };
        let stored = msg.stored().ok_or_else(|| Failure::new("a message that isn't stored"))?;
        if let PlainRecord::Bad { kind, payload } = written {
            ensure_bad(&stored.record, *kind, payload)?;
        }
    }
    Ok(())
}

/// Checks that the same packs follow from the end of each pack, before and after bad records.
pub async fn a_stream_resumes_around_bad_records(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let (stage, _) = stage(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for (at, pack) in packs.iter().enumerate() {
        for (checkpoint, from) in [(&pack.start, at), (&pack.end, at + 1)] {
            let rest = to_end(&mut stage.resumed(checkpoint).await?).await?;
            same(&rest, &packs[from..], "the packs after a resume")?;
        }
    }
    Ok(())
}

async fn decoder(stage: &Stage, policy: PoisonPolicy) -> Result<PackDecoder, Failure> {
    Ok(PackDecoder::new(stage.transport.clone(), UnmarshalDispatcher::new(), policy).await?)
}

/// Checks that decoding a pack fails by default, with the bad record's channel and position, and
/// the reason.
pub async fn bad_records_stop_the_decoder(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let (stage, _) = stage(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    let mut decoder = decoder(&stage, PoisonPolicy::Stop).await?;
    for pack in packs.iter().filter(|pack| !pack.msgs.is_empty()) {
        let at = unreadable(std::slice::from_ref(pack)).find_map(Message::position);
        match decoder.decode(pack).await {
            Err(Error::Decode(error)) if matches!(error.source, DecodeError::Unreadable { .. }) => {
                let place = (&*error.channel, Some(error.position));
                ensure_eq!(place, (&*stage.channels[0], at), "where");
            }
            other => return Err(Failure::new(format!("decoding a pack gave {other:?}"))),
        }
    }
    Ok(())
}

/// Checks that bad records can be skipped and are counted, and that the others are decoded.
pub async fn bad_records_are_skipped_and_counted(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let (stage, written) = stage(harness).await?;
    let mut decoder = decoder(&stage, PoisonPolicy::Skip).await?;
    for pack in stage.all(ConsumerConfig::default()).await? {
        let count = decoder.decode(&pack).await?.len();
        ensure!(count == 3 || pack.msgs.is_empty(), "{count} of 3 messages were decoded");
    }
    ensure_eq!(decoder.poisoned(), written.len() as u64, "what is counted");
    Ok(())
}

/// Checks that each bad record is written to the channel of dead letters, with its bytes and its
/// origin.
pub async fn bad_records_become_dead_letters(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let (stage, written) = stage(harness).await?;
    let graves = crate::kit::channel(transport, harness).await?;
    let mut decoder = decoder(&stage, PoisonPolicy::DeadLetter(graves.clone())).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for pack in &packs {
        let count = decoder.decode(pack).await?.len();
        ensure!(count == 3 || pack.msgs.is_empty(), "{count} of 3 messages were decoded");
    }
    let letters = read_from(transport, &graves, Start::Earliest).await?;
    ensure_eq!(letters.len(), written.len(), "the dead letters");
    for (letter, msg) in letters.iter().zip(unreadable(&packs)) {
        let payload = msg.stored().map(|m| &m.record.payload);
        ensure_eq!(Some(&letter.payload), payload, "a dead letter's payload");
        ensure_eq!(letter.meta.msg_type, MsgType::UNREADABLE, "a dead letter's type");
        let position = letter.header(PackDecoder::POSITION_HEADER).map(|at| at.to_vec());
        let at = msg.position().as_ref().map(Position::to_string).map(String::into_bytes);
        ensure_eq!(position, at, "where a dead letter comes from");
    }
    Ok(())
}
