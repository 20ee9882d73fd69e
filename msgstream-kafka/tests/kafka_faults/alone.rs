//! A broker of the test's own, of which the files are at hand: what it stores, and what becomes of damage,
//! of a wrong setting, and of a broker that hangs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use msgstream_core::record::Header;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{MsgType, UnmarshalDispatcher};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use tracing::Level;

use crate::logs;
use crate::support::{
    Broker, connect, create, drain, failure, record, record_of, times, write, write_numbers,
};

impl Broker {
    /// The file with the first records of a topic.
    fn file(&self, topic: &str) -> PathBuf {
        let file = format!("kafka/data/{topic}-0/00000000000000000000.log");
        self.state.path().join(file)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.url.trim_start_matches("kafka://"));
        config.create().unwrap()
    }
}

// One broker, for it takes its time to start.
#[tokio::test]
async fn a_broker_whose_files_are_at_hand() {
    let broker = Broker::start().await;
    many_make_the_topic_of_properties_at_once(&broker).await;
    properties_need_a_topic_that_keeps_them(&broker).await;
    each_codec_is_stored(&broker).await;
    damaged_records_are_told(&broker).await;
    damaged_headers_cost_their_record(&broker).await;
    a_broker_that_hangs_is_waited_for(&broker).await;
}

/// Where properties are kept.
const TOPIC: &str = "__msgstream";

// All but one are told that it is there already, which isn't yet to say that it can be used.
async fn many_make_the_topic_of_properties_at_once(broker: &Broker) {
    let admin = broker.admin();
    for round in 0..8 {
        let transport = connect(&broker.url).await.unwrap();
        let owner = BTreeMap::from([("owner".to_owned(), round.to_string())]);
        let names: Vec<_> = (0..16).map(|number| format!("many-{round}-{number}")).collect();
        let creates = names.iter().map(|name| transport.create_with(name, owner.clone().into()));
        for created in futures::future::join_all(creates).await {
            created.unwrap();
        }
        for name in &names {
            assert_eq!(transport.describe(name).await.unwrap().properties, owner);
        }
        transport.close().await.unwrap();
        admin.delete_topics(&[TOPIC], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let all = || admin.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
        while all().topics().iter().any(|topic| topic.name() == TOPIC) {
            tokio::task::yield_now().await;
        }
    }
}

async fn properties_need_a_topic_that_keeps_them(broker: &Broker) {
    let transport = connect(&broker.url).await.unwrap();
    let admin = broker.admin();
    let wrong = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "delete");
    admin.create_topics([&wrong], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    let error = transport.create_with("refused", owner.clone().into()).await.unwrap_err();
    let Kind::Config { reason } = error.kind() else { panic!("{error}") };
    assert!(reason.contains("`delete`") && reason.contains("`compact`"), "{error}");
    transport.delete("refused").await.unwrap();

    let resource = ResourceSpecifier::Topic(TOPIC);
    let compact = AlterConfig::new(resource).set("cleanup.policy", "compact");
    admin.alter_configs([&compact], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    // It is some time until the broker tells the new one.
    while let Err(error) = transport.create_with("kept", owner.clone().into()).await {
        assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
        transport.delete("kept").await.unwrap();
    }
    assert_eq!(transport.describe("kept").await.unwrap().properties, owner);
}

async fn each_codec_is_stored(broker: &Broker) {
    // The number that stands for a codec in the attributes of a batch, which are behind 21 bytes.
    const ATTRIBUTES: usize = 21;
    for (codec, number) in [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)] {
        let url = format!("{}?compression.codec={codec}&linger.ms=5", broker.url);
        let transport = match connect(&url).await {
            Ok(transport) => transport,
            // The system's librdkafka may be without.
            Err(error) if cfg!(feature = "dynamic") => {
                println!("{codec}: {error}");
                continue;
            }
            Err(error) => panic!("{codec}: {error}"),
        };
        let channel = create(&*transport).await;
        write(&*transport, &channel, (0..100).map(|n| record_of(n, 1000)).collect()).await;
        let stored = fs::read(broker.file(&channel)).unwrap();
        assert_eq!(stored[ATTRIBUTES + 1] & 7, number, "{codec}");
        let is_small = stored.len() < 50_000;
        assert_eq!(is_small, codec != "none", "{codec}: {} bytes", stored.len());
    }
}

async fn damaged_records_are_told(broker: &Broker) {
    let transport = connect(&broker.url).await.unwrap();
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..10).await;
    let start = fs::metadata(broker.file(&channel)).unwrap().len();
    write(&*transport, &channel, vec![record_of(10, 1000)]).await;
    // In the middle of the last payload.
    let mut file = fs::OpenOptions::new().write(true).open(broker.file(&channel)).unwrap();
    file.seek(SeekFrom::Start(start + 600)).unwrap();
    file.write_all(b"y").unwrap();

    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut read = Vec::new();
    let error = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => read.extend(times(&batch.records)),
            Err(error) => break error,
        }
    };
    assert_eq!(read, Vec::from_iter(0..10));
    assert!(matches!(error.kind(), Kind::Protocol { .. }), "{error}");
    // It stays in place.
    let again = failure(&mut *reader).await;
    assert_eq!(again.kind(), error.kind());
}

