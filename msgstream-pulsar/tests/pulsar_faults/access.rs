//! Namespaces, rights, tokens, certificates.

use std::process::Command;

use msgstream_conformance::unique_name;
use msgstream_core::registry::Url;
use msgstream_core::transport::{Limit, Start, TransportErrorKind as Kind, TransportExt as _};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};

use crate::broker::Broker;
use crate::proxy::Proxy;
use crate::support::{
    admin, create, open, open_with, read_count, read_from, record, refusal, shared, times, write,
};

pub(crate) const LEAST: &str = include_str!("../../../brokers/pulsar/least.token");
const LEAST_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/pulsar/least.token");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/pulsar/tls.crt");

#[tokio::test]
async fn a_missing_namespace_is_named() {
    let url = shared().replace("public/default", "public/nowhere");
    let kind = refusal(open_with(&url, "").await);
    assert!(
        matches!(&kind, Kind::Config { reason } if reason.contains("public/nowhere")),
        "{kind}"
    );
}

#[tokio::test]
async fn a_namespace_that_keeps_nothing_gets_no_channels() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let none = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    admin(&url, "POST", &format!("namespaces/public/{namespace}/retention"), none).await;
    let transport = open(&url.replace("public/default", &format!("public/{namespace}"))).await;
    let error = transport.create("orders").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(error.to_string().contains("set-retention"), "{error}");
    assert!(transport.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_namespace_that_moves_cursors_gets_no_channels_and_no_cursors() {
    let (url, namespace) = (shared(), unique_name());
    let path = format!("namespaces/public/{namespace}");
    admin(&url, "PUT", &path, "").await;
    let transport = open(&url.replace("public/default", &format!("public/{namespace}"))).await;
    let channel = create(&*transport).await;
    transport.subscription(&channel, "cursor").await.unwrap();
    let refused = async |what: &str| {
        // The policy takes a moment to be there, for which there is no event.
        while transport.subscription(&channel, "cursor").await.is_ok() {}
        for done in [
            transport.create("orders").await.unwrap_err(),
            transport.subscription(&channel, "cursor").await.unwrap_err(),
        ] {
            assert!(matches!(done.kind(), Kind::Config { .. }), "{done}");
            assert!(done.to_string().contains(what), "{done}");
        }
        // A reader keeps its place by itself.
        transport.reader(&channel, Start::Earliest).await.unwrap();
    };
    admin(&url, "POST", &format!("{path}/messageTTL"), "3600").await;
    refused("remove-message-ttl").await;
    admin(&url, "DELETE", &format!("{path}/messageTTL"), "").await;
    while transport.subscription(&channel, "cursor").await.is_err() {}
    let quota = r#"{"limitSize":1000000000,"limitTime":-1,"policy":"consumer_backlog_eviction"}"#;
    admin(&url, "POST", &format!("{path}/backlogQuota"), quota).await;
    refused("set-backlog-quota").await;
    assert_eq!(transport.list("").await.unwrap(), std::slice::from_ref(&channel));
}

#[tokio::test]
async fn a_wrong_token_is_denied() {
    for token in ["secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.secret"] {
        let kind = refusal(open_with(&shared(), &format!("&token={token}")).await);
        assert!(matches!(kind, Kind::Denied { .. }), "{kind}");
    }
}

#[tokio::test]
async fn producing_and_consuming_needs_no_more_rights_than_that() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let rights = format!("namespaces/public/{namespace}/permissions/least");
    let url = url.replace("public/default", &format!("public/{namespace}"));
    let owner = open(&url).await;
    let channel = create(&*owner).await;

    let denied = refusal(open_with(&url, &format!("&token={}", LEAST.trim())).await);
    assert!(matches!(denied, Kind::Denied { .. }), "{denied}");
    admin(&url, "POST", &rights, r#"["produce","consume"]"#).await;
    // The broker remembers for a while who may do what.
    let least = loop {
        match open_with(&url, &format!("&token={}", LEAST.trim())).await {
            Ok(least) => break least,
            Err(error) => assert!(matches!(refusal(Err(error)), Kind::Denied { .. })),
        }
    };
    let positions = write(&*least, &channel, (0..3).map(record).collect()).await;
    assert_eq!(times(&read_from(&*least, &channel, Start::At(positions[1])).await), [1, 2]);
    let cursor = least.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(positions[0]).await.unwrap();
    assert_eq!(
        least.describe(&channel).await.unwrap().first,
        owner.describe(&channel).await.unwrap().first
    );
    assert_eq!(least.list("").await.unwrap(), std::slice::from_ref(&channel));
    least.unsubscribe(&channel, "cursor").await.unwrap();
    let error = least.create("more").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
}

/// What the child of the next test says.
const OUTCOME: &str = "it was: ";

/// Without a token it is `app`, which may do everything; `least` may do nothing here.
#[tokio::test]
#[ignore = "the next test runs it, with variables of its own"]
async fn opened_as_whom_the_environment_says() {
    let opened = open_with(&shared(), "").await.map(drop);
    println!("{OUTCOME}{opened:?}");
}

#[tokio::test]
async fn the_token_comes_from_the_environment_or_a_file() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "secret").unwrap();
    let secret = secret.path().to_str().unwrap().to_owned();
    for (variable, value) in [
        ("PULSAR_TOKEN", "secret"),
        ("PULSAR_TOKEN", LEAST.trim()),
        ("PULSAR_TOKEN_FILE", LEAST_FILE),
        ("PULSAR_TOKEN_FILE", &secret),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "access::opened_as_whom_the_environment_says"]);
        child.args(["--ignored", "--nocapture"]).env(variable, value);
        let output = spawn_blocking(move || child.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (_, outcome) = said.split_once(OUTCOME).unwrap();
        assert!(outcome.starts_with("Err") && outcome.contains("Denied"), "{variable}: {outcome}");
        assert!(!outcome.contains("secret") && !outcome.contains(LEAST.trim()), "{outcome}");
    }
    // By an option it is the same.
    for option in [format!("&token={}", LEAST.trim()), format!("&token_file={LEAST_FILE}")] {
        let kind = refusal(open_with(&shared(), &option).await);
        assert!(matches!(kind, Kind::Denied { .. }), "{kind}");
    }
}

