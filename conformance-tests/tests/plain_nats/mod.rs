//! NATS without a client library, which would refuse to write what another one can't read.

use async_trait::async_trait;
use msgstream_conformance::{BadKind, BrokerError, PlainClient, PlainRecord};
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::encode_headers;
use msgstream_core::record::Record;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const NO_NUMBER: BadKind = BadKind::new("a time that is no number");
const NO_TYPE: BadKind = BadKind::new("a type that nobody has");
const NO_HEADERS: BadKind = BadKind::new("no headers");
const NO_TEXT: BadKind = BadKind::new("a header that isn't UTF-8");
const NO_NAME: BadKind = BadKind::new("a header's name with a space");
const NO_COLON: BadKind = BadKind::new("a header without a colon");
const NO_VERSION: BadKind = BadKind::new("another version of headers");
const STATUS: BadKind = BadKind::new("the status that ends a request");

/// The messages that are under way. A stream has a bound of 10,000.
const WINDOW: usize = 1_000;

/// A client of the servers at some addresses, of which any one takes all.
pub(crate) struct PlainNats {
    pub(crate) hosts: Vec<String>,
}

#[async_trait]
impl PlainClient for PlainNats {
    fn bad_kinds(&self) -> &[BadKind] {
        &[NO_NUMBER, NO_TYPE, NO_HEADERS, NO_TEXT, NO_NAME, NO_COLON, NO_VERSION, STATUS]
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        let host = self.hosts.first().ok_or("the URL has no host")?;
        let stream = TcpStream::connect(host).await?;
        let mut stream = BufReader::new(stream);
        let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n";
        stream.write_all(format!("{hello}SUB answers 1\r\n").as_bytes()).await?;
        for window in records.chunks(WINDOW) {
            let mut sent = Vec::new();
            for record in window {
                publish(channel, record, &mut sent);
            }
            stream.write_all(&sent).await?;
            for _ in window {
                let answer = answer(&mut stream).await?;
                if answer.contains("error") || !answer.contains("seq") {
                    return Err(answer.into());
                }
            }
        }
        Ok(())
    }
}

/// What a record is on the wire.
fn publish(subject: &str, record: &PlainRecord, into: &mut Vec<u8>) {
    let (headers, payload) = match record {
        PlainRecord::Good(record) => (good(record), &record.payload),
        PlainRecord::Bad { kind, payload } => (bad(*kind), payload),
    };
    let (part, whole) = (headers.len(), headers.len() + payload.len());
    let line = match part {
        0 => format!("PUB {subject} answers {whole}\r\n"),
        _ => format!("HPUB {subject} answers {part} {whole}\r\n"),
    };
    for bytes in [line.as_bytes(), &headers, payload, b"\r\n"] {
        into.extend_from_slice(bytes);
    }
}

fn good(record: &Record) -> Vec<u8> {
    let mut headers = b"NATS/1.0\r\n".to_vec();
    for (name, value) in encode_headers(record, &MsgTypeNames::default()) {
        for bytes in [name.as_bytes(), b": ", &value, b"\r\n"] {
            headers.extend_from_slice(bytes);
        }
    }
    headers.extend_from_slice(b"\r\n");
    headers
}

fn bad(kind: BadKind) -> Vec<u8> {
    let headers: &[u8] = match kind {
        NO_NUMBER => {
            b"NATS/1.0\r\nmsg_type: Insert\r\nmsg_id: 1\r\ntimestamp: soon\r\nvchannel: \r\ncollection_id: 0\r\n\r\n"
        }
        NO_TYPE => b"NATS/1.0\r\nmsg_type: no such type\r\n\r\n",
        NO_TEXT => b"NATS/1.0\r\ncolour: \xff\xfe\r\n\r\n",
        NO_NAME => b"NATS/1.0\r\nsky colour: blue\r\n\r\n",
        NO_COLON => b"NATS/1.0\r\ncolour\r\n\r\n",
        NO_VERSION => b"NATS/9.9\r\ncolour: blue\r\n\r\n",
        STATUS => b"NATS/1.0 404 No Messages\r\n\r\n",
        _ => b"",
    };
    headers.to_vec()
}

/// What JetStream says to a message.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<String, BrokerError> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["MSG" | "HMSG", .., length] => {
                let mut answer = vec![0; length.parse::<usize>()? + 2];
                stream.read_exact(&mut answer).await?;
                return Ok(String::from_utf8(answer)?);
            }
            ["PING"] => stream.write_all(b"PONG\r\n").await?,
            ["INFO", ..] => {}
            _ => return Err(format!("the server said {line:?}").into()),
        }
    }
}
