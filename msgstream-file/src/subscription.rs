//! Durable cursors.

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{Result, Subscription};

use crate::client::Attached;
use crate::position::offset;

/// A cursor in a file of its own.
#[derive(Debug)]
pub(crate) struct FileSubscription {
    at: Attached,
    /// The file's name.
    name: String,
}

impl FileSubscription {
    pub(crate) async fn open(at: Attached, name: String) -> Result<Self, Failure> {
        let (log, own) = (at.log.clone(), name.clone());
        let make = move |held: &_| {
            log.keep()?;
            log.make_cursor(held, &own)
        };
        at.handle.locked(&at.log, make).await?;
        Ok(Self { at, name })
    }

    async fn move_to(&self, before: Position) -> Result<(), Failure> {
        self.at.handle.check_open()?;
        let before = offset(before)?;
        let (log, name) = (self.at.log.clone(), self.name.clone());
        self.at.handle.locked(&self.at.log, move |held| log.ack(held, &name, before)).await
    }

    async fn look(&self) -> Result<Option<Position>, Failure> {
        self.at.handle.check_open()?;
        let (log, name) = (self.at.log.clone(), self.name.clone());
        let acked = self.at.handle.blocking(move || log.acked(&name)).await?;
        Ok(acked.map(Position::new))
    }
}

#[async_trait]
impl Subscription for FileSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        self.move_to(before).await.map_err(|failure| self.at.error("ack", failure))
    }

    async fn acked(&self) -> Result<Option<Position>> {
        self.look().await.map_err(|failure| self.at.error("acked", failure))
    }
}
