//! A node: follows the log, answers clients while it leads, and tries to lead if nobody does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msgstream::produce::SessionConfig;
use msgstream::transport::Transport;
use msgstream::{Error, Producer, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::replica::{self, Replica, Set};

/// A leader ticks at least so often.
const TICK: Duration = Duration::from_millis(100);
/// If no tick was seen for so long, and a little longer on each node, nobody leads.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a client asks for, and where the answer goes.
struct Request {
    key: String,
    /// `None` asks for the value.
    value: Option<String>,
    answer: oneshot::Sender<String>,
}

/// Serves until the process is killed. The first line on stdout is the address for clients.
pub(crate) async fn run(number: u32, url: &str, channel: &str) -> Result<()> {
    let broker = msgstream::connect(url).await?;
    let replica = replica::empty();
    let (requests, mut asked) = mpsc::channel(64);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    thread::spawn(move || accept(&listener, &requests));

    let lead = async {
        loop {
            // Whoever asks now must ask another one.
            while let Ok(Request { answer, .. }) = asked.try_recv() {
                drop(answer.send("not the leader".to_owned()));
            }
            let silent = replica.borrow().heard.elapsed();
            if silent < PATIENCE + number * PATIENCE / 2 {
                sleep(TICK / 4).await;
                continue;
            }
            match lead(broker.clone(), channel, &replica, &mut asked).await {
                // Another node leads.
                Err(Error::Fenced { .. }) => {}
                ended => return ended,
            }
            replica.send_modify(|replica| replica.heard = Instant::now());
        }
    };
    tokio::select! {
        followed = replica::follow(broker.clone(), channel, &replica) => followed,
        led = lead => Ok(led?),
    }
}

/// Leads until another node does. Opening the session voids what the leader before still writes.
async fn lead(
    broker: Arc<dyn Transport>,
    channel: &str,
    replica: &watch::Sender<Replica>,
    asked: &mut mpsc::Receiver<Request>,
) -> Result<(), Error> {
    let producer = Producer::builder(broker).channels([channel]);
    // Every node has the same id: that is what there can be one of.
    let mut producer = producer.session(SessionConfig::new(channel)).open().await?;
    let mut last = producer.opened().watermarks[channel];
    loop {
        let mut requests = Vec::new();
        if let Ok(Some(first)) = timeout(TICK, asked.recv()).await {
            requests.push(first);
            while let Ok(next) = asked.try_recv() {
                requests.push(next);
            }
        }
        // Times grow from one leader to the next, whatever their clocks say.
        let clock = Timestamp::from_system_time(SystemTime::now()).unwrap_or_default();
        last = clock.max(last.next());
        let sets = requests.iter().filter_map(|request| {
            let (key, value) = (request.key.clone(), request.value.clone()?);
            Some(Set { at: last, key, value })
        });
        let sets: Vec<_> = sets.collect();
        if !sets.is_empty() {
            producer.send(sets).await?;
        }
        producer.tick(last).await?;
        // If this succeeds, no other node led before the tick, so all up to it counts.
        producer.confirm().await?;
        let mut seen = replica.subscribe();
        let Ok(seen) = seen.wait_for(|replica| replica.applied >= last).await else {
            return Ok(());
        };
        for Request { key, value, answer } in requests {
            let found =
                if value.is_some() { Some("ok") } else { seen.keys.get(&key).map(|v| &**v) };
            drop(answer.send(found.map_or("none".to_owned(), |found| format!("= {found}"))));
        }
    }
}

/// A thread for each client: lines with a request, lines with the answer.
fn accept(listener: &TcpListener, requests: &mpsc::Sender<Request>) {
    for stream in listener.incoming().flatten() {
        let requests = requests.clone();
        thread::spawn(move || drop(serve(stream, &requests)));
    }
}

fn serve(mut stream: TcpStream, requests: &mpsc::Sender<Request>) -> Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let mut words = line.splitn(3, ' ');
        let (value, key) = match (words.next(), words.next(), words.next()) {
            (Some("get"), Some(key), None) => (None, key.to_owned()),
            (Some("set"), Some(key), Some(value)) => (Some(value.to_owned()), key.to_owned()),
            _ => {
                writeln!(stream, "write `get KEY` or `set KEY VALUE`")?;
                continue;
            }
        };
        let (answer, answered) = oneshot::channel();
        requests.blocking_send(Request { key, value, answer })?;
        // A leader that is no longer one answers nothing: whether the value is set isn't known.
        writeln!(stream, "{}", answered.blocking_recv().unwrap_or("unknown".to_owned()))?;
    }
    Ok(())
}
