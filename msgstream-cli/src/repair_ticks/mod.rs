//! `msgstream repair-ticks`: copies a channel without the ticks of a clock that was wrong.

mod args;
mod copy;
mod plan;

use std::io::{IsTerminal as _, Write as _};

use msgstream::transport::{CreateOptions, Transport, TransportErrorKind};
use serde::Serialize;

pub(crate) use self::args::RepairTicksArgs;
use self::plan::{Filter, Plan};
use crate::error::{Error, Result};
use crate::output::print_json;
use crate::settings::connect_existing;
use crate::time::Time;
use crate::words::say;

/// How many of the ticks are named.
const NAMED: usize = 5;

/// Runs the command.
pub(crate) async fn run(args: &RepairTicksArgs) -> Result<()> {
    let broker = connect_existing(&args.url).await?;
    let done = repair(&*broker, args).await;
    let closed = broker.close().await.map_err(Error::from);
    let done = done?;
    if args.json {
        print_json(&done)?;
    } else {
        done.words().iter().for_each(|line| say(line));
    }
    closed
}

/// What was done, as JSON.
#[derive(Debug, Serialize)]
struct Done<'a> {
    channel: &'a str,
    result: Outcome,
    /// Where its records are now.
    new_channel: Option<String>,
    /// How many were copied.
    records: Option<u64>,
    /// Whether a producer still writes to the old channel.
    written_since: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Repaired,
    AlreadyRepaired,
    NothingToDo,
}

impl Done<'_> {
    fn words(&self) -> Vec<String> {
        let (from, into) = (self.channel, self.new_channel.as_deref().unwrap_or_default());
        let go_on = format!(
            "name `{into}` instead of `{from}` in producers and consumers, and destroy `{from}` once nobody \
             reads it"
        );
        match self.result {
            Outcome::NothingToDo => {
                vec![format!("no tick of `{from}` is too far ahead: there is nothing to do")]
            }
            Outcome::AlreadyRepaired => vec![format!("`{from}` was repaired already: {go_on}")],
            Outcome::Repaired => {
                let copied = self.records.unwrap_or_default();
                let mut lines = vec![format!("copied {copied} records to `{into}`")];
                if self.written_since {
                    lines.push(format!(
                        "a producer still writes to `{from}`, after its end: that was not copied"
                    ));
                }
                lines.push(go_on);
                lines
            }
        }
    }
}

async fn repair<'a>(broker: &dyn Transport, args: &'a RepairTicksArgs) -> Result<Done<'a>> {
    let (from, into) = (&args.channel, args.new_channel());
    if into == *from {
        return Err(Error::Usage("--into must name another channel".to_owned()));
    }
    let done = |result, new_channel| Done {
        channel: from,
        result,
        new_channel,
        records: None,
        written_since: false,
    };
    let plan = Plan::of(broker, args).await?;
    if let Some(end) = plan.end
        && let Some(into) = copy::rest(broker, from, end).await?.repaired
        && is_there(broker, &into).await?
    {
        return Ok(done(Outcome::AlreadyRepaired, Some(into)));
    }
    if plan.out.is_empty() {
        return Ok(done(Outcome::NothingToDo, None));
    }
    if is_there(broker, &into).await? {
        return Err(Error::IntoExists { from: from.clone(), into });
    }
    let lines = describe(&plan, from, &into);
    match args.yes {
        true => lines.iter().for_each(|line| say(line)),
        false => ask(&lines).await?,
    }

    // Before the channel is ended, because a name may be refused.
    let properties = broker.describe(from).await?.properties;
    broker.create_with(&into, CreateOptions::from(properties)).await?;
    let half = |source| Error::HalfCopied { channel: into.clone(), source };
    // Once it has ended, no producer opens it any more, so that nothing is written that isn't copied.
    let end = match plan.end {
        Some(end) => end,
        None => match copy::end(broker, from, plan.watermark).await {
            Ok(end) => end,
            Err(source) => {
                let deleted = broker.delete(&into).await;
                return Err(match deleted {
                    Ok(()) => source.into(),
                    Err(_) => half(source),
                });
            }
        },
    };
    let copied = copy::copy(broker, from, &into, end, Filter::new(args)).await.map_err(half)?;
    copy::note_copied(broker, from, plan.watermark, &into).await?;
    let written_since = copy::rest(broker, from, end).await?.goes_on;
    let done = done(Outcome::Repaired, Some(into));
    Ok(Done { records: Some(copied), written_since, ..done })
}

impl RepairTicksArgs {
    fn new_channel(&self) -> String {
        // A partition's name, `orders:0`, has a character that no name of a topic has.
        let name = || format!("{}.repaired", self.channel.replace(':', "-"));
        self.into.clone().unwrap_or_else(name)
    }
}

/// Returns whether there is such a channel.
pub(crate) async fn is_there(broker: &dyn Transport, channel: &str) -> Result<bool> {
    match broker.describe(channel).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), TransportErrorKind::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns what will be written, in lines.
fn describe(plan: &Plan, from: &str, into: &str) -> Vec<String> {
    let wrong = |(position, ts): &(_, _)| {
        format!("the tick {} at {position} of `{from}` is wrong", Time(*ts))
    };
    let mut lines: Vec<_> = plan.out.iter().take(NAMED).map(wrong).collect();
    if plan.out.len() > NAMED {
        lines.push(format!("and {} more", plan.out.len() - NAMED));
    }
    lines.push("this will be written:".to_owned());
    if plan.end.is_none() {
        lines.push(format!("- to `{from}`, its end: nothing that follows is delivered"));
    }
    lines.push(format!(
        "- to the new channel `{into}`, the other {} records of `{from}`, unchanged, without its end",
        plan.kept
    ));
    if plan.late > 0 {
        lines.push(format!("{} messages are late for other ticks, and stay so", plan.late));
    }
    lines
}

/// Says what will be written, however quiet the program is to be, and asks whether to go on.
async fn ask(plan: &[String]) -> Result<()> {
    let mut err = std::io::stderr();
    plan.iter().for_each(|line| drop(writeln!(err, "{line}")));
    if !std::io::stdin().is_terminal() {
        return Err(Error::Unasked);
    }
    drop(write!(err, "Go on? [y/N] "));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match answer.await {
        Ok(Ok(line)) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) => Ok(()),
        _ => Err(Error::Declined),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_new_channel_may_be_a_topic() {
        for (channel, name) in [("orders", "orders.repaired"), ("orders:2", "orders-2.repaired")] {
            let args = RepairTicksArgs::parse_from(["repair-ticks", "kafka://localhost", channel]);
            assert_eq!(args.new_channel(), name);
        }
    }
}
