//! What happens to the broker in a round.

use std::time::Duration;

use futures::future::join_all;

use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::round::Kind;

/// A broker, or nodes of it, that will be away for a while.
#[derive(Clone, Debug)]
pub(crate) struct Fault<'a> {
    broker: &'a Broker,
    /// Whether they keep their connections and do nothing, instead of dying.
    hangs: bool,
    /// Those that are hit; `None` is the broker as a whole.
    nodes: Vec<Option<u32>>,
    /// How long they are away, at the least.
    pub(crate) away: Duration,
}

impl<'a> Fault<'a> {
    /// The fault of a round. Each round hits another node than the one before, so whichever leads is hit
    /// in turn.
    ///
    /// # Errors
    /// [`Error::NoNodes`] if the broker has too few nodes for others to be left.
    pub(crate) fn new(broker: &'a Broker, kind: Kind, round: u32, away: Duration) -> Result<Self> {
        if kind == Kind::Broker {
            return Ok(Self { broker, hangs: false, nodes: vec![None], away: Duration::ZERO });
        }
        let all = broker.nodes()?;
        if all < 3 {
            return Err(Error::NoNodes { name: broker.name().to_owned() });
        }
        let hit = if kind == Kind::Majority { all / 2 + 1 } else { 1 };
        let nodes = (0..hit).map(|next| Some((round + next) % all + 1)).collect();
        Ok(Self { broker, hangs: kind == Kind::Hang, nodes, away })
    }

    /// Returns when they are away.
    pub(crate) async fn begin(&self) -> Result<()> {
        self.run(if self.hangs { "pause" } else { "kill" }).await
    }

    /// Returns when they answer again, with their data.
    pub(crate) async fn end(&self) -> Result<()> {
        self.run(if self.hangs { "resume" } else { "restart" }).await
    }

    /// For all nodes at once: one may wait for another to start.
    async fn run(&self, script: &str) -> Result<()> {
        let nodes = self.nodes.iter().map(|node| self.broker.run(script, *node));
        join_all(nodes).await.into_iter().collect()
    }
}
