//! Who may do what.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt as _,
};

use crate::acl::{On, Right, Rights, To};
use crate::logs;
use crate::support::{Broker, LONG, connect, drain, record, times};

const PROPERTIES: &str = "__msgstream";

/// The rights that `docs/backends/kafka.md` names, for one channel that is there, one that is made
/// and deleted, and one subscription.
const LEAST: &[Right] = &[
    (To::Read, On::Topic, "orders"),
    (To::Write, On::Topic, "orders"),
    (To::Delete, On::Topic, "orders"),
    (To::Read, On::Group, "billing"),
    (To::Read, On::Topic, PROPERTIES),
    (To::Write, On::Topic, PROPERTIES),
    (To::Create, On::Topic, "made"),
    (To::Delete, On::Topic, "made"),
];

/// What one does with channels.
#[derive(Clone, Copy, Debug)]
enum Use {
    Describe(&'static str),
    Write,
    Read,
    Ack,
    Trim,
    Create,
    Delete,
}

impl Use {
    async fn on(self, transport: &dyn Transport) -> Result<(), TransportError> {
        let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
        match self {
            Self::Describe(channel) => transport.describe(channel).await.map(drop),
            Self::Write => {
                let mut writer = transport.writer("orders").await?;
                let outcome = writer.submit(vec![record(1)]).await;
                outcome.rest.map_or(Ok(()), |rest| Err(rest.error))
            }
            Self::Read => {
                let mut reader = transport.reader("orders", Start::Earliest).await?;
                reader.read(Limit::default().with_wait(LONG)).await.map(drop)
            }
            Self::Ack => {
                let subscription = transport.subscription("orders", "billing").await?;
                subscription.ack(Position::new(1)).await
            }
            Self::Trim => transport.trim("orders", Position::new(0)).await,
            Self::Create => transport.create_with("made", owner.into()).await,
            Self::Delete => transport.delete("made").await,
        }
    }

    /// The error, once the broker knows that a right is gone.
    async fn refused(self, transport: &dyn Transport, again: &dyn Transport) -> TransportError {
        loop {
            match self.on(transport).await {
                Err(error) => return error,
                // It is to be made, or deleted, anew.
                Ok(()) if matches!(self, Self::Create) => Self::Delete.on(again).await.unwrap(),
                Ok(()) if matches!(self, Self::Delete) => Self::Create.on(again).await.unwrap(),
                Ok(()) => {}
            }
        }
    }

