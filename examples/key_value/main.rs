//! A small replicated key-value service whose log is a channel.
//!
//! `cargo run --example key_value [URL]`
//!
//! Three processes serve the same keys. One of them leads: it is the one whose session on the channel was opened
//! last. Here they are killed, the leader most often, while a client writes and reads: what was acknowledged is there.

mod client;
mod node;
mod replica;

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Client, Node};
use msgstream::transport::TransportExt as _;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const NODES: usize = 3;
const ROUNDS: u64 = 24;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("--node") {
        let mut next = || arguments.next().ok_or("--node NUMBER URL CHANNEL");
        return node::run(next()?.parse()?, &next()?, &next()?).await;
    }

    let folder = tempfile::tempdir()?;
    let url = first.unwrap_or(format!("file://{}", folder.path().display()));
    // With a broker, a channel of an earlier run may be there.
    let channel = format!("keys-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    msgstream::connect(&url).await?.create(&channel).await?;

    // From here on this process only kills and asks.
    tokio::task::block_in_place(|| {
        let start = |number| Node::start(number, &url, &channel);
        let mut nodes = (0..NODES).map(start).collect::<Result<Vec<_>>>()?;
        let mut client = Client::default();
        for round in 1..=ROUNDS {
            client.set(&nodes, "round", &round.to_string())?;
            if round % 4 == 0 {
                // Three times the leader, then another one.
                let killed =
                    if round % 16 == 0 { (client.leader() + 1) % NODES } else { client.leader() };
                nodes[killed].kill()?;
                println!("round {round:2}: node {killed} was killed");
                assert_eq!(client.get(&nodes, "round")?.as_deref(), Some(&*round.to_string()));
                nodes[killed] = start(killed)?;
            }
            assert_eq!(client.get(&nodes, "round")?.as_deref(), Some(&*round.to_string()));
            println!("round {round:2}: node {} leads, and has {round}", client.leader());
        }
        assert_eq!(client.get(&nodes, "nothing")?, None);
        nodes.iter_mut().try_for_each(Node::kill)
    })
}
