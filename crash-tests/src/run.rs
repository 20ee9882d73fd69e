//! The subcommands that start processes.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::args::{Load, Restart, Rounds};
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::folder::Folder;
use crate::plan::{Plan, Rng};
use crate::report::{Row, Table};
use crate::round::{Kind, Outcome, Round};
use crate::say;

/// On so many physical channels are the virtual ones of a round.
const PHYSICAL: u32 = 3;

/// Up to so many rounds are tried for each that must count, and for a first one.
const TRIES: u32 = 5;

pub(crate) async fn rounds(url: &str, args: &Rounds) -> Result<Table> {
    let Rounds { messages, producers, load, .. } = args;
    let hit = args.kind.iter().any(|kind| kind.is_of_broker());
    let broker = if hit { Some(broker_of(url, load)?) } else { None };
    can_be_killed(url).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(now.as_secs());
    say(&format!("seed {seed}"));
    let mut table = Table::default();
    for kind in args.kind.iter().copied() {
        let broker = broker.as_ref();
        let (messages, producers) = (*messages, *producers);
        let away = Duration::from_secs(args.away);
        let series = Series { url, broker, away, kind, seed, messages, producers, load };
        let mut rng = Rng(seed);
        // Scripts take their time to kill a broker, so it is to be early.
        let latest = if kind.is_of_broker() { 0.5 } else { 0.9 };
        let row = Row::new(kind.name());
        table.0.push(series.run(row, args.rounds, || vec![rng.share() * latest]).await?);
    }
    Ok(table)
}

pub(crate) async fn restart(url: &str, args: &Restart) -> Result<Table> {
    let Restart { messages, producers, load } = args;
    let broker = broker_of(url, load)?;
    can_be_killed(url).await?;
    let (broker, kind, seed) = (Some(&broker), Kind::Broker, 0);
    let (messages, producers) = (*messages, *producers);
    let away = Duration::ZERO;
    let series = Series { url, broker, away, kind, seed, messages, producers, load };
    let row = series.run(Row::new("broker, twice"), 1, || vec![1.0 / 3.0, 0.5]).await?;
    Ok(Table(vec![row]))
}

/// Rounds of one kind.
struct Series<'a> {
    url: &'a str,
    broker: Option<&'a Broker>,
    away: Duration,
    kind: Kind,
    seed: u64,
    messages: u64,
    producers: u32,
    load: &'a Load,
}

impl Series<'_> {
    /// Tries rounds until enough have counted.
    async fn run(
        &self,
        mut row: Row,
        wanted: u32,
        mut kills: impl FnMut() -> Vec<f64>,
    ) -> Result<Row> {
        while row.counted < wanted {
            if row.rounds >= wanted.saturating_add(1).saturating_mul(TRIES) {
                let (counted, tried) = (row.counted, row.rounds);
                return Err(Error::TooFew { wanted, counted, tried });
            }
            let plan = self.plan(row.rounds);
            let outcome = self.round(&plan, row.rounds, &kills()).await?;
            if !outcome.counts {
                say(&format!("{}: round {} doesn't count", row.kind, row.rounds));
            }
            row.add(plan.messages(), &outcome);
        }
        Ok(row)
    }

    /// The plan of a round. Two runs at a time have channels of their own.
    fn plan(&self, round: u32) -> Plan {
        let Self { url, seed, messages, producers, load: Load { channels, deadline, .. }, .. } =
            *self;
        let numbers = messages.div_ceil(u64::from(producers) * u64::from(*channels));
        let prefix = format!("crash-{seed:x}-{}-{}-{round}", std::process::id(), self.kind.name());
        let physical = url.starts_with("virtual+").then_some(PHYSICAL);
        Plan { prefix, physical, producers, channels: *channels, numbers, deadline: *deadline }
    }

    /// One round, in a folder that stays where it goes wrong.
    async fn round(&self, plan: &Plan, round: u32, kills: &[f64]) -> Result<Outcome> {
        let Self { broker, away, kind, seed, .. } = *self;
        let fault = broker.filter(|_| kind.is_of_broker());
        let fault = fault.map(|broker| Fault::new(broker, kind, round, away)).transpose()?;
        let fault = fault.as_ref();
        let url = &plan.url(self.url);
        let temporary = tempfile::tempdir().map_err(Error::file(Path::new("temporary folder")))?;
        let folder = &Folder::new(temporary.path());
        let outcome = match (Round { url, fault, plan, folder }).run(kind, kills).await {
            Err(late @ Error::Deadline { .. }) => {
                say(&format!("what the processes did is in {}", temporary.keep().display()));
                return Err(late);
            }
            outcome => outcome?,
        };
        let wrong = &outcome.found.wrong;
        if wrong.count > 0 {
            let (count, first) = (wrong.count, wrong.first.clone());
            let folder = temporary.keep();
            return Err(Error::Wrong { kind: kind.name(), seed, round, count, first, folder });
        }
        Ok(outcome)
    }
}

fn broker_of(url: &str, load: &Load) -> Result<Broker> {
    Broker::new(load.broker.as_deref().unwrap_or(scheme(url)))
}

async fn can_be_killed(url: &str) -> Result<()> {
    let transport = msgstream::connect(url).await?;
    if !transport.capabilities().persistent {
        return Err(Error::NothingToKill { scheme: scheme(url).to_owned() });
    }
    Ok(transport.close().await?)
}

/// The scheme of a URL, without that of a layer.
fn scheme(url: &str) -> &str {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    scheme.rsplit_once('+').map_or(scheme, |(_, below)| below)
}
