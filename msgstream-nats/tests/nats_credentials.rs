//! Every kind of credentials on a NATS server that wants it, from the URL and from the environment;
//! with the feature `tls` also TLS. None of it is shown, in `Debug`, errors or logs.
//!
//! ```sh
//! cargo test -p msgstream-nats --features tls --test nats_credentials
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../conformance-tests/tests/brokers/mod.rs"]
mod brokers;
mod nats_server;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msgstream_core::record::{Meta, Record};
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{MsgType, Timestamp};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::nats_server::{Logs, Server, open};

/// What the child process connects to, and not otherwise.
const CHILD_URL: &str = "MSGSTREAM_TEST_URL";

/// Makes a channel, writes and reads.
async fn works(transport: &dyn Transport) {
    transport.create("orders").await.unwrap();
    let mut writer = transport.writer("orders").await.unwrap();
    let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "one");
    let outcome = writer.submit(vec![record]).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
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
    let (logs, _guard) = Logs::begin();
    let url = std::env::var(CHILD_URL).unwrap();
    let opened = open(&url).await;
    if let Ok(transport) = &opened {
        works(&**transport).await;
        println!("{transport:?}");
    }
    for (level, line) in logs.all() {
        println!("{level} {line}");
    }
    if let Err(error) = opened {
        panic!("{error}: {error:?}");
    }
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
    for (token, works) in [("right-token", true), ("wrong-token", false)] {
        let variables = [("NATS_TOKEN", token)];
        let (worked, said) = in_the_environment(&server.url, &variables, token).await;
        assert!(worked == works && said.contains("Denied") != works, "{said}");
    }
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
    let (worked, said) = in_the_environment(&server.url, &[("NATS_NKEY", &path)], &wrong).await;
    assert!(!worked && said.contains("Denied"), "{said}");
}

#[tokio::test]
async fn a_seed_that_is_replaced_is_read_anew() {
    let config = |key: &KeyPair| {
        let user = key.public_key();
        format!("jetstream {{}}\nauthorization {{ users: [ {{ nkey: {user} }} ] }}")
    };
    let (first, second) = (KeyPair::new_user(), KeyPair::new_user());
    let server = Server::configured(&config(&first)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "key", &first.seed().unwrap());
    let transport = open(&server.url_as("", &format!("?nkey={path}&timeout_ms=2000"))).await;
    let transport = transport.unwrap();
    transport.create("orders").await.unwrap();

    server.run("kill").await;
    std::fs::write(server.state.path().join("nats/server.conf"), config(&second)).unwrap();
    server.run("restart").await;
    let error = transport.describe("orders").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    // Half of it is there: that passes.
    file(folder.path(), "key", "S");
    let error = transport.describe("orders").await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains(&path), "{error}");
    file(folder.path(), "key", &second.seed().unwrap());
    transport.describe("orders").await.unwrap();
}

/// Claims about a key, signed by another.
fn jwt(signer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    jwt_until(signer, subject, nats, 0)
}

