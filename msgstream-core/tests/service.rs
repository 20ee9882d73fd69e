//! The Message Stream Service over a real transport.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use common::Trick;
use msgstream_core::service::{
    ChannelId, CreateChannelsRequest, MessageStreamService, OwnerDescription, ServiceError,
};
use msgstream_core::transport::{
    Capability, Fate, Transport, TransportErrorKind, TransportExt as _,
};

fn owner() -> OwnerDescription {
    OwnerDescription {
        role: "ingest".to_owned(),
        address: "10.0.0.7:9000".to_owned(),
        description_text: "rows, \"quoted\" — and not ASCII".to_owned(),
    }
}

fn request(num_channels: usize) -> CreateChannelsRequest {
    CreateChannelsRequest { owner: owner(), ..CreateChannelsRequest::of(num_channels) }
}

fn service(trick: &Trick) -> MessageStreamService {
    MessageStreamService::new(Arc::new(trick.clone()))
}

#[tokio::test]
async fn another_process_finds_the_owner() {
    let trick = Trick::new(&[]).await;
    let ids = service(&trick).create_channels(request(40)).await.unwrap();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 40);
    assert!(ids.iter().all(|id| id.as_str().starts_with("channel-")));

    let described = service(&trick).describe_channels(&ids).await.unwrap();
    assert_eq!(described.iter().map(|d| &d.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert!(described.iter().all(|d| d.owner == Some(owner())));

    service(&trick).destroy_channels(&ids).await.unwrap();
    assert_eq!(trick.list("").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn names_differ_from_call_to_call() {
    let trick = Trick::new(&[]).await;
    let mut all = BTreeSet::new();
    for _ in 0..50 {
        all.extend(service(&trick).create_channels(request(2)).await.unwrap());
    }
    assert_eq!(all.len(), 100);
}

#[tokio::test]
async fn an_empty_owner_is_an_owner_and_a_foreign_channel_has_none() {
    let trick = Trick::new(&["foreign"]).await;
    let mut ids = service(&trick).create_channels(CreateChannelsRequest::of(1)).await.unwrap();
    ids.push("foreign".into());
    let described = service(&trick).describe_channels(&ids).await.unwrap();
    assert_eq!(described[0].owner, Some(OwnerDescription::default()));
    assert_eq!(described[1].owner, None);
}

#[tokio::test]
async fn destroying_a_missing_channel_names_it_after_the_others_are_gone() {
    let trick = Trick::new(&["a", "b"]).await;
    let ids = ["no", "a", "never", "b"].map(ChannelId::from);
    let error = service(&trick).destroy_channels(&ids).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 of the channels can't be destroyed, the first of them `no`; all others are destroyed: try these again, unless they never existed"
    );
    let ServiceError::Destroy { channel, source, failed } = error else { panic!("{error}") };
    assert_eq!((channel.as_str(), source.kind()), ("no", &TransportErrorKind::NotFound));
    assert_eq!(failed.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["never"]);
    assert_eq!(trick.list("").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn describing_a_missing_channel_names_it() {
    let trick = Trick::new(&["a"]).await;
    let ids = ["a", "no"].map(ChannelId::from);
    let error = service(&trick).describe_channels(&ids).await.unwrap_err();
    let ServiceError::Transport(error) = error else { panic!("{error}") };
    assert_eq!((error.channel(), error.kind()), (Some("no"), &TransportErrorKind::NotFound));
}

#[tokio::test]
async fn what_was_created_before_a_failure_is_destroyed_again() {
    for fate in [Fate::NotStored, Fate::Unknown] {
        let trick = Trick::new(&["foreign"]).await;
        trick.plan().create = Some((30, fate));
        let error = service(&trick).create_channels(request(64)).await.unwrap_err();
        assert!(error.to_string().ends_with("none of them is left"), "{error}");
        assert!(error.source().is_some());
        let ServiceError::Create { left, .. } = error else { panic!("{error}") };
        assert_eq!(left, []);
        assert_eq!(trick.list("").await.unwrap(), ["foreign"]);
    }
}

#[tokio::test]
async fn what_is_left_after_a_failure_is_named() {
    let trick = Trick::new(&["foreign"]).await;
    trick.plan().create = Some((3, Fate::NotStored));
    trick.plan().no_delete.insert(String::new());
    let error = service(&trick).create_channels(request(5)).await.unwrap_err();
    let text = error.to_string();
    let ServiceError::Create { left, .. } = error else { panic!("{error}") };
    assert!(left.iter().all(|id| text.contains(id.as_str())), "{text}");
    let there = trick.list("channel-").await.unwrap();
    assert_eq!(left.iter().map(ChannelId::as_str).collect::<Vec<_>>(), there);
    assert_eq!(there.len(), 2);
}

#[tokio::test]
async fn what_the_transport_cant_do_is_unsupported() {
    let mut trick = Trick::new(&["a"]).await;
    for missing in [Capability::Create, Capability::Properties, Capability::Delete] {
        trick.can = trick.inner.capabilities().without(missing);
        let service = service(&trick);
        let unsupported = |result: Result<(), ServiceError>| match result {
            Err(ServiceError::Transport(error)) => {
                assert_eq!(*error.kind(), TransportErrorKind::Unsupported { capability: missing });
                true
            }
            Err(error) => panic!("{error}"),
            Ok(()) => false,
        };
        let created = service.create_channels(request(1)).await.map(drop);
        assert_eq!(unsupported(created), missing != Capability::Delete);
        let described = service.describe_channels(&["a".into()]).await.map(drop);
        assert_eq!(unsupported(described), missing == Capability::Properties);
        let destroyed = service.destroy_channels(&["a".into()]).await;
        assert_eq!(unsupported(destroyed), missing == Capability::Delete);
        if missing != Capability::Delete {
            trick.inner.create("a").await.unwrap();
        }
    }
}
