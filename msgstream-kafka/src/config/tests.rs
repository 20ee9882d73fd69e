#![allow(clippy::unwrap_used)]

use super::*;

fn config(url: &str) -> Result<KafkaConfig, ConnectError> {
    KafkaConfig::from_url_and(&Url::parse(url).unwrap(), &|_| None)
}

#[test]
fn addresses_and_prefix_are_read() {
    for (url, servers, prefix) in [
        ("kafka://h", "h:9092", ""),
        ("kafka://h:5/shop.", "h:5", "shop."),
        ("kafka://b:7?servers=c,d:8,[::1]:9", "b:7,c:9092,d:8,[::1]:9", ""),
        ("kafka://[::1]:5", "[::1]:5", ""),
    ] {
        let read = config(url).unwrap();
        assert_eq!((&*read.servers, &*read.prefix), (servers, prefix), "{url}");
    }
}

#[test]
fn what_can_t_be_used_is_refused() {
    for url in [
        "kafka://",
        "kafka://a,b",
        "kafka://h/a/b",
        "kafka://h/a%20b",
        "kafka://h#f",
        "kafka://h?servers=a:b",
        "kafka://h?timeout_ms=0",
        "kafka://h?window_bytes=x",
        "kafka://h?prefetch_bytes=0",
        "kafka://h?partitions=0",
        "kafka://h?partitions=100001",
        "kafka://h?replicas=0",
        "kafka://h?replicas=10001",
        "kafka://h?create.message.timestamp.type=CreateTime",
        "kafka://h?prefetch_bytes=1&queued.max.messages.kbytes=1",
        "kafka://h?group.id=g",
        "kafka://h?enable.idempotence=false",
        "kafka://h?linger.ms=1&linger.ms=2",
        "kafka://h?linger.ms=soon",
        "kafka://h?no.such.property=1",
        "kafka://u@h?sasl.username=u&security.protocol=sasl_plaintext",
        "kafka://h?plugin.library.paths=/tmp/evil",
        "kafka://h?sasl.kerberos.kinit.cmd=rm",
        "kafka://h?ssl.engine.location=/tmp/evil.so",
    ] {
        assert!(config(url).is_err(), "{url}");
    }
}

#[test]
fn properties_reach_the_clients_under_either_name() {
    let read = config("kafka://h?queue.buffering.max.ms=7&client.id=me").unwrap();
    assert_eq!(read.writers_number("linger.ms"), Some(7));
    assert_eq!(read.consumer("g").get("client.id"), Some("me"));
    assert_eq!(config("kafka://h").unwrap().writers_number("linger.ms"), Some(1));
    let ahead = |read: KafkaConfig| read.readers_number(PREFETCH);
    assert_eq!(ahead(config("kafka://h?prefetch_bytes=2049").unwrap()), Some(3));
    assert_eq!(ahead(config("kafka://h").unwrap().with_prefetch_bytes(1)), Some(1));
    for made in [read.consumer("g"), read.producer(Some(2000)), read.admin()] {
        assert!(made.create_native_config().is_ok());
    }
}

#[test]
fn what_topics_are_created_with_is_told_from_the_client_s_properties() {
    let read = config("kafka://h?replicas=3&create.retention.ms=1000&linger.ms=2").unwrap();
    assert_eq!(read.replicas, Some(3));
    assert_eq!(read.settings, [("retention.ms".to_owned(), "1000".to_owned())].into());
    assert_eq!(read.consumer("g").get("create.retention.ms"), None);
    let read = config("kafka://h").unwrap();
    assert!(read.replicas.is_none() && read.settings.is_empty());
    let read = read.with_replicas(2).with_topic_setting("min.insync.replicas", "2");
    assert_eq!((read.replicas, read.settings.len()), (Some(2), 1));
}

#[test]
fn a_topic_has_one_partition_unless_more_are_asked_for() {
    for (url, partitions) in [("kafka://h", 1), ("kafka://h?partitions=100000", 100_000)] {
        assert_eq!(config(url).unwrap().partitions, partitions, "{url}");
    }
    let with = |partitions| config("kafka://h").unwrap().with_partitions(partitions).partitions;
    assert_eq!([0, 6, u32::MAX].map(with), [1, 6, 100_000]);
}

#[test]
fn credentials_come_from_the_url_or_else_the_environment() {
    let read = |url: &str| {
        let url = Url::parse(url).unwrap();
        KafkaConfig::from_url_and(&url, &|name| Some(format!("secret of {name}")))
    };
    let user = |url: &str| {
        let read = read(url).unwrap();
        assert!(!format!("{read:?}").contains("secret"), "{read:?}");
        let names = ["sasl.username", "sasl.password", "sasl.mechanism"];
        names.map(|name| read.properties.get(name).cloned().unwrap_or_default())
    };
    let safe = "security.protocol=sasl_plaintext";
    assert_eq!(user(&format!("kafka://a%40b:secret@h?{safe}")), ["a@b", "secret", "PLAIN"]);
    assert_eq!(user(&format!("kafka://h?{safe}&sasl.username=c"))[0], "c");
    for safe in [safe, "security.protocol=SASL_PLAINTEXT"] {
        assert_eq!(user(&format!("kafka://h?{safe}"))[0], "secret of KAFKA_USERNAME");
    }
    let error = read("kafka://u:secret@h").unwrap_err().to_string();
    assert!(error.contains("security.protocol") && !error.contains("secret"), "{error}");
}

#[test]
fn a_mechanism_that_needs_a_token_is_refused_by_name() {
    for url in [
        "kafka://h?security.protocol=sasl_ssl&sasl.mechanism=OAUTHBEARER",
        "kafka://h?security.protocol=sasl_ssl&sasl.mechanisms=oauthbearer",
        "kafka://h?sasl.oauthbearer.config=principal%3Dme",
    ] {
        let error = config(url).unwrap_err().to_string();
        assert!(error.contains("token"), "{url}: {error}");
    }
}

// A record that isn't acknowledged was tried for as long as that, not for as long as an answer takes.
#[test]
fn a_record_has_a_time_of_its_own() {
    for (url, ms) in [
        ("kafka://h", 30_000),
        ("kafka://h?message.timeout.ms=7000", 7000),
        ("kafka://h?delivery.timeout.ms=8000", 8000),
    ] {
        assert_eq!(config(url).unwrap().message_timeout(), Duration::from_millis(ms), "{url}");
    }
}

// The system's librdkafka may have it.
#[cfg(not(any(feature = "ssl", feature = "dynamic")))]
#[test]
fn what_is_not_compiled_in_is_named() {
    for url in ["kafka://h?security.protocol=ssl", "kafka://h?ssl.ca.location=/ca.pem"] {
        let error = config(url).unwrap_err().to_string();
        assert!(error.contains("kafka-ssl"), "{url}: {error}");
    }
}