/// Another address of this machine, from which a port is reached.
async fn forward(port: u16) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // Whoever ends it has said why to the other.
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
    });
    (address, tasks)
}

/// A file is read anew by whoever connects, and for each request.
#[tokio::test]
async fn a_token_s_file_may_change() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let rights = format!("namespaces/public/{namespace}/permissions/least");
    admin(&url, "POST", &rights, r#"["produce","consume"]"#).await;
    let url = url.replace("public/default", &format!("public/{namespace}"));
    let owner = open(&url).await;
    let channel = create(&*owner).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let tell = |token: &str| std::fs::write(file.path(), token).unwrap();
    let option = format!("&timeout_ms=10000&token_file={}", file.path().to_str().unwrap());
    let proxy = Proxy::start(&url, |_, _| true).await;
    tell(LEAST);
    // The broker remembers for a while who may do what.
    let least = loop {
        match open_with(&proxy.url, &option).await {
            Ok(least) => break least,
            Err(error) => assert!(matches!(refusal(Err(error)), Kind::Denied { .. })),
        }
    };
    let mut reader = least.reader(&channel, Start::Earliest).await.unwrap();
    write(&*least, &channel, vec![record(0)]).await;
    assert_eq!(times(&read_count(&mut *reader, 1).await), [0]);
    tell("secret");
    proxy.cut();
    // It connects anew, with what the file says now.
    let denied = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => assert!(batch.records.is_empty()),
            Err(error) if error.is_temporary() => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(denied.kind(), Kind::Denied { .. }), "{denied}");
    tell(LEAST);
    write(&*owner, &channel, vec![record(1)]).await;
    let read = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) if batch.records.is_empty() => {}
            Ok(batch) => break batch.records,
            Err(error) => assert!(
                error.is_temporary() || matches!(error.kind(), Kind::Denied { .. }),
                "{error}"
            ),
        }
    };
    assert_eq!(times(&read), [1]);
}

#[tokio::test]
async fn connections_are_encrypted() {
    let broker = Broker::start_with_tls().await;
    let url = broker.tls_url();
    let transport = open_with(&url, &format!("&ca={CERTIFICATE}")).await.unwrap();
    let channel = create(&*transport).await;
    let positions = write(&*transport, &channel, (0..3).map(record).collect()).await;
    assert_eq!(times(&read_from(&*transport, &channel, Start::At(positions[1])).await), [1, 2]);
    transport.subscription(&channel, "cursor").await.unwrap().ack(positions[2]).await.unwrap();
    transport.close().await.unwrap();
    // A token goes over it too.
    let options = format!("&ca={CERTIFICATE}&token=secret");
    let kind = refusal(open_with(&url, &options).await);
    assert!(matches!(kind, Kind::Denied { .. }), "{kind}");
    // Nobody else trusts the certificate.
    let kind = refusal(open_with(&url, "").await);
    assert!(matches!(&kind, Kind::Config { reason } if reason.contains("`ca`")), "{kind}");
    let (_, admin) = url.split_once("?").unwrap();
    let plain = broker.url.split_once("?").unwrap().0.to_owned();
    let kind = refusal(open_with(&format!("{plain}?{admin}"), "").await);
    assert!(matches!(&kind, Kind::Config { reason } if reason.contains("`ca`")), "{kind}");
    // It is for another host than this.
    let parsed = Url::parse(&url).unwrap();
    let port = parsed.port().unwrap();
    let [(here, _broker), (api, _admin)] = [forward(port).await, forward(port + 1).await];
    let (real, _) = url.split_once("/public").unwrap();
    for elsewhere in [
        format!("pulsar+ssl://{here}/public/default?admin=https://{api}&ca={CERTIFICATE}"),
        format!("{real}/public/default?admin=https://{api}&ca={CERTIFICATE}"),
    ] {
        let kind = refusal(open_with(&elsewhere, "").await);
        assert!(matches!(&kind, Kind::Config { reason } if reason.contains("127.0.0.2")), "{kind}");
    }
    // Neither side waits for the other where only one encrypts.
    let unencrypted = url.replace("pulsar+ssl", "pulsar");
    let kind = refusal(open_with(&unencrypted, "&timeout_ms=5000").await);
    assert!(matches!(kind, Kind::Unavailable { .. } | Kind::TimedOut { .. }), "{kind}");
    let encrypted = broker.url.replace("pulsar:", "pulsar+ssl:");
    let kind = refusal(open_with(&encrypted, "&timeout_ms=5000").await);
    assert!(matches!(kind, Kind::Unavailable { .. } | Kind::TimedOut { .. }), "{kind}");
}
