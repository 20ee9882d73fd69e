//! A place between client and broker, where frames get lost and change.

use std::sync::Arc;

use msgstream_core::registry::Url;
use pulsar::message::proto::base_command::Type;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Change = dyn Fn(Type, &mut [u8]) -> bool + Send + Sync;

/// Passes on what it gets, by a rule. It ends with this handle.
pub(crate) struct Proxy {
    /// The broker's URL, by way of the proxy.
    pub(crate) url: String,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// The rule may change a frame, not its length; a frame for which it says no is dropped.
    pub(crate) async fn start(
        url: &str,
        rule: impl Fn(Type, &mut [u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let broker = Url::parse(url).unwrap();
        let broker = format!("{}:{}", broker.host_str().unwrap(), broker.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let url = url.replacen(&broker, &here, 1);
        let (from, to) = (broker.clone(), here);
        let rule: Arc<Change> = Arc::new(move |kind, frame| {
            // Who asks for the broker is sent here again.
            if kind == Type::LookupResponse {
                replace(frame, from.as_bytes(), to.as_bytes());
            }
            rule(kind, frame)
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (client_read, client_write) = client.into_split();
                let (read, write) = TcpStream::connect(&broker).await.unwrap().into_split();
                pipes.spawn(pass(client_read, write, Arc::clone(&rule)));
                pipes.spawn(pass(read, client_write, Arc::clone(&rule)));
            }
        });
        Self { url, _tasks: tasks }
    }
}

/// Until one side ends.
async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    rule: Arc<Change>,
) {
    while let Ok(length) = from.read_u32().await {
        let mut frame = vec![0; length as usize];
        if from.read_exact(&mut frame).await.is_err() {
            return;
        }
        // The length of the command, and its first field, which is its type.
        let kind = Type::try_from(i32::from(frame[5])).unwrap();
        if rule(kind, &mut frame) {
            let sent = [&length.to_be_bytes()[..], &frame].concat();
            if to.write_all(&sent).await.is_err() {
                return;
            }
        }
    }
}

/// Where the one stands, the other is put, which is as long.
pub(crate) fn replace(frame: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    if let Some(at) = frame.windows(from.len()).position(|part| part == from) {
        frame[at..at + to.len()].copy_from_slice(to);
    }
}
