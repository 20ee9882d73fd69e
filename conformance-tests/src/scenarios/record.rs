//! Records come back as they were written.

use bytes::Bytes;
use msgstream_core::record::{Header, Meta, Record};
use msgstream_core::transport::{Capability, Start, Transport, TransportErrorKind as Kind};
use msgstream_core::{MsgType, Timestamp};

use crate::kit::{channel, read_from, stored};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["record":
    payloads_come_back,
    metadata_comes_back,
    unknown_message_types_come_back,
    extra_headers_come_back,
    binary_headers_come_back [Can(Capability::BinaryHeaders)],
    repeated_headers_come_back_or_are_refused,
    keys_come_back [Can(Capability::Keys)],
    a_large_payload_comes_back,
];

// What is checked of a record: all but the position. Headers are sorted by name, for not every
// broker keeps their order.
async fn come_back(
    transport: &dyn Transport,
    harness: &dyn Harness,
    mut records: Vec<Record>,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    if transport.describe(&channel).await?.physical.is_some() {
        // All that a virtual channel has names it, and nothing else.
        records.retain(|record| record.meta.vchannel.is_none());
        records.iter_mut().for_each(|record| record.meta.vchannel = Some(channel.as_str().into()));
    }
    let mut writer = transport.writer(&channel).await?;
    let written = stored(writer.submit(records.clone()).await)?;
    writer.close().await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(read.len(), records.len(), "the number of records");
    for ((mut read, wrote), position) in read.into_iter().zip(records).zip(written) {
        ensure_eq!(read.position, position, "the position of {wrote:?}");
        ensure_eq!(read.meta, wrote.meta, "the metadata");
        ensure!(read.payload == wrote.payload, "the payload differs, of {wrote:?}");
        read.extra.sort_by(|a, b| a.name.cmp(&b.name));
        ensure_eq!(read.extra, wrote.extra, "the extra headers");
    }
    Ok(())
}

/// Checks that payloads of any bytes come back, and empty ones.
pub async fn payloads_come_back(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let payloads: [Bytes; 6] = [
        Bytes::new(),
        b"\0".as_slice().into(),
        b"\xff\xfe\xc3(".as_slice().into(),
        b"line\r\nline\r\n\r\n".as_slice().into(),
        every_byte.into(),
        "Ünïcode 頻道".into(),
    ];
    let meta = Meta::new(MsgType::INSERT, Timestamp(1));
    let records = payloads.into_iter().map(|p| Record::new(meta.clone(), p));
    come_back(transport, harness, records.collect()).await
}

/// Checks that extreme metadata comes back: times of 0 and `u64::MAX`, negative ids, a virtual
/// channel or none.
pub async fn metadata_comes_back(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let mut records = Vec::new();
    for time in [0, 1, u64::MAX - 1, u64::MAX] {
        for id in [i64::MIN, -1, 0, i64::MAX] {
            for vchannel in [None, Some("by-dev-rootcoord-dml_0_449v0"), Some("Ünïcode 頻道")] {
                let mut meta = Meta::new(MsgType::DELETE, Timestamp(time));
                meta.msg_id = id;
                meta.collection_id = id.wrapping_neg();
                meta.vchannel = vchannel.map(Into::into);
                records.push(Record::new(meta, "payload"));
            }
        }
    }
    come_back(transport, harness, records).await
}

/// Checks that types without a name come back: a transport carries what it doesn't know.
pub async fn unknown_message_types_come_back(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let types = [0, 1, 402, 501, 1208, 70_001, u32::MAX].map(MsgType);
    let records = types.map(|t| Record::new(Meta::new(t, Timestamp(1)), "payload"));
    come_back(transport, harness, records.into()).await
}

/// Checks that headers with text for values come back, beside the metadata.
pub async fn extra_headers_come_back(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let values =
        ["", "text", " spaces around ", "a: b; c=\"d\"", "Ünïcode 頻道", "%41=b64:aGVsbG8="];
    headers_come_back(transport, harness, &values.map(str::as_bytes)).await
}

/// Checks that headers with values that aren't text come back.
pub async fn binary_headers_come_back(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let values: [&[u8]; 4] =
        [b"\0", b"line\r\nbreak: x\r\n\r\n", b"\xff\xfe\x00\xc3(", "\u{85}".as_bytes()];
    headers_come_back(transport, harness, &values).await
}

async fn headers_come_back(
    transport: &dyn Transport,
    harness: &dyn Harness,
    values: &[&'static [u8]],
) -> Verdict {
    let mut records = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "payload");
        // None, one, two and so on.
        record.extra.extend(
            values[..i]
                .iter()
                .enumerate()
                .map(|(n, value)| Header::new(format!("x-header-{n}"), Bytes::from_static(value))),
        );
        record.extra.push(Header::new("y-last", Bytes::from_static(value)));
        records.push(record);
    }
    records.push(Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "no headers"));
    come_back(transport, harness, records).await
}

/// Checks that a header name that is used twice comes back twice, with the values in their order,
/// or that the record is refused. No value is dropped silently.
pub async fn repeated_headers_come_back_or_are_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "payload");
    record.extra = [Header::new("x-twice", "1"), Header::new("x-twice", "2")].into();
    let made = channel(transport, harness).await?;
    let writer = transport.writer(&made).await?;
    match writer.check(std::slice::from_ref(&record)) {
        Err(error) if matches!(error.kind(), Kind::InvalidHeader { .. }) => Ok(()),
        checked => {
            checked?;
            come_back(transport, harness, vec![record]).await
        }
    }
}

/// Checks that keys of any bytes come back, empty ones too, beside headers and alone.
pub async fn keys_come_back(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let keys: [Bytes; 6] = [
        Bytes::new(),
        "ann".into(),
        " %ms:Ünïcode 頻道 ".into(),
        "line\r\nbreak".into(),
        b"\xff\xfe\x00\xc3(".as_slice().into(),
        every_byte.into(),
    ];
    let none = || Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "payload");
    let mut records = vec![none()];
    for key in keys {
        records.push(none().with_key(key.clone()));
        let mut record = none().with_key(key);
        record.extra.push(Header::new("x-header", "value"));
        records.push(record);
    }
    come_back(transport, harness, records).await
}

/// Checks that a payload of 8 MiB comes back, or the largest that the channel takes if that is
/// less.
pub async fn a_large_payload_comes_back(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let limit = transport.capabilities().max_payload.unwrap_or(usize::MAX);
    let payload: Bytes = (0..=u8::MAX).cycle().take(limit.min(8 << 20)).collect();
    let mut large = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), payload);
    let made = channel(transport, harness).await?;
    let checked = transport.writer(&made).await?.check(std::slice::from_ref(&large));
    if let Err(error) = checked {
        let Kind::TooLarge { bytes, limit } = *error.kind() else { return Err(error.into()) };
        // The channel that it goes to may have a name that is longer by a digit, and each record has it.
        large.payload.truncate((large.payload.len() + limit).saturating_sub(bytes + 1));
    }
    let small = Record::new(Meta::new(MsgType::INSERT, Timestamp(2)), "small");
    come_back(transport, harness, vec![large, small]).await
}