    /// Waits until the broker knows that the right is there.
    async fn allowed(self, transport: &dyn Transport, again: &dyn Transport) {
        while let Err(error) = self.on(transport).await {
            assert!(matches!(error.kind(), Kind::Denied { .. }), "{self:?}: {error}");
            // What is made without its properties is there.
            if matches!(self, Self::Create) && again.describe("made").await.is_ok() {
                Self::Delete.on(again).await.unwrap();
            }
        }
    }
}

// One broker, for it takes its time to start.
#[tokio::test]
async fn the_least_rights_are_enough_and_each_is_named_where_it_is_missing() {
    let broker = Broker::start().await;
    let all = connect(&broker.url).await.unwrap();
    for channel in ["orders", "secret"] {
        let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
        all.create_with(channel, owner.into()).await.unwrap();
    }
    Use::Write.on(&*all).await.unwrap();
    let mut rights = Rights::new(broker.url.trim_start_matches("kafka://"), "least");
    LEAST.iter().for_each(|right| rights.give(*right));
    let transport = connect(&least(&broker)).await.unwrap();
    let uses = [Use::Write, Use::Read, Use::Ack, Use::Trim, Use::Create, Use::Delete];
    for one in [Use::Describe("orders")].into_iter().chain(uses) {
        one.allowed(&*transport, &*all).await;
    }
    everything(&*transport).await;

    for (right, one, named) in [
        ((To::Write, On::Topic, "orders"), Use::Write, "Write on topic `orders`"),
        ((To::Read, On::Topic, "orders"), Use::Read, "Read on topic `orders`"),
        ((To::Read, On::Topic, "orders"), Use::Ack, "Read on topic `orders`"),
        ((To::Read, On::Group, "billing"), Use::Ack, "Read on group `billing`"),
        ((To::Delete, On::Topic, "orders"), Use::Trim, "Delete on topic `orders`"),
        ((To::Read, On::Topic, PROPERTIES), Use::Describe("orders"), "Read on topic `__msgstream`"),
        ((To::Write, On::Topic, PROPERTIES), Use::Create, "Write on topic `__msgstream`"),
        ((To::Create, On::Topic, "made"), Use::Create, "Create on topic `made`"),
        ((To::Delete, On::Topic, "made"), Use::Delete, "Delete on topic `made`"),
    ] {
        rights.take(right);
        if matches!(one, Use::Delete) {
            Use::Create.on(&*all).await.unwrap();
        }
        // Another handle each time: a client may remember what it was allowed.
        let transport = connect(&least(&broker)).await.unwrap();
        let error = one.refused(&*transport, &*all).await;
        let Kind::Denied { reason } = error.kind() else { panic!("{one:?}: {error}") };
        assert!(reason.contains(named), "{one:?} without {right:?}: {error}");
        assert!(!error.is_temporary());
        if matches!(one, Use::Create) && all.describe("made").await.is_ok() {
            Use::Delete.on(&*all).await.unwrap();
        }
        rights.give(right);
        one.allowed(&*transport, &*all).await;
        if matches!(one, Use::Create) {
            Use::Delete.on(&*all).await.unwrap();
        }
    }
    let error = Use::Describe("secret").on(&*transport).await.unwrap_err();
    assert!(error.to_string().contains("Describe on topic `secret`"), "{error}");
    rights.give((To::Describe, On::Topic, "secret"));
    Use::Describe("secret").allowed(&*transport, &*all).await;
}

fn least(broker: &Broker) -> String {
    format!("kafka://least:least@{}?security.protocol=sasl_plaintext", broker.with_password)
}

/// All that a transport has.
async fn everything(transport: &dyn Transport) {
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with("made", owner.clone().into()).await.unwrap();
    let listed = transport.list("").await.unwrap();
    assert!(listed.contains(&"orders".to_owned()) && listed.contains(&"made".to_owned()));
    assert!(!listed.contains(&"secret".to_owned()));
    assert_eq!(transport.describe("made").await.unwrap().properties, owner);
    transport.delete("made").await.unwrap();

    let end = transport.describe("orders").await.unwrap().end;
    let mut writer = transport.writer("orders").await.unwrap();
    writer.ready().await.unwrap();
    assert!(writer.submit((0..10).map(record).collect()).await.rest.is_none());
    writer.close().await.unwrap();
    let mut reader = transport.reader("orders", Start::At(end)).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..10));
    for start in [Start::Earliest, Start::Latest, Start::Time(msgstream_core::Timestamp(1))] {
        reader.seek(start).await.unwrap();
    }
    let subscription = transport.subscription("orders", "billing").await.unwrap();
    subscription.ack(end).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(end));
    transport.unsubscribe("orders", "billing").await.unwrap();
    transport.trim("orders", end).await.unwrap();
    assert_eq!(transport.describe("orders").await.unwrap().first, Some(end));
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_shown() {
    logs::capture();
    let broker = Broker::start().await;
    let address = &broker.with_password;
    // With all that the client can be made to log.
    for (user, mechanism) in USERS {
        let user = format!("{user}:{SECRET}");
        let options =
            format!("security.protocol=sasl_plaintext&sasl.mechanism={mechanism}&debug=all");
        let error = connect(&format!("kafka://{user}@{address}?{options}")).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains(SECRET), "{error:?}");
    }
    assert!(!logs::with(&["sasl"]).is_empty(), "nothing of it is in the log");
    assert_eq!(logs::with(&[SECRET]), []);
    let encoded = base64::prelude::BASE64_STANDARD.encode(SECRET);
    assert_eq!(logs::with(&[encoded.trim_end_matches('=')]), []);
    for (user, mechanism) in USERS.iter().flat_map(|(user, mechanism)| {
        [(format!("{user}:wrong"), mechanism), (format!("nobody:{user}"), mechanism)]
    }) {
        let error = with(&user, mechanism, address).await.unwrap_err();
        let ConnectError::Transport(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(!error.is_temporary() && !format!("{error:?}").contains("wrong"), "{error:?}");
    }
    for (user, mechanism) in USERS {
        let transport = with(&format!("{user}:{user}"), mechanism, address).await.unwrap();
        assert_eq!(transport.list("").await.unwrap(), Vec::<String>::new());
        assert!(!format!("{transport:?}").contains(user), "{transport:?}");
    }
}

/// A password of nobody's, which is in no other text.
const SECRET: &str = "Zv3kQ9wX7pLm5tRb";

/// Users of the broker, whose password is their name.
const USERS: &[(&str, &str)] = &[
    ("app", "PLAIN"),
    #[cfg(feature = "ssl")]
    ("scrammer", "SCRAM-SHA-256"),
];

async fn with(
    user: &str,
    mechanism: &str,
    address: &str,
) -> Result<Arc<dyn Transport>, ConnectError> {
    let options = format!("security.protocol=sasl_plaintext&sasl.mechanism={mechanism}");
    connect(&format!("kafka://{user}@{address}?{options}")).await
}
