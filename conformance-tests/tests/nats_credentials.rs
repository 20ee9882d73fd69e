//! Every kind of credentials on a NATS server that wants it, from the URL and from the environment;
//! with the feature `nats-tls` also TLS. None of it is shown, in `Debug`, errors or logs.
//!
//! ```sh
//! cargo test -p msgstream-conformance --features nats-tls --test nats_credentials
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod brokers;
mod nats_server;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Limit, Meta, Record, Start, Transport, TransportErrorKind as Kind,
};
use msgstream_core::{MsgType, Timestamp};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::nats_server::{Server, open};

/// What the child process connects to, and not otherwise.
const CHILD_URL: &str = "MSGSTREAM_TEST_URL";

/// Makes a channel, writes and reads.
async fn works(transport: &dyn Transport) {
    transport.create("orders", BTreeMap::new()).await.unwrap();
    let mut writer = transport.writer("orders").await.unwrap();
    let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "one");
    let outcome = writer.submit(vec![record]).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
    let batch = reader.read(Limit::default()).await.unwrap();
    assert_eq!(batch.records[0].payload, "one");
    transport.delete("orders").await.unwrap();
}

/// With that URL everything works, and nothing shows the secret.
async fn accepted(url: &str, secret: &str) {
    let transport = open(url).await.unwrap();
    works(&*transport).await;
    let shown = format!("{transport:?}");
    assert!(!shown.contains(secret), "{shown}");
}

/// The URL is refused at once.
async fn denied(url: &str, secret: &str) {
    let error = open(url).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    assert!(!error.is_temporary());
}

/// The same in a process of its own, whose environment has the credentials, and which logs all that
/// there is to log. Gives whether it worked, and what it said.
async fn in_the_environment(url: &str, variables: &[(&str, &str)], secret: &str) -> (bool, String) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "works_with_the_environment", "--nocapture"]);
    child.env(CHILD_URL, url).envs(variables.iter().copied());
    let output = child.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("async_nats"), "nothing was logged: {said}");
    assert!(!said.contains(secret), "{said}");
    (output.status.success(), said)
}

#[tokio::test]
#[ignore = "others run it, in a process of its own"]
async fn works_with_the_environment() {
    tracing::subscriber::set_global_default(PrintAll).unwrap();
    let url = std::env::var(CHILD_URL).unwrap();
    let transport = match open(&url).await {
        Ok(transport) => transport,
        Err(error) => panic!("{error}: {error:?}"),
    };
    works(&*transport).await;
    println!("{transport:?}");
}

/// Logs of any level, with all their fields.
struct PrintAll;

impl tracing::Subscriber for PrintAll {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{}:", event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn fmt::Debug| {
            line += &format!(" {field}={value:?}");
        });
        println!("{line}");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn user_and_password() {
    let config = r#"authorization { user: alice, password: "correct horse" }"#;
    let server = Server::configured(config).await;
    accepted(&server.url_as("alice:correct%20horse@", ""), "correct").await;
    for user in ["alice:wrong-word@", "bob:wrong-word@", "wrong-word@", ""] {
        denied(&server.url_as(user, ""), "wrong-word").await;
    }
    for (password, works) in [("correct horse", true), ("wrong-word", false)] {
        let variables = [("NATS_USER", "alice"), ("NATS_PASSWORD", password)];
        let (worked, said) = in_the_environment(&server.url, &variables, password).await;
        assert!(worked == works && said.contains("Denied") != works, "{said}");
    }
}

