//! Connecting by URL.

#![cfg(feature = "mem")]
#![allow(clippy::unwrap_used)]

use msgstream::connect;
use msgstream::registry::ConnectError;
use msgstream::transport::{Transport as _, TransportErrorKind, TransportExt as _};

async fn error(url: &str) -> ConnectError {
    connect(url).await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_scheme_lists_those_compiled_in() {
    let error = error("carrier-pigeon://alice:secret@loft").await;
    assert!(
        matches!(&error, ConnectError::UnknownScheme { known, .. } if known.iter().eq(msgstream::registry().schemes()))
    );
    let text = error.to_string();
    assert!(text.contains("`carrier-pigeon`") && text.contains("mem"), "{text}");
    assert!(!text.contains("secret") && !text.contains("alice"), "{text}");
}

#[tokio::test]
async fn what_is_no_url_is_refused() {
    for url in ["", "mem", "mem:name", "/tmp/x", "mem://a b"] {
        let error = error(url).await;
        assert!(matches!(error, ConnectError::InvalidUrl { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_wrong_option_is_named() {
    let unknown = error("mem://?retention=1").await.to_string();
    assert!(unknown.contains("`retention`"), "{unknown}");
    assert!(unknown.contains("retention_bytes, max_payload"), "{unknown}");
    for wrong in
        ["retention_bytes=", "retention_bytes=1k", "retention_bytes=-1", "retention_bytes=1e3"]
    {
        let error = error(&format!("mem://?max_payload=1&{wrong}")).await;
        let named = matches!(&error, ConnectError::InvalidOption { option, .. } if option == "retention_bytes");
        assert!(named, "{wrong}: {error}");
    }
    let twice = error("mem://?max_payload=1&max_payload=1").await;
    assert!(matches!(twice, ConnectError::DuplicateOption { .. }), "{twice}");
}

#[tokio::test]
async fn a_name_is_shared_and_no_name_is_private() {
    let shared = "mem://a_name_is_shared";
    connect(shared).await.unwrap().create("c").await.unwrap();
    assert_eq!(connect(shared).await.unwrap().list("").await.unwrap(), ["c"]);
    assert!(connect("mem://A_name_is_shared").await.unwrap().list("").await.unwrap().is_empty());

    connect("mem://").await.unwrap().create("c").await.unwrap();
    assert!(connect("mem://").await.unwrap().list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_has_one_configuration() {
    let name = "mem://a_name_has_one_configuration";
    let first = connect(&format!("{name}?retention_bytes=5000")).await.unwrap();
    connect(name).await.unwrap();
    connect(&format!("{name}?retention_bytes=5000")).await.unwrap();
    for (option, has) in [("retention_bytes", "5000"), ("max_payload", "no limit")] {
        let text = error(&format!("{name}?{option}=7")).await.to_string();
        assert!(text.contains(option) && text.contains(has), "{text}");
    }
    drop(first);
    let text = error(&format!("{name}?retention_bytes=7")).await.to_string();
    assert!(text.contains("exists with 5000"), "{text}");
}

#[tokio::test]
async fn options_take_effect() {
    let transport = connect("mem://?max_payload=9").await.unwrap();
    assert_eq!(transport.capabilities().max_payload, Some(9));
    assert!(!transport.capabilities().persistent);
    let error = transport.describe("missing").await.unwrap_err();
    assert_eq!(*error.kind(), TransportErrorKind::NotFound);
}