/// A broker refuses headers that can't be read, so they get into its file behind its back.
async fn damaged_headers_cost_their_record(broker: &Broker) {
    // The checksum of a batch, and what it covers: all that is behind it.
    const CHECKSUM: usize = 17;
    const COVERED: usize = 21;
    const NAME: &[u8] = b"torn";
    let transport = connect(&broker.url).await.unwrap();
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..1).await;
    let start = fs::metadata(broker.file(&channel)).unwrap().len();
    let mut torn = record(1);
    torn.extra.push(Header::new("torn", "value"));
    write(&*transport, &channel, vec![torn]).await;
    let mut batch = fs::read(broker.file(&channel)).unwrap().split_off(start as usize);
    write_numbers(&*transport, &channel, 2..3).await;
    // The name has more bytes than there are: 63 of them.
    let at = batch.windows(NAME.len()).position(|part| part == NAME).unwrap();
    batch[at - 1] = 63 << 1;
    let checksum = crc32c::crc32c(&batch[COVERED..]);
    batch[CHECKSUM..COVERED].copy_from_slice(&checksum.to_be_bytes());
    let mut file = fs::OpenOptions::new().write(true).open(broker.file(&channel)).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    file.write_all(&batch).unwrap();

    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let records = drain(&mut *reader).await;
    let payloads: Vec<_> = records.iter().map(|record| &*record.payload).collect();
    assert_eq!(payloads, [b"0", b"1", b"2"]);
    assert_eq!(records[1].meta.msg_type, MsgType::UNREADABLE);
    let error = UnmarshalDispatcher::new().unmarshal(&records[1]).unwrap_err();
    assert!(error.to_string().contains("headers are damaged"), "{error}");
    assert_eq!(times(&records[2..]), [2]);
}

async fn a_broker_that_hangs_is_waited_for(broker: &Broker) {
    logs::capture();
    let transport = connect(&format!("{}?message.timeout.ms=300000", broker.url)).await.unwrap();
    let hasty = connect(&format!("{}?timeout_ms=5000", broker.url)).await.unwrap();
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut reader = hasty.reader(&channel, Start::Earliest).await.unwrap();
    write_numbers(&*transport, &channel, 0..10).await;
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..10));

    broker.run("pause").await;
    let receipt = writer.submit(vec![record(10)]);
    let error = hasty.describe(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    for _ in 0..3 {
        let error = failure(&mut *reader).await;
        assert!(error.is_temporary(), "{error}");
    }
    broker.run("resume").await;
    let outcome = receipt.await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    let mut read = Vec::new();
    while read.is_empty() {
        match reader.read(Limit::default()).await {
            Ok(batch) => read.extend(times(&batch.records)),
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    assert_eq!(read, [10]);

    // Once that it is lost, then what was tried, once that it is back.
    let told: Vec<_> =
        logs::with(&[&channel, "reader"]).into_iter().map(|(level, _)| level).collect();
    let (first, rest) = told.split_first().unwrap();
    let (last, between) = rest.split_last().unwrap();
    assert_eq!((*first, *last), (Level::WARN, Level::INFO));
    assert!(between.len() >= 2 && between.iter().all(|level| *level == Level::DEBUG), "{told:?}");
}
