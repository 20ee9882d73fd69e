//! Messages of other programs that the client library can't read: it ends the connection over them.
//! Each costs one record.

use msgstream_core::MsgType;
use msgstream_core::record::{Position, Record};
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{
    ChannelReader, Limit, Start, Transport, TransportErrorKind as Kind,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::nats_server::Server;
use crate::support::{create, drain, write};

/// Publishes messages with any bytes for headers, and returns once the server has them all.
async fn publish(
    server: &Server,
    subject: &str,
    messages: impl Iterator<Item = (Vec<u8>, String)>,
) {
    let address = server.url.strip_prefix("nats://").unwrap();
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut said = Vec::new();
    said.extend_from_slice(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n");
    for (headers, payload) in messages {
        let (head, all) = (headers.len(), headers.len() + payload.len());
        said.extend_from_slice(format!("HPUB {subject} {head} {all}\r\n").as_bytes());
        said.extend_from_slice(&headers);
        said.extend_from_slice(payload.as_bytes());
        said.extend_from_slice(b"\r\n");
    }
    said.extend_from_slice(b"PING\r\n");
    stream.write_all(&said).await.unwrap();
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        assert_ne!(stream.read_line(&mut line).await.unwrap(), 0);
        assert!(!line.starts_with("-ERR"), "{line}");
    }
}

/// Waits until a channel has so many messages.
async fn has(transport: &dyn Transport, channel: &str, count: u64) {
    while transport.describe(channel).await.unwrap().end != Position::new(count + 1) {}
}

const BAD: &[u8] = b"NATS/1.0\r\nname: \xff\xfe\r\n\r\n";

/// Headers of a record, and in place of each `every`th a header that isn't UTF-8.
fn numbered(count: u64, every: u64) -> impl Iterator<Item = (Vec<u8>, String)> {
    (1..=count).map(move |number| match number % every {
        0 => (BAD.to_vec(), number.to_string()),
        _ => {
            let headers = format!(
                "NATS/1.0\r\nmsg_type: Insert\r\nmsg_id: 1\r\ntimestamp: {number}\r\nvchannel: \r\ncollection_id: 0\r\n\r\n"
            );
            (headers.into_bytes(), number.to_string())
        }
    })
}

/// Reads so many records, and nothing else goes wrong.
async fn take(reader: &mut dyn ChannelReader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(reader.read(Limit::default()).await.unwrap().records);
    }
    records
}

fn is_unreadable(record: &Record) -> bool {
    record.meta.msg_type == MsgType::UNREADABLE
}

#[tokio::test]
async fn a_message_that_cant_be_read_is_handed_on_and_costs_itself_alone() {
    let server = Server::start().await;
    let transport = server.open().await;
    for channel in ["orders", "other"] {
        create(&*transport, channel).await;
    }
    write(&*transport, "other", 0..10).await;
    publish(&server, "orders", numbered(10, 5)).await;
    let mut other = transport.reader("other", Start::Earliest).await.unwrap();
    let subscription = transport.subscription("other", "mine").await.unwrap();
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let records = take(&mut *reader, 10).await;
    for (number, record) in (1..).zip(&records) {
        assert_eq!(record.position, Position::new(number));
        assert_eq!(record.payload, number.to_string());
        assert_eq!(is_unreadable(record), number % 5 == 0, "{record:?}");
    }
    let header = &records[4].extra[0];
    assert_eq!((&*header.name, &header.value[..]), ("name", b"\xff\xfe".as_slice()));
    // The last one was such a message, and the end is told all the same.
    assert!(reader.read(Limit::default()).await.unwrap().caught_up);
    // What else the handle has goes on.
    assert_eq!(drain(&mut *other).await, Vec::from_iter(0..10));
    subscription.ack(Position::new(5)).await.unwrap();
    write(&*transport, "orders", 10..20).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(10..20));
}

