//! Kafka without a client library, which would refuse to write what another one can't read.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use msgstream_conformance::{BadKind, BrokerError, PlainClient, PlainRecord};
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::encode_with_key;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::crc32c::crc32c;

const NO_NUMBER: BadKind = BadKind::new("a time that is no number");
const NO_TYPE: BadKind = BadKind::new("a type that nobody has");
const NO_HEADERS: BadKind = BadKind::new("no headers");
const NO_TEXT: BadKind = BadKind::new("a header's name that isn't UTF-8");
const NOTHING: BadKind = BadKind { name: "neither headers nor a payload", shows_payload: false };

const STORED: i16 = 0;

/// What a broker that doesn't lead the partition answers, and stores nothing: it says that it leads a new
/// one a little before it does, longer on a machine with other work.
const NOT_YET: [i16; 3] = [3, 5, 6];
const PATIENCE: Duration = Duration::from_secs(60);

/// The records of one request.
const BATCH: usize = 1_000;

/// A client of the brokers at some addresses.
pub(crate) struct PlainKafka {
    pub(crate) hosts: Vec<String>,
}

#[async_trait]
impl PlainClient for PlainKafka {
    fn bad_kinds(&self) -> &[BadKind] {
        &[NO_NUMBER, NO_TYPE, NO_HEADERS, NO_TEXT, NOTHING]
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        let (topic, partition) = channel.split_once(':').unwrap_or((channel, "0"));
        let partition = partition.parse()?;
        // One of them leads the partition.
        let mut hosts = self.hosts.iter().cycle();
        let mut next = || TcpStream::connect(hosts.next().map_or("", String::as_str));
        let mut broker = next().await?;
        for batch in records.chunks(BATCH) {
            let request = request(topic, partition, &encode(batch));
            let begun = Instant::now();
            loop {
                match answer(&mut broker, topic, &request).await? {
                    STORED => break,
                    code if NOT_YET.contains(&code) && begun.elapsed() < PATIENCE => {
                        broker = next().await?;
                    }
                    code => return Err(format!("the broker's error is {code}").into()),
                }
            }
        }
        Ok(())
    }
}

/// Sends a request to store a batch, and returns the code in the answer.
async fn answer(broker: &mut TcpStream, topic: &str, request: &[u8]) -> Result<i16, BrokerError> {
    broker.write_all(request).await?;
    let length = broker.read_i32().await?;
    let mut answer = vec![0; usize::try_from(length)?];
    broker.read_exact(&mut answer).await?;
    // Behind the request's number, the topic's name with a count and a length, and the partition's
    // number with a count.
    let code = answer.get(10 + topic.len() + 8..).and_then(|rest| rest.first_chunk());
    code.copied().map(i16::from_be_bytes).ok_or_else(|| "the broker's answer is too short".into())
}

/// A request to store a batch, acknowledged by all replicas.
fn request(topic: &str, partition: i32, batch: &[u8]) -> Vec<u8> {
    let (produce, version) = (0_i16, 7_i16);
    let (number, no_text) = (0_i32, -1_i16);
    let mut request = Vec::new();
    for bytes in [&produce.to_be_bytes()[..], &version.to_be_bytes(), &number.to_be_bytes()] {
        request.extend_from_slice(bytes);
    }
    // Neither the client nor a transaction has a name.
    for word in [no_text, no_text, -1] {
        request.extend_from_slice(&word.to_be_bytes());
    }
    let (timeout_ms, one) = (30_000_i32, 1_i32);
    request.extend_from_slice(&timeout_ms.to_be_bytes());
    request.extend_from_slice(&one.to_be_bytes());
    request.extend_from_slice(&(topic.len() as i16).to_be_bytes());
    request.extend_from_slice(topic.as_bytes());
    for number in [one, partition, batch.len() as i32] {
        request.extend_from_slice(&number.to_be_bytes());
    }
    request.extend_from_slice(batch);
    [&(request.len() as i32).to_be_bytes()[..], &request].concat()
}

/// A batch of records, as Kafka stores it.
fn encode(records: &[PlainRecord]) -> Vec<u8> {
    let mut checked = Vec::new();
    let (attributes, last, time) = (0_i16, records.len() as i32 - 1, 1_i64);
    checked.extend_from_slice(&attributes.to_be_bytes());
    checked.extend_from_slice(&last.to_be_bytes());
    checked.extend_from_slice(&time.to_be_bytes());
    checked.extend_from_slice(&time.to_be_bytes());
    // Neither a producer nor its epoch nor a sequence.
    checked.extend_from_slice(&[0xff; 14]);
    checked.extend_from_slice(&(records.len() as i32).to_be_bytes());
    for (record, number) in records.iter().zip(0..) {
        let record = encode_record(record, number);
        varint(record.len() as i64, &mut checked);
        checked.extend_from_slice(&record);
    }
    let (offset, no_epoch, magic) = (0_i64, -1_i32, 2_u8);
    let length = (4 + 1 + 4 + checked.len()) as i32;
    let mut batch = [&offset.to_be_bytes()[..], &length.to_be_bytes()].concat();
    batch.extend_from_slice(&no_epoch.to_be_bytes());
    batch.push(magic);
    batch.extend_from_slice(&crc32c(&checked).to_be_bytes());
    batch.extend_from_slice(&checked);
    batch
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

fn encode_record(record: &PlainRecord, number: i64) -> Vec<u8> {
    let (key, headers, payload) = match record {
        PlainRecord::Good(record) => {
            let names = MsgTypeNames::default();
            let (key, headers) = encode_with_key(record, &names);
            let headers = headers.map(|(name, value)| (name.into(), value.into_owned()));
            (key, headers.collect(), Some(&record.payload))
        }
        PlainRecord::Bad { kind, payload } => {
            (None, bad(*kind), Some(payload).filter(|_| *kind != NOTHING))
        }
    };
    let mut encoded = vec![0];
    // The time and the place in the batch.
    for number in [0, number] {
        varint(number, &mut encoded);
    }
    for bytes in [key, payload] {
        varint(bytes.map_or(-1, |bytes| bytes.len() as i64), &mut encoded);
        encoded.extend(bytes.into_iter().flatten());
    }
    varint(headers.len() as i64, &mut encoded);
    for bytes in headers.into_iter().flat_map(|(name, value)| [name, value]) {
        varint(bytes.len() as i64, &mut encoded);
        encoded.extend(bytes);
    }
    encoded
}

fn bad(kind: BadKind) -> Headers {
    let headers: &[(&[u8], &str)] = match kind {
        NO_NUMBER => &[
            (b"msg_type", "Insert"),
            (b"msg_id", "1"),
            (b"timestamp", "soon"),
            (b"vchannel", ""),
            (b"collection_id", "0"),
        ],
        NO_TYPE => &[(b"msg_type", "no such type")],
        NO_TEXT => &[(b"\xff\xfe", "blue")],
        _ => &[],
    };
    headers.iter().map(|(name, value)| (name.to_vec(), value.as_bytes().to_vec())).collect()
}

/// A number in as many bytes as it needs, the sign last.
fn varint(number: i64, into: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}
