//! Credentials and rights.

use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{Start, TransportErrorKind as Kind, TransportExt as _};

use crate::nats_server::Server;
use crate::support::{create, drain, write};

#[tokio::test]
async fn wrong_credentials_are_refused_at_once() {
    let server = Server::start().await;
    for user in ["app:wrong@", "nobody:app@", "a-token@"] {
        let error = server.open_as(user, "").await.unwrap_err();
        let ConnectError::Transport(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(!error.is_temporary());
    }
    assert!(server.open_as("app:app@", "").await.is_ok());
}

#[tokio::test]
async fn the_least_rights_suffice_and_what_is_beyond_them_is_denied() {
    let server = Server::start().await;
    let owner = server.open().await;
    for channel in ["least", "other"] {
        create(&*owner, channel).await;
    }
    // Makes the stream of the cursors, which the other account may not.
    let position = Position::new(1);
    owner.subscription("least", "owner").await.unwrap().ack(position).await.unwrap();

    let least = server.open_as("least:least@", "").await.unwrap();
    write(&*least, "least", 0..10).await;
    let mut reader = least.reader("least", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));
    let subscription = least.subscription("least", "reader").await.unwrap();
    subscription.ack(Position::new(4)).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(4)));
    least.unsubscribe("least", "reader").await.unwrap();

    let error = least.trim("least", Position::new(4)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    assert_eq!(least.describe("least").await.unwrap().first, Some(Position::new(1)));
    let error = least.create("another").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    let error = least.reader("other", Start::Earliest).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    let error = least.list("").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
}
