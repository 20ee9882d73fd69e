//! Connecting by URL.

#![cfg(feature = "mem")]
#![allow(clippy::unwrap_used, clippy::panic)]

use msgstream::connect;
use msgstream::registry::ConnectError;
use msgstream::transport::{Transport as _, TransportErrorKind, TransportExt as _};

async fn error(url: &str) -> ConnectError {
    connect(url).await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_scheme_lists_those_compiled_in() {
    let error = error("carrier-pigeon://alice:secret@loft").await;
    let ConnectError::UnknownScheme { known, .. } = &error else { panic!("{error:?}") };
    // What may be written before one follows.
    let schemes: Vec<_> = known.iter().filter(|name| !name.ends_with("+SCHEME")).collect();
    assert!(msgstream::registry().schemes().eq(schemes), "{known:?}");
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

#[cfg(feature = "file")]
mod files {
    use msgstream::record::Record;
    use msgstream::transport::Start;

    use super::*;

    #[tokio::test]
    async fn a_folder_is_made_and_what_is_in_it_outlives_the_handle() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/a%20b/c?prefix=p-", folder.path().display());
        let files = connect(&url).await.unwrap();
        files.create("orders").await.unwrap();
        let stored = files.writer("orders").await.unwrap().submit(vec![Record::default()]).await;
        assert_eq!(stored.stored.len(), 1);
        files.close().await.unwrap();
        assert!(folder.path().join("a b/c/p-orders/channel").is_file());

        let again = connect(&url).await.unwrap();
        assert_eq!(again.list("").await.unwrap(), ["orders"]);
        let mut reader = again.reader("orders", Start::Earliest).await.unwrap();
        assert_eq!(reader.read(Default::default()).await.unwrap().records.len(), 1);
        let other = connect(url.strip_suffix("?prefix=p-").unwrap()).await.unwrap();
        assert_eq!(other.list("").await.unwrap(), ["p-orders"]);
    }

    #[tokio::test]
    async fn what_is_no_folder_is_refused() {
        for url in ["file://host/x", "file:///", "file:///x?sync=always"] {
            let error = error(url).await;
            let by_url = matches!(
                error,
                ConnectError::InvalidAddress { .. } | ConnectError::InvalidOption { .. }
            );
            assert!(by_url, "{url}: {error}");
        }
        let error = error("file:///proc/msgstream").await;
        assert!(matches!(&error, ConnectError::Transport(_)), "{error}");
        assert!(error.to_string().contains("/proc/msgstream"), "{error}");
    }
}