/// The same with a time at which it ends, in seconds since 1970; 0 for never.
fn jwt_until(signer: &KeyPair, subject: &KeyPair, nats: &Value, exp: u64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = part(json!({
        "jti": subject.public_key(),
        "iat": 1_750_000_000,
        "exp": exp,
        "iss": signer.public_key(),
        "name": "test",
        "sub": subject.public_key(),
        "nats": nats,
    }));
    let text = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

/// A server with an operator, and an account whose users are told by their JWT.
async fn with_an_account() -> (Server, KeyPair) {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let account = KeyPair::new_account();
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
    (Server::configured(&config).await, account)
}

/// What `nsc` writes for a user, until a time.
fn credentials(account: &KeyPair, user: &KeyPair, exp: u64) -> String {
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let (jwt, seed) = (jwt_until(account, user, &claims, exp), user.seed().unwrap());
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test]
async fn credentials_file() {
    let (server, account) = with_an_account().await;
    let folder = tempfile::tempdir().unwrap();
    let user = KeyPair::new_user();
    let seed = user.seed().unwrap();
    let path = file(folder.path(), "right", &credentials(&account, &user, 0));
    accepted(&server.url_as("", &format!("?creds={path}")), &seed).await;
    let (worked, said) = in_the_environment(&server.url, &[("NATS_CREDS", &path)], &seed).await;
    assert!(worked, "{said}");
    let other = KeyPair::new_account();
    let path = file(folder.path(), "wrong", &credentials(&other, &user, 0));
    denied(&server.url_as("", &format!("?creds={path}")), &seed).await;
    let (worked, said) = in_the_environment(&server.url, &[("NATS_CREDS", &path)], &seed).await;
    assert!(!worked && said.contains("Denied"), "{said}");
}

/// The server ends the connection when the user's time is over. By then the file has another JWT.
#[tokio::test]
async fn credentials_that_expire_and_are_replaced_are_read_anew() {
    let (server, account) = with_an_account().await;
    let folder = tempfile::tempdir().unwrap();
    let user = KeyPair::new_user();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Long enough to begin with on a busy machine.
    let path = file(folder.path(), "user", &credentials(&account, &user, now + 15));
    let (logs, _guard) = Logs::begin();
    let transport = open(&server.url_as("", &format!("?creds={path}"))).await.unwrap();
    transport.create("orders").await.unwrap();
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    file(folder.path(), "user", &credentials(&account, &user, 0));

    let is_back = |logs: &Logs| {
        let lines = logs.ours(tracing::Level::INFO);
        lines.iter().any(|line| line.contains("readers") && line.contains("is back"))
    };
    let limit = Limit::default().with_wait(Duration::from_millis(100));
    while !is_back(&logs) {
        assert!(reader.read(limit).await.unwrap().records.is_empty());
    }
    let lost = logs.ours(tracing::Level::WARN);
    assert!(lost.iter().any(|line| line.to_lowercase().contains("expired")), "{lost:?}");
    let mut writer = transport.writer("orders").await.unwrap();
    let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "one");
    assert!(writer.submit(vec![record]).await.rest.is_none());
    assert_eq!(reader.read(Limit::default()).await.unwrap().records.len(), 1);
    let seed = user.seed().unwrap();
    assert!(logs.all().iter().all(|(_, line)| !line.contains(&seed)));
}

/// The path of a file of the certificates that are made for tests: an authority, and a server's and
/// a client's certificate of it with their keys.
fn pem(name: &str) -> String {
    format!("{}/../brokers/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that speaks TLS only, with the client's certificate where it is to be verified.
async fn encrypted(verify: bool) -> Server {
    encrypted_as(&format!("verify: {verify}")).await
}

/// One whose settings for TLS say this, too.
async fn encrypted_as(setting: &str) -> Server {
    let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(pem);
    let config = format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{ca}\", {setting} }}"
    );
    Server::configured(&config).await
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn a_server_that_demands_tls_is_refused_where_there_is_none() {
    let server = encrypted(false).await;
    let error = open(&server.url).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(error.to_string().contains("nats-tls"), "{error}");
}

#[cfg(feature = "tls")]
mod tls {
    use std::error::Error as _;

    use msgstream_core::transport::TransportError;

    use super::*;

    fn tls(server: &Server, options: &str) -> String {
        format!("{}{options}", server.url.replace("nats://", "tls://"))
    }

    async fn refusal(url: &str) -> TransportError {
        match open(url).await.unwrap_err() {
            ConnectError::Transport(error) => error,
            error => panic!("{error}"),
        }
    }

    async fn failure(url: &str) -> Kind {
        refusal(url).await.kind().clone()
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
    async fn a_server_that_begins_with_tls() {
        let server = encrypted_as("handshake_first: true").await;
        let ca = pem("ca.pem");
        accepted(&tls(&server, &format!("?tls_first=true&ca={ca}")), "PRIVATE KEY").await;
        let kind = failure(&tls(&server, &format!("?timeout_ms=2000&ca={ca}"))).await;
        assert!(matches!(kind, Kind::Unavailable { .. } | Kind::TimedOut { .. }), "{kind:?}");
    }

    /// What connects there is connected to the server.
    async fn forward(from: &str, server: &Server) -> u16 {
        let listener = tokio::net::TcpListener::bind((from, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = server.url.strip_prefix("nats://").unwrap().to_owned();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let mut server = tokio::net::TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_refused() {
        let server = encrypted(false).await;
        let ca = pem("ca.pem");
        // It is for `localhost` and 127.0.0.1, and all of 127.0.0.0/8 is this machine.
        for (from, names) in
            [("127.0.0.1", ["127.0.0.1", "localhost"]), ("127.0.0.2", ["127.0.0.2"; 2])]
        {
            let port = forward(from, &server).await;
            for name in names {
                let url = format!("tls://{name}:{port}?ca={ca}");
                if from == "127.0.0.1" {
                    accepted(&url, "PRIVATE KEY").await;
                } else {
                    let error = refusal(&url).await;
                    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
                    let why = error.source().unwrap().to_string();
                    assert!(why.contains("not valid for name"), "{why}");
                }
            }
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
