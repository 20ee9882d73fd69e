//! A place between client and broker, where frames get lost and change.

use std::sync::{Arc, Mutex};

use msgstream_core::registry::Url;
use pulsar::message::proto::base_command::Type;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

type Change = dyn Fn(Type, &mut [u8]) -> bool + Send + Sync;

/// Passes on what it gets, by a rule. It ends with this handle.
pub(crate) struct Proxy {
    /// The broker's URL, by way of the proxy.
    pub(crate) url: String,
    cut: Arc<Notify>,
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
        let cut = Arc::new(Notify::new());
        let cuts = Arc::clone(&cut);
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                let (client, _) = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    () = cuts.notified() => {
                        pipes.shutdown().await;
                        continue;
                    }
                };
                let (client_read, client_write) = client.into_split();
                let (read, write) = TcpStream::connect(&broker).await.unwrap().into_split();
                pipes.spawn(pass(client_read, write, Arc::clone(&rule)));
                pipes.spawn(pass(read, client_write, Arc::clone(&rule)));
            }
        });
        Self { url, cut, _tasks: tasks }
    }

    /// Ends all connections that there are. New ones can be made.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
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

/// A place between client and admin interface, where answers get lost.
pub(crate) struct AdminProxy {
    /// The broker's URL, with the proxy as the admin interface.
    pub(crate) url: String,
    lose: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl AdminProxy {
    /// Loses one answer to a request that begins so, for each of these.
    pub(crate) async fn start(url: &str, lose: &[&str]) -> Self {
        let (broker, admin) = url.split_once("?admin=http://").unwrap();
        let admin = admin.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{broker}?admin=http://{}", listener.local_addr().unwrap());
        let lose = Arc::new(Mutex::new(lose.iter().map(|&begin| begin.to_owned()).collect()));
        let (mut tasks, to_lose) = (JoinSet::new(), Arc::clone(&lose));
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let admin = TcpStream::connect(&admin).await.unwrap();
                pipes.spawn(pass_requests(client, admin, Arc::clone(&to_lose)));
            }
        });
        Self { url, lose, _tasks: tasks }
    }

    /// How many answers are still to be lost.
    pub(crate) fn left(&self) -> usize {
        self.lose.lock().unwrap().len()
    }
}

/// Until one side ends, or an answer is to be lost. The client sends a request at once.
async fn pass_requests(mut client: TcpStream, mut admin: TcpStream, lose: Arc<Mutex<Vec<String>>>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut loses = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                loses |= is_to_be_lost(&lose, &asked[..length]);
                if admin.write_all(&asked[..length]).await.is_err() { return };
            }
            read = admin.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if loses || client.write_all(&answered[..length]).await.is_err() { return };
            }
        }
    }
}

/// Whether the answer to this is; the next one to the like isn't.
fn is_to_be_lost(lose: &Mutex<Vec<String>>, request: &[u8]) -> bool {
    let mut lose = lose.lock().unwrap();
    let at = lose.iter().position(|begin| request.starts_with(begin.as_bytes()));
    at.map(|at| lose.remove(at)).is_some()
}
