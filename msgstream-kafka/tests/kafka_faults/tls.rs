//! Connections with TLS: whom the client trusts, and whom the broker.

use std::collections::BTreeMap;

use msgstream_core::adapter::cause;
use msgstream_core::registry::{ConnectError, Url};
use msgstream_core::transport::{
    Start, TransportError, TransportErrorKind as Kind, TransportExt as _,
};
use rdkafka::error::KafkaError;

use crate::support::{Broker, connect, drain, times, write_numbers};

/// A listener of the broker, by its port after the first one.
#[derive(Clone, Copy)]
enum Listener {
    Plain = 0,
    Tls = 3,
    /// It wants a certificate.
    Mutual = 4,
    /// It wants a password.
    Sasl = 5,
}

// One broker, for it takes its time to start.
#[tokio::test]
async fn connections_are_encrypted() {
    let broker = Broker::start_with_tls().await;
    a_broker_whose_authority_is_trusted(&broker).await;
    a_broker_that_wants_a_certificate(&broker).await;
    a_broker_that_wants_a_password(&broker).await;
    only_one_side_encrypts(&broker).await;
}

async fn a_broker_whose_authority_is_trusted(broker: &Broker) {
    let url = |options: &str| url(broker, Listener::Tls, options);
    works(&url(&trusted())).await;
    // Nobody trusts that authority by himself, and a client's certificate is none.
    for options in [String::new(), location("ca", "tls/client.pem")] {
        let kind = refusal(&url(&options)).await;
        assert!(
            matches!(&kind, Kind::Config { reason } if reason.contains("ca.location")),
            "{kind}"
        );
    }
    // It is the same host under a name that isn't in its certificate.
    let renamed = url(&trusted()).replace("127.0.0.1", "127.1");
    let kind = refusal(&renamed).await;
    assert!(matches!(&kind, Kind::Config { reason } if reason.contains("another host")), "{kind}");
    works(&format!("{renamed}&ssl.endpoint.identification.algorithm=none")).await;
    // Where one of two is trusted, that one will do.
    works(&format!("{renamed}&servers={}", address(broker, Listener::Tls))).await;
    names(&url(&location("ca", "tls/nowhere.pem")), "ca.location").await;
}

async fn a_broker_that_wants_a_certificate(broker: &Broker) {
    let url = |options: &str| url(broker, Listener::Mutual, options);
    let with = |certificate: &str, key: &str| {
        url(&[trusted(), location("certificate", certificate), location("key", key)].concat())
    };
    works(&with("tls/client.pem", "tls/client.key")).await;
    let refused = [
        url(&trusted()),
        // A server's certificate is no client's, and nobody knows the last one's authority.
        with("tls/server.pem", "tls/server.key"),
        with("pulsar/tls.crt", "pulsar/tls.key"),
    ];
    for url in refused {
        let kind = refusal(&url).await;
        assert!(
            matches!(&kind, Kind::Denied { reason } if reason.contains("ssl.certificate.location")),
            "{kind}"
        );
    }
    names(&with("tls/client.pem", "tls/server.key"), "ssl.key").await;
    // In the URL itself the key is a secret of it.
    for (key, fits) in [("tls/client.key", true), ("tls/server.key", false)] {
        let mut url = Url::parse(&url(&trusted())).unwrap();
        for (option, name) in [("certificate", "tls/client.pem"), ("key", key)] {
            let text = std::fs::read_to_string(path(name)).unwrap();
            url.query_pairs_mut().append_pair(&format!("ssl.{option}.pem"), &text);
        }
        match fits {
            true => works(url.as_str()).await,
            false => {
                let kind = refusal(url.as_str()).await;
                assert!(matches!(kind, Kind::Config { .. }), "{kind}");
            }
        }
    }
}

async fn a_broker_that_wants_a_password(broker: &Broker) {
    for (user, mechanism) in [("app", "PLAIN"), ("scrammer", "SCRAM-SHA-256")] {
        let options = format!("{}&sasl.mechanism={mechanism}", trusted());
        let url = url(broker, Listener::Sasl, &options).replace("=ssl", "=sasl_ssl");
        let with = |password: &str| url.replace("//", &format!("//{user}:{password}@"));
        works(&with(user)).await;
        let kind = refusal(&with("wrong")).await;
        assert!(matches!(kind, Kind::Denied { .. }), "{kind}");
        // The password isn't sent to a broker that isn't trusted.
        let kind = refusal(&with(user).replace(&trusted(), "")).await;
        assert!(matches!(kind, Kind::Config { .. }), "{kind}");
    }
}

/// Neither side waits for the other for ever.
async fn only_one_side_encrypts(broker: &Broker) {
    let encrypted = url(broker, Listener::Plain, &trusted());
    let unencrypted = url(broker, Listener::Tls, "").replace("=ssl", "=plaintext");
    for url in [encrypted, unencrypted] {
        let kind = refusal(&format!("{url}&timeout_ms=2000")).await;
        assert!(matches!(kind, Kind::Unavailable { .. } | Kind::TimedOut { .. }), "{kind}");
    }
}

fn url(broker: &Broker, listener: Listener, options: &str) -> String {
    format!("kafka://{}?security.protocol=ssl{options}", address(broker, listener))
}

fn address(broker: &Broker, listener: Listener) -> String {
    let (host, first) = broker.url.trim_start_matches("kafka://").split_once(':').unwrap();
    format!("{host}:{}", first.parse::<u16>().unwrap() + listener as u16)
}

/// A file of the certificates that are made for tests: in `tls` an authority, and a server's and a
/// client's certificate of it with their keys.
fn path(name: &str) -> String {
    format!("{}/../brokers/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn location(of: &str, name: &str) -> String {
    format!("&ssl.{of}.location={}", path(name))
}

fn trusted() -> String {
    location("ca", "tls/ca.pem")
}

/// With that URL each kind of client that a handle has works, and nothing shows a secret.
async fn works(url: &str) {
    let transport = connect(url).await.unwrap();
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with("orders", owner.clone().into()).await.unwrap();
    write_numbers(&*transport, "orders", 0..10).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..10));
    let described = transport.describe("orders").await.unwrap();
    assert_eq!(described.properties, owner);
    let subscription = transport.subscription("orders", "billing").await.unwrap();
    subscription.ack(described.end).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(described.end));
    transport.unsubscribe("orders", "billing").await.unwrap();
    transport.delete("orders").await.unwrap();
    let shown = format!("{transport:?}");
    assert!(!shown.contains("scrammer") && !shown.contains("PRIVATE KEY"), "{shown}");
}

/// Why it is refused, which shows no secret.
async fn refusal(url: &str) -> Kind {
    refused(url).await.kind().clone()
}

/// The client can't be created, and the cause names the property.
async fn names(url: &str, property: &str) {
    let error = refused(url).await;
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    let cause = cause::<KafkaError>(&error).unwrap().to_string();
    assert!(cause.contains(property), "{cause}");
}

async fn refused(url: &str) -> TransportError {
    let error = match connect(url).await {
        Err(ConnectError::Transport(error)) => error,
        other => panic!("{other:?}"),
    };
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("wrong") && !shown.contains("PRIVATE KEY"), "{shown}");
    error
}
