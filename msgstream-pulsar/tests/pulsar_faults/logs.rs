//! What is logged: what is lost and back, and no secrets.

use std::fmt::Debug;
use std::process::Command;

use msgstream_conformance::unique_name;
use msgstream_core::transport::{
    Fate, Limit, Start, TransportErrorKind as Kind, TransportExt as _,
};
use tokio::task::spawn_blocking;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Subscriber};

use crate::access::LEAST;
use crate::proxy::Proxy;
use crate::support::{
    admin, create, open, open_with, read_count, record, refusal, shared, times, write,
};

/// Prints all that anybody logs, of every level.
struct Printer;

impl Visit for Printer {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        println!("log: {field}={value:?}");
    }
}

impl Subscriber for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Self);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Values<'_>) {
        values.record(&mut Self);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        println!("log: {} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut Self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("log: {} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
#[ignore = "the next test runs it, and reads what it prints"]
async fn everything_is_printed_here() {
    tracing::subscriber::set_global_default(Printer).unwrap();
    log::set_logger(&Printer).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let rights = format!("namespaces/public/{namespace}/permissions/least");
    admin(&url, "POST", &rights, r#"["produce","consume"]"#).await;
    let url = url.replace("public/default", &format!("public/{namespace}"));
    let owner = open(&url).await;
    let channel = create(&*owner).await;
    let proxy = Proxy::start(&url, |_, _| true).await;
    let token = format!("&token={}", LEAST.trim());
    // The broker remembers for a while who may do what.
    let least = loop {
        match open_with(&proxy.url, &token).await {
            Ok(least) => break least,
            Err(error) => assert!(matches!(refusal(Err(error)), Kind::Denied { .. })),
        }
    };
    let mut reader = least.reader(&channel, Start::Earliest).await.unwrap();
    let mut writer = least.writer(&channel).await.unwrap();
    assert!(writer.submit(vec![record(0)]).await.rest.is_none());
    assert_eq!(times(&read_count(&mut *reader, 1).await), [0]);
    proxy.cut();
    while writer.ready().await.is_ok() {
        if let Some(rest) = writer.submit(vec![record(1)]).await.rest {
            assert_eq!(rest.fate, Fate::Unknown);
        }
    }
    write(&*least, &channel, vec![record(2)]).await;
    let mut read = Vec::new();
    while !times(&read).contains(&2) {
        read.extend(reader.read(Limit::default()).await.unwrap().records);
    }
    assert!(least.create("more").await.is_err());
    least.close().await.unwrap();
    // Nobody is there, and a wrong token.
    drop(proxy);
    let nobody = "pulsar://127.0.0.1:1/public/default?admin=http://127.0.0.1:1";
    assert!(open_with(nobody, &format!("{token}&timeout_ms=1000")).await.is_err());
    assert!(open_with(&url, &format!("{token}x")).await.is_err());
}

#[tokio::test]
async fn what_is_lost_and_back_is_logged_and_no_token() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "logs::everything_is_printed_here", "--ignored", "--nocapture"]);
    let output = spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for message in [
        "the connection to a broker was lost",
        "connected to a broker again",
        "the reader lost its broker, trying again",
        "the reader reached its broker again",
        "the writer failed and takes no more records",
    ] {
        assert!(said.contains(&format!("log: message={message}")), "{message} isn't in {said}");
    }
    // What others log is there, too.
    assert!(said.contains("log: DEBUG reqwest") || said.contains("log: TRACE"), "{said}");
    for part in LEAST.trim().split('.').skip(1) {
        assert!(!said.contains(part), "the token is shown: {said}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains(part), "the token is shown: {error}");
    }
}