#[tokio::test]
async fn whatever_the_client_library_chokes_on_costs_one_record() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let bad: [&[u8]; 8] = [
        b"NATS/1.0\r\nname: \xff\r\n\r\n",
        b"NATS/1.0\r\n\xff: value\r\n\r\n",
        b"NATS/2.0\r\nname: value\r\n\r\n",
        b"NATS/1.0 soon\r\nname: value\r\n\r\n",
        b"NATS/1.0\r\nname\r\n\r\n",
        b"NATS/1.0\r\na name: value\r\n\r\n",
        // Over this it panics.
        b"NATS/1.0\r\nname: one\rtwo\r\n\r\n",
        b"\r\n",
    ];
    // Odd, and read by it. Behind a message that can't be read they come another way.
    let odd: [&[u8]; 5] = [
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0 503 No Responders\r\nname: value\r\n\r\n",
        b"NATS/1.0 100\r\n\r\nname:  value \r\nname: other\r\n\r\n",
        b"NATS/1.0\r\nb: one\r\n two\r\na: Gr\xc3\xbc\xc3\x9fe\n\r\n",
        b"NATS/1.0\r\n: %ms:%FF\r\nNats-Other: 1\r\n\r\n",
    ];
    let one_by_one = bad.iter().flat_map(|bad| [&odd[..], &[*bad], &odd[..]].concat());
    let messages: Vec<&[u8]> = one_by_one.collect();
    let messages = [messages.repeat(2), bad.repeat(3), odd.to_vec()].concat();
    // Answers of the server have its own headers: nobody may take those of a message for one.
    publish(&server, "orders", messages.iter().map(|h| (h.to_vec(), "payload".into()))).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let records = take(&mut *reader, messages.len()).await;
    assert_eq!(records.len(), messages.len());
    let first: Vec<Record> = records[..odd.len()].to_vec();
    for (number, (record, headers)) in records.iter().zip(&messages).enumerate() {
        assert_eq!(record.position, Position::new(number as u64 + 1));
        assert_eq!(record.payload, "payload");
        if let Some(kind) = odd.iter().position(|odd| odd == headers) {
            assert_eq!(record.extra, first[kind].extra, "{number}");
        } else {
            assert!(is_unreadable(record), "{number}: {record:?}");
        }
    }
}

#[tokio::test]
async fn a_hundred_among_many_are_passed_by_two_readers_at_once() {
    const COUNT: u64 = 20_000;
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    publish(&server, "orders", numbered(COUNT, 200)).await;
    has(&*transport, "orders", COUNT).await;
    let read = async || {
        let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
        let (mut next, mut unreadable) = (1, 0);
        while next <= COUNT {
            for record in reader.read(Limit::default()).await.unwrap().records {
                assert_eq!(record.position, Position::new(next));
                assert_eq!(record.payload, next.to_string());
                assert_eq!(is_unreadable(&record), next % 200 == 0);
                unreadable += u64::from(is_unreadable(&record));
                next += 1;
            }
        }
        unreadable
    };
    assert_eq!(tokio::join!(read(), read()), (100, 100));
}

#[tokio::test]
async fn many_in_a_row_are_read() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    publish(&server, "orders", numbered(3_000, 1)).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let records = take(&mut *reader, 3_000).await;
    assert!(records.iter().all(is_unreadable));
    assert!(reader.read(Limit::default()).await.unwrap().caught_up);
}

#[tokio::test]
async fn a_reader_that_may_not_fetch_messages_says_which_right_it_needs() {
    let server = Server::configured(
        r#"authorization { users: [
            { user: all, password: all }
            { user: few, password: few, permissions { publish: {
                deny: ["$JS.API.STREAM.MSG.GET.>"]
            } } }
        ] }
        no_auth_user: all"#,
    )
    .await;
    let (owner, transport) = (server.open().await, server.open_as("few:few@", "").await);
    let transport = transport.map_err(|error: ConnectError| error.to_string()).unwrap();
    create(&*owner, "orders").await;
    publish(&server, "orders", numbered(3, 2)).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(take(&mut *reader, 1).await[0].position, Position::new(1));
    for _ in 0..2 {
        let error = reader.read(Limit::default()).await.unwrap_err();
        let Kind::Denied { reason } = error.kind() else { panic!("{error}") };
        assert!(reason.contains("STREAM.MSG.GET.orders"), "{reason}");
    }
    // It stays in place, and behind that message all is as ever.
    reader.seek(Start::After(Position::new(2))).await.unwrap();
    assert_eq!(drain(&mut *reader).await, [3]);
}