#[tokio::test]
async fn token() {
    let server = Server::configured(r#"authorization { token: "right-token" }"#).await;
    accepted(&server.url_as("right-token@", ""), "right-token").await;
    denied(&server.url_as("wrong-token@", ""), "wrong-token").await;
    let variables = [("NATS_TOKEN", "right-token")];
    let (worked, said) = in_the_environment(&server.url, &variables, "right-token").await;
    assert!(worked, "{said}");
}

/// A file that only we read, and its path as an option's value.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[tokio::test]
async fn nkey() {
    let (key, other) = (KeyPair::new_user(), KeyPair::new_user());
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
    let server = Server::configured(&config).await;
    let folder = tempfile::tempdir().unwrap();
    let [right, wrong] = [key, other].map(|key| key.seed().unwrap());
    let path = file(folder.path(), "right", &format!("# mine\n{right}\n"));
    accepted(&server.url_as("", &format!("?nkey={path}")), &right).await;
    let (worked, said) = in_the_environment(&server.url, &[("NATS_NKEY", &path)], &right).await;
    assert!(worked, "{said}");
    let path = file(folder.path(), "wrong", &wrong);
    denied(&server.url_as("", &format!("?nkey={path}")), &wrong).await;
}

/// Claims about a key, signed by another.
fn jwt(signer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = part(json!({
        "jti": subject.public_key(),
        "iat": 1_750_000_000,
        "iss": signer.public_key(),
        "name": "test",
        "sub": subject.public_key(),
        "nats": nats,
    }));
    let text = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

#[tokio::test]
async fn credentials_file() {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let limits = |jetstream: i64| {
        json!({
            "type": "account", "version": 2,
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1,
                "mem_storage": jetstream, "disk_storage": jetstream,
                "streams": jetstream, "consumer": jetstream,
            },
        })
    };
    let config = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}: {}\n{}: {}\n}}",
        jwt(&operator, &operator, &json!({ "type": "operator", "version": 2 })),
        system.public_key(),
        system.public_key(),
        jwt(&operator, &system, &limits(0)),
        account.public_key(),
        jwt(&operator, &account, &limits(-1)),
    );
    let server = Server::configured(&config).await;
    let folder = tempfile::tempdir().unwrap();
    let seed = user.seed().unwrap();
    let credentials = |name: &str, signer: &KeyPair| {
        let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let jwt = jwt(signer, &user, &claims);
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        file(folder.path(), name, &text)
    };
    let path = credentials("right", &account);
    accepted(&server.url_as("", &format!("?creds={path}")), &seed).await;
    let (worked, said) = in_the_environment(&server.url, &[("NATS_CREDS", &path)], &seed).await;
    assert!(worked, "{said}");
    let path = credentials("wrong", &KeyPair::new_account());
    denied(&server.url_as("", &format!("?creds={path}")), &seed).await;
}

/// The path of a file of the certificates that are made for tests: an authority, and a server's and
/// a client's certificate of it with their keys.
fn pem(name: &str) -> String {
    format!("{}/../brokers/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that speaks TLS only, with the client's certificate where it is to be verified.
async fn encrypted(verify: bool) -> Server {
    let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(pem);
    let config = format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{ca}\", verify: {verify} }}"
    );
    Server::configured(&config).await
}

#[cfg(not(feature = "nats-tls"))]
#[tokio::test]
async fn a_server_that_demands_tls_is_refused_where_there_is_none() {
    let server = encrypted(false).await;
    let error = open(&server.url).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(error.to_string().contains("nats-tls"), "{error}");
}

#[cfg(feature = "nats-tls")]
mod tls {
    use super::*;

    fn tls(server: &Server, options: &str) -> String {
        format!("{}{options}", server.url.replace("nats://", "tls://"))
    }

    async fn failure(url: &str) -> Kind {
        match open(url).await.unwrap_err() {
            ConnectError::Transport(error) => error.kind().clone(),
            error => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_server_whose_authority_is_trusted() {
        let server = encrypted(false).await;
        let ca = pem("ca.pem");
        accepted(&tls(&server, &format!("?ca={ca}")), "PRIVATE KEY").await;
        // The server demands it, whatever the scheme.
        accepted(&server.url_as("", &format!("?ca={ca}")), "PRIVATE KEY").await;
        let variables = [("NATS_CA", ca.as_str())];
        let (worked, said) = in_the_environment(&tls(&server, ""), &variables, "PRIVATE KEY").await;
        assert!(worked, "{said}");
        // Nobody trusts that authority by himself, and a client's certificate is none.
        for options in ["", &format!("?ca={}", pem("client.pem"))] {
            let kind = failure(&tls(&server, options)).await;
            assert!(matches!(kind, Kind::Config { .. }), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_wants_a_certificate() {
        let server = encrypted(true).await;
        let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(pem);
        let options = format!("?ca={ca}&cert={certificate}&key={key}");
        accepted(&tls(&server, &options), "PRIVATE KEY").await;
        let variables = [("NATS_CA", ca.as_str()), ("NATS_CERT", &certificate), ("NATS_KEY", &key)];
        let (worked, said) = in_the_environment(&tls(&server, ""), &variables, "PRIVATE KEY").await;
        assert!(worked, "{said}");
        let kind = failure(&tls(&server, &format!("?ca={ca}"))).await;
        assert!(matches!(kind, Kind::Config { .. } | Kind::Unavailable { .. }), "{kind:?}");
    }

    #[tokio::test]
    async fn a_server_without_tls() {
        let server = Server::start().await;
        let kind = failure(&tls(&server, "")).await;
        assert!(matches!(kind, Kind::Config { .. } | Kind::Unavailable { .. }), "{kind:?}");
    }
}
