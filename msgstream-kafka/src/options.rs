//! The properties of librdkafka: those that the transport sets, the defaults of others, and those that
//! a URL may not set.

use std::collections::BTreeMap;

use msgstream_core::registry::{ConnectError, Url};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Properties that the transport sets itself, because what it promises depends on them.
pub(crate) const OWN: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "log.queue",
    "metadata.broker.list",
    "request.required.acks",
    "transactional.id",
];

/// Properties that make the client run or load what they name. A URL may come from elsewhere, so it
/// can't set them.
pub(crate) const DANGEROUS: &[&str] = &[
    "plugin.library.paths",
    "sasl.kerberos.kinit.cmd",
    "ssl.engine.id",
    "ssl.engine.location",
    "ssl.providers",
];

/// What the transport sets unless the URL does, each with the other name that it may have there.
pub(crate) const FOR_ALL: &[(&str, &str, &str)] = &[
    ("allow.auto.create.topics", "", "false"),
    ("client.id", "", "msgstream"),
    // The default of up to 10 seconds would delay the connection to a broker that is back.
    ("reconnect.backoff.max.ms", "", "1000"),
    // After this time a node counts as hanging, and requests go to other nodes. The default is a minute. Requests
    // that a node may hold back for longer, such as a write that other nodes have to copy, are sent again then.
    ("socket.timeout.ms", "", "3000"),
    // How long a known topic must be missing before its loss is reported.
    ("topic.metadata.propagation.max.ms", "", "5000"),
];
pub(crate) const FOR_READERS: &[(&str, &str, &str)] = &[
    ("auto.offset.reset", "", "error"),
    // Records that were damaged on the way, or on a broker's disk, aren't returned.
    ("check.crcs", "", "true"),
    ("enable.auto.commit", "", "false"),
    ("enable.auto.offset.store", "", "false"),
    ("enable.partition.eof", "", "true"),
    // A new reader waits until the fetch in progress for the others is answered.
    ("fetch.wait.max.ms", "", "25"),
    // This many are taken out of a queue at once, and the bound of the prefetch doesn't cover them meanwhile.
    ("consume.callback.max.messages", "", "128"),
    // The bound of what is read ahead holds for each reader. The client looks again after a
    // second by default whether a full queue has room.
    ("queued.max.messages.kbytes", "", "1024"),
    ("fetch.queue.backoff.ms", "", "2"),
];
pub(crate) const FOR_WRITERS: &[(&str, &str, &str)] = &[
    ("acks", "request.required.acks", "all"),
    ("enable.idempotence", "", "true"),
    ("linger.ms", "queue.buffering.max.ms", "1"),
    ("message.timeout.ms", "delivery.timeout.ms", "30000"),
    // Each writer has its own bound; the client's would only fail writers for one another.
    ("queue.buffering.max.kbytes", "", "2097151"),
    ("queue.buffering.max.messages", "", "0"),
];

/// Fails if librdkafka doesn't accept a property.
pub(crate) fn check(url: &Url, properties: &BTreeMap<String, String>) -> Result<(), ConnectError> {
    for (name, value) in properties {
        let refused = ClientConfig::new().set(name, value).create_native_config().err();
        match refused {
            None => {}
            Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
                let known = [
                    "servers",
                    "timeout_ms",
                    "window_bytes",
                    "prefetch_bytes",
                    "partitions",
                    "librdkafka's properties",
                ];
                return Err(ConnectError::UnknownOption {
                    scheme: url.scheme().to_owned(),
                    option: name.clone(),
                    known: known.map(str::to_owned).into(),
                });
            }
            Some(_) => {
                let missing = missing_feature(name, value);
                let reason = missing.map_or_else(
                    || "librdkafka doesn't accept this value".to_owned(),
                    |feature| match cfg!(feature = "dynamic") {
                        true => "the system's librdkafka was built without it".to_owned(),
                        false => format!("it needs the cargo feature `{feature}`"),
                    },
                );
                return Err(ConnectError::option(url, name, reason));
            }
        }
    }
    Ok(())
}

fn missing_feature(name: &str, value: &str) -> Option<&'static str> {
    let of_ssl = name.starts_with("ssl.")
        || (name == "security.protocol" && value.to_ascii_lowercase().contains("ssl"))
        || (name.starts_with("sasl.mechanism") && value.contains("SCRAM"));
    (of_ssl && !cfg!(feature = "ssl")).then_some("kafka-ssl")
}
