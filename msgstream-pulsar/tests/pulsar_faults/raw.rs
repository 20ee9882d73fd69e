//! A program that writes what it pleases, byte by byte.

use msgstream_core::registry::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::support::persistent;

/// A field of a message of the protocol: a number.
fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

/// A field of a message of the protocol: bytes, text, or another message.
pub(crate) fn bytes(tag: u64, value: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn property(tag: u64, [key, value]: [&[u8]; 2]) -> Vec<u8> {
    bytes(tag, &[bytes(1, key), bytes(2, value)].concat())
}

/// What makes a message one of ours.
const META: [[&[u8]; 2]; 5] = [
    [b"msg_type", b"Insert"],
    [b"msg_id", b"1"],
    [b"timestamp", b"1"],
    [b"vchannel", b""],
    [b"collection_id", b"0"],
];

/// An entry without a checksum, as old programs write it: with properties, and more fields of its
/// metadata.
pub(crate) fn entry(properties: &[[&[u8]; 2]], more: &[u8], data: &[u8]) -> Vec<u8> {
    let mut metadata = [bytes(1, b"raw"), number(2, 0), number(3, 1)].concat();
    metadata.extend(META.iter().chain(properties).flat_map(|&given| property(4, given)));
    metadata.extend(more);
    [&(metadata.len() as u32).to_be_bytes(), &*metadata, data].concat()
}

/// A message of a batch.
pub(crate) fn single(properties: &[[&[u8]; 2]], data: &[u8]) -> Vec<u8> {
    let properties = META.iter().chain(properties);
    let mut metadata: Vec<u8> = properties.flat_map(|&given| property(1, given)).collect();
    metadata.extend(number(3, data.len() as u64));
    [&(metadata.len() as u32).to_be_bytes(), &*metadata, data].concat()
}

/// That an entry is a batch of so many messages.
pub(crate) fn batch_of(messages: i32) -> Vec<u8> {
    number(11, messages as u64)
}

/// That an entry is a chunk.
pub(crate) fn chunk(id: u64, of: u64) -> Vec<u8> {
    [number(27, of), number(28, 100), number(29, id)].concat()
}

/// A producer on a topic.
pub(crate) struct Raw {
    read: OwnedReadHalf,
    write: BufWriter<OwnedWriteHalf>,
    sent: u64,
    stored: u64,
}

impl Raw {
    pub(crate) async fn open(url: &str, channel: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let broker = (url.host_str().unwrap(), url.port().unwrap());
        let (read, write) = TcpStream::connect(broker).await.unwrap().into_split();
        let mut raw = Self { read, write: BufWriter::new(write), sent: 0, stored: 0 };
        raw.say(2, &[bytes(1, b"raw"), number(4, 12)].concat(), &[]).await;
        raw.hear(3).await;
        let topic = bytes(1, persistent(channel).as_bytes());
        raw.say(5, &[topic, number(2, 1), number(3, 1)].concat(), &[]).await;
        raw.hear(17).await;
        raw
    }

    /// A command is in the field that has the number of its type.
    async fn say(&mut self, kind: u64, command: &[u8], entry: &[u8]) {
        let command = [number(1, kind), bytes(kind, command)].concat();
        let length = 4 + command.len() + entry.len();
        let lengths = [(length as u32).to_be_bytes(), (command.len() as u32).to_be_bytes()];
        let frame = [&lengths.concat(), &*command, entry].concat();
        self.write.write_all(&frame).await.unwrap();
    }

    /// Waits for an answer of a type.
    async fn hear(&mut self, kind: u8) {
        loop {
            self.write.flush().await.unwrap();
            let mut frame = vec![0; self.read.read_u32().await.unwrap() as usize];
            self.read.read_exact(&mut frame).await.unwrap();
            match frame[5] {
                heard if heard == kind => return,
                // It asks whether we are there.
                18 => self.say(19, &[], &[]).await,
                other => panic!("an answer of type {other}: {}", String::from_utf8_lossy(&frame)),
            }
        }
    }

    /// Writes an entry. At most so many are in flight.
    pub(crate) async fn send(&mut self, entry: &[u8]) {
        let send = [number(1, 1), number(2, self.sent), number(3, 1)].concat();
        self.say(6, &send, entry).await;
        self.sent += 1;
        if self.sent - self.stored > 500 {
            self.stored_down_to(250).await;
        }
    }

    async fn stored_down_to(&mut self, in_flight: u64) {
        while self.sent - self.stored > in_flight {
            self.hear(7).await;
            self.stored += 1;
        }
    }

    /// Waits until all of it is stored.
    pub(crate) async fn close(mut self) {
        self.stored_down_to(0).await;
    }
}
