//! To whom a token is sent.

use std::sync::{Arc, Mutex};

use msgstream_conformance::unique_name;
use msgstream_core::transport::{Start, TransportErrorKind as Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::access::LEAST;
use crate::support::{
    admin, create, open, open_with, read_from, record, refusal, shared, times, write,
};

/// A host that answers each request by sending to another, by a rule; and what it was asked.
struct Elsewhere {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Elsewhere {
    /// The rule makes the address of a path.
    async fn start(rule: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, rule, mut tasks) = (Arc::clone(&asked), Arc::new(rule), JoinSet::new());
        tasks.spawn(async move {
            let mut all = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (heard, rule) = (Arc::clone(&heard), Arc::clone(&rule));
                all.spawn(async move {
                    let mut request = Vec::new();
                    while !request.windows(4).any(|part| part == b"\r\n\r\n") {
                        if !matches!(client.read_buf(&mut request).await, Ok(1..)) {
                            return;
                        }
                    }
                    let request = String::from_utf8(request).unwrap();
                    let path = request.split(' ').nth(1).unwrap();
                    let to = rule(path);
                    heard.lock().unwrap().push(request.clone());
                    let answer = format!(
                        "HTTP/1.1 307 x\r\nLocation: {to}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                    );
                    // Who asked may be gone.
                    drop(client.write_all(answer.as_bytes()).await);
                });
            }
        });
        Self { port, asked, _tasks: tasks }
    }
}

/// The broker's own host and admin interface.
fn parts() -> (String, String) {
    let url = shared();
    let (broker, admin) = url.split_once("?admin=http://").unwrap();
    (broker.to_owned(), admin.to_owned())
}

/// A namespace in which `least` may read and write.
async fn namespace() -> String {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let rights = format!("namespaces/public/{namespace}/permissions/least");
    admin(&url, "POST", &rights, r#"["produce","consume"]"#).await;
    namespace
}

#[tokio::test]
async fn a_token_isn_t_sent_to_strangers() {
    let (broker, _) = parts();
    let trap = Elsewhere::start(|path| format!("http://127.0.0.1:1{path}")).await;
    let to = format!("http://localhost:{}", trap.port);
    let first = Elsewhere::start(move |path| format!("{to}{path}")).await;
    let url = format!("{broker}?admin=http://127.0.0.1:{}", first.port);
    let options = format!("&token={}", LEAST.trim());
    let kind = refusal(open_with(&url, &options).await);
    let Kind::Config { reason } = &kind else { panic!("{kind}") };
    assert!(reason.contains("localhost") && reason.contains("token isn't sent"), "{reason}");
    assert!(!first.asked.lock().unwrap().is_empty());
    assert_eq!(*trap.asked.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_token_is_sent_where_the_brokers_say_that_the_topic_is() {
    let (broker, admin) = parts();
    let namespace = namespace().await;
    // The broker says of itself that it is at 127.0.0.1; the URL says that it is at localhost.
    let near = admin.replace("127.0.0.1", "localhost");
    let whole = format!("/admin/v2/persistent/public/{namespace}");
    let first = Elsewhere::start(move |path| match path == whole {
        true => format!("http://{near}{path}"),
        false => format!("http://{admin}{path}"),
    })
    .await;
    let broker = broker
        .replace("127.0.0.1", "localhost")
        .replace("public/default", &format!("public/{namespace}"));
    let url = format!("{broker}?admin=http://localhost:{}", first.port);
    let owner = open(&shared().replace("public/default", &format!("public/{namespace}"))).await;
    let channel = create(&*owner).await;
    // The broker remembers for a while who may do what.
    let options = format!("&token={}", LEAST.trim());
    let transport = loop {
        match open_with(&url, &options).await {
            Ok(transport) => break transport,
            Err(error) => assert!(matches!(refusal(Err(error)), Kind::Denied { .. })),
        }
    };
    write(&*transport, &channel, vec![record(7)]).await;
    assert_eq!(times(&read_from(&*transport, &channel, Start::Earliest).await), [7]);
    let asked = first.asked.lock().unwrap();
    assert!(asked.iter().all(|request| request.to_lowercase().contains("authorization: bearer")));
}
