//! What happens to the broker in a round.

use std::time::Duration;

use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::round::Kind;

/// A broker, or nodes of it, that will be away for a while.
#[derive(Clone, Debug)]
pub(crate) struct Fault<'a> {
    broker: &'a Broker,
    kind: Kind,
    /// Those that are hit; none if all are at once.
    nodes: Vec<u32>,
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
            return Ok(Self { broker, kind, nodes: Vec::new(), away: Duration::ZERO });
        }
        let all = broker.nodes()?;
        if all < 3 {
            return Err(Error::NoNodes { name: broker.name().to_owned() });
        }
        let hit = if kind == Kind::Majority { all / 2 + 1 } else { 1 };
        let nodes = (0..hit).map(|next| (round + next) % all + 1).collect();
        Ok(Self { broker, kind, nodes, away })
    }

    pub(crate) async fn begin(&self) -> Result<()> {
        if self.nodes.is_empty() {
            return self.broker.kill(None).await;
        }
        for node in &self.nodes {
            match self.kind {
                Kind::Hang => self.broker.pause(*node).await?,
                _ => self.broker.kill(Some(*node)).await?,
            }
        }
        Ok(())
    }

    pub(crate) async fn end(&self) -> Result<()> {
        if self.nodes.is_empty() {
            return self.broker.restart(None).await;
        }
        for node in &self.nodes {
            match self.kind {
                Kind::Hang => self.broker.resume(*node).await?,
                _ => self.broker.restart(Some(*node)).await?,
            }
        }
        Ok(())
    }
}
