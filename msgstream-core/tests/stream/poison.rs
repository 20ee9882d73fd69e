//! Records that can't be decoded.

use std::sync::Arc;

use msgstream_core::consume::{PackDecoder, PoisonPolicy};
use msgstream_core::message::UndecodableRecord;
use msgstream_core::record::{Header, Meta, Record};
use msgstream_core::transport::{Fate, Transport, TransportErrorKind};
use msgstream_core::{
    DecodeError, Error, Message, MsgPack, MsgType, StoredMessage, Timestamp, UnmarshalDispatcher,
};

use crate::common::{Trick, insert};
use crate::{consuming, error, producing, records};

/// Two good messages, one of unknown type, one corrupt, one good; in channel `a`.
async fn poisoned() -> (Trick, MsgPack) {
    let trick = Trick::new(&["a", "dead"]).await;
    let mut unknown = Record::new(Meta::new(MsgType(77), Timestamp(3)), "what?");
    unknown.meta.msg_id = -5;
    unknown.extra = [Header::new("trace", &b"\xff"[..]), Header::new("ms-session", "1")].into();
    let corrupt = Record::new(Meta::new(MsgType::INSERT, Timestamp(4)), &b"\xff\xff\xff"[..]);
    let stored = |record| StoredMessage::new("elsewhere".into(), record).into();
    let msgs = vec![
        insert(1, 0).into(),
        insert(2, 0).into(),
        stored(unknown),
        stored(corrupt),
        insert(5, 0).into(),
    ];
    let mut stream = producing(Arc::new(trick.clone()), &["a"]).await;
    stream.broadcast(&MsgPack::new(msgs)).await.unwrap();
    let read = consuming(Arc::new(trick.clone()), &["a"]).await.consume().await;
    let mut pack = read.unwrap().unwrap();
    // As a session wrote it.
    if let Message::Stored(corrupt) = &mut pack.msgs[3] {
        corrupt.record.meta.stamp = Some("p;7;3".parse().unwrap());
    }
    (trick, pack)
}

async fn decoder(trick: &Trick, policy: PoisonPolicy) -> PackDecoder {
    let transport = Arc::new(trick.clone());
    PackDecoder::new(transport, UnmarshalDispatcher::new(), policy).await.unwrap()
}

async fn decode(decoder: &mut PackDecoder, pack: &MsgPack) -> Result<Vec<u64>, Error> {
    let decoded = decoder.decode(pack).await?;
    for (msg, value) in &decoded {
        assert_eq!(msg.end_ts(), value.end_ts());
    }
    Ok(decoded.iter().map(|(_, value)| value.end_ts().0).collect())
}

#[tokio::test]
async fn stop_names_the_channel_and_the_position() {
    let (trick, pack) = poisoned().await;
    let mut decoder = decoder(&trick, PoisonPolicy::default()).await;
    let stopped = error(decode(&mut decoder, &pack).await);
    let Error::Decode(UndecodableRecord { channel, position, source, .. }) = stopped else {
        panic!("{stopped}")
    };
    assert_eq!((&*channel, Some(position)), ("a", pack.msgs[2].position()));
    assert!(matches!(source, DecodeError::UnknownType { msg_type: MsgType(77) }));
    assert_eq!(decoder.poisoned(), 0);
}

#[tokio::test]
async fn skip_counts() {
    let (trick, pack) = poisoned().await;
    let mut decoder = decoder(&trick, PoisonPolicy::Skip).await;
    assert_eq!(decode(&mut decoder, &pack).await.unwrap(), [1, 2, 5]);
    assert_eq!(decode(&mut decoder, &pack).await.unwrap(), [1, 2, 5]);
    assert_eq!(decoder.poisoned(), 4);
    assert!(records(&trick, "dead").await.is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_the_record_as_it_came_with_the_reason() {
    let (trick, pack) = poisoned().await;
    let mut decoder = decoder(&trick, PoisonPolicy::DeadLetter("dead".to_owned())).await;
    assert_eq!(decode(&mut decoder, &pack).await.unwrap(), [1, 2, 5]);
    assert_eq!(decoder.poisoned(), 2);
    let letters = records(&trick, "dead").await;
    assert_eq!(letters.len(), 2);
    for (letter, msg) in letters.iter().zip(&pack.msgs[2..]) {
        let original = &msg.stored().unwrap().record;
        let mut meta = original.meta.clone();
        meta.stamp = None;
        assert_eq!((&letter.meta, &letter.payload), (&meta, &original.payload));
        assert_eq!(letter.extra[..original.extra.len()], original.extra[..]);
        assert_eq!(letter.header(PackDecoder::CHANNEL_HEADER).unwrap(), "a");
        let position = letter.header(PackDecoder::POSITION_HEADER).unwrap();
        assert_eq!(position, original.position.to_string().as_bytes());
    }
    assert_eq!(letters[0].header("trace").unwrap(), &b"\xff"[..]);
    assert_eq!(letters[0].header("ms-session"), None);
    assert_eq!(letters[0].header(PackDecoder::SESSION_HEADER), None);
    assert_eq!(letters[1].header(PackDecoder::SESSION_HEADER).unwrap(), "p;7;3");
    let reason = |i: usize| {
        let reason = letters[i].header(PackDecoder::REASON_HEADER).unwrap();
        std::str::from_utf8(reason).unwrap().to_owned()
    };
    assert!(reason(0).contains("77"), "{}", reason(0));
    // With what the decoder found.
    assert!(reason(1).starts_with("the payload is truncated or corrupt: "), "{}", reason(1));
}

#[tokio::test]
async fn nothing_goes_on_before_the_dead_letters_are_stored() {
    let (trick, pack) = poisoned().await;
    let mut decoder = decoder(&trick, PoisonPolicy::DeadLetter("dead".to_owned())).await;
    trick.plan().fail_write.insert("dead".to_owned(), (1, Fate::Unknown));
    let failed = error(decode(&mut decoder, &pack).await);
    assert!(matches!(failed, Error::Produce(_)), "{failed}");
    assert_eq!(decoder.poisoned(), 0);
    // The same pack again, with a new writer.
    assert_eq!(decode(&mut decoder, &pack).await.unwrap(), [1, 2, 5]);
    assert_eq!((decoder.poisoned(), records(&trick, "dead").await.len()), (2, 3));
}

#[tokio::test]
async fn a_missing_channel_for_dead_letters_is_an_error_at_once() {
    let (trick, _) = poisoned().await;
    let policy = PoisonPolicy::DeadLetter("no".to_owned());
    let transport: Arc<dyn Transport> = Arc::new(trick);
    let missing = PackDecoder::new(transport, UnmarshalDispatcher::new(), policy).await;
    let Error::Transport(missing) = error(missing) else { panic!("it is a transport's error") };
    assert_eq!((missing.kind(), missing.channel()), (&TransportErrorKind::NotFound, Some("no")));
}
