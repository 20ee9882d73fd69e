//! `msgstream channels`: which channels there are, and what is known of them.

mod args;
mod description;
mod trim;

use std::sync::Arc;

use msgstream::service::OwnerDescription;
use msgstream::transport::{CreateOptions, Transport};
use serde::Serialize;

pub(crate) use self::args::ChannelsArgs;
use self::args::Verb;
use self::description::{Cursor, Description};
use self::trim::Trimmed;
use crate::args::Point;
use crate::asked::Asked;
use crate::error::{Error, Result, chain};
use crate::output::{Lines, print_json};
use crate::settings::{connect, connect_existing};
use crate::words::say;

/// Runs the command.
pub(crate) async fn run(args: &ChannelsArgs) -> Result<()> {
    match &args.verb {
        Verb::List { url, prefixes, json } => {
            let broker = connect_existing(url).await?;
            on(broker, async |broker| list(&*broker, prefixes, *json).await).await
        }
        Verb::Create { url, channels, owner, properties, json } => {
            let options = options(owner.as_deref(), properties)?;
            let broker = connect(url).await?;
            let done = on(broker, async |broker| create(&*broker, channels, &options, *json).await);
            done.await.map_err(|error| Asked::Create.of(channels, error))
        }
        Verb::Describe { url, channels, json } => {
            let broker = connect_existing(url).await?;
            let done = on(broker, async |broker| describe(&*broker, channels, *json).await);
            done.await.map_err(|error| Asked::Describe.of(channels, error))
        }
        Verb::Destroy { url, channels, json } => {
            let broker = connect_existing(url).await?;
            let done = on(broker, async |broker| destroy(&*broker, channels, *json).await);
            done.await.map_err(|error| Asked::Destroy.of(channels, error))
        }
        Verb::Trim { url, channels, before, json } => {
            let broker = connect_existing(url).await?;
            let done = on(broker, async |broker| trim(&*broker, channels, *before, *json).await);
            done.await.map_err(|error| Asked::Trim.of(channels, error))
        }
    }
}

/// What was done with a channel, as JSON.
#[derive(Debug, Serialize)]
struct Done<'a> {
    channel: &'a str,
    result: &'static str,
}

/// Reports that something was done with a channel.
fn report(channel: &str, result: &'static str, json: bool) -> Result<()> {
    if json {
        return print_json(&Done { channel, result });
    }
    say(&format!("{result} `{channel}`"));
    Ok(())
}

/// Does the work, and closes.
async fn on(
    broker: Arc<dyn Transport>,
    work: impl AsyncFnOnce(Arc<dyn Transport>) -> Result<()>,
) -> Result<()> {
    let done = work(broker.clone()).await;
    done.and(broker.close().await.map_err(Error::from))
}

async fn list(broker: &dyn Transport, prefixes: &[String], json: bool) -> Result<()> {
    #[derive(Serialize)]
    struct Name<'a> {
        channel: &'a str,
    }

    let names = names(broker, prefixes).await?;
    if names.is_empty() {
        say_none(prefixes);
    }
    let mut lines = Lines::stdout();
    for channel in names {
        match json {
            true => lines.json(&Name { channel: &channel })?,
            false => lines.text(&channel)?,
        }
    }
    lines.flush()
}

/// Says that no channel begins with one of the prefixes, or that there are none at all.
fn say_none(prefixes: &[String]) {
    let named: Vec<_> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
    match named.is_empty() {
        true => say("there are no channels"),
        false => say(&format!("there are no channels whose names begin with {}", named.join(", "))),
    }
}

/// Returns the channels that begin with one of the prefixes, each once; all if there are none.
async fn names(broker: &dyn Transport, prefixes: &[String]) -> Result<Vec<String>> {
    if prefixes.is_empty() {
        return Ok(broker.list("").await?);
    }
    let mut names = Vec::new();
    for prefix in prefixes {
        names.extend(broker.list(prefix).await?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

async fn create(
    broker: &dyn Transport,
    channels: &[String],
    options: &CreateOptions,
    json: bool,
) -> Result<()> {
    for channel in channels {
        broker.create_with(channel, options.clone()).await?;
        report(channel, "created", json)?;
    }
    Ok(())
}

async fn destroy(broker: &dyn Transport, channels: &[String], json: bool) -> Result<()> {
    for channel in channels {
        broker.delete(channel).await?;
        report(channel, "destroyed", json)?;
    }
    Ok(())
}

fn options(owner: Option<&str>, properties: &[String]) -> Result<CreateOptions> {
    let mut options = owner.map_or_else(CreateOptions::new, |role| {
        let owner = OwnerDescription { role: role.to_owned(), ..OwnerDescription::default() };
        owner.to_properties().into()
    });
    for property in properties {
        let Some((name, value)) = property.split_once('=').filter(|(name, _)| !name.is_empty())
        else {
            return Err(Error::NoProperty { property: property.clone() });
        };
        options = options.with_property(name, value);
    }
    Ok(options)
}

async fn describe(broker: &dyn Transport, channels: &[String], json: bool) -> Result<()> {
    let all = match channels.is_empty() {
        true => broker.list("").await?,
        false => channels.to_vec(),
    };
    if all.is_empty() {
        say_none(&[]);
    }
    let mut lines = Lines::stdout();
    for channel in &all {
        let info = broker.describe(channel).await?;
        let description = Description::of(channel, info, cursors(broker, channel).await?);
        match json {
            true => lines.json(&description)?,
            false => lines.text(&description)?,
        }
    }
    lines.flush()
}

/// Returns where the subscriptions of a channel stand, `None` if the broker has none.
async fn cursors(broker: &dyn Transport, channel: &str) -> Result<Option<Vec<Cursor>>> {
    if !broker.capabilities().subscriptions {
        return Ok(None);
    }
    let mut cursors = Vec::new();
    for name in broker.subscriptions(channel).await? {
        let acked = async { broker.subscription(channel, &name).await?.acked().await };
        let acked = match acked.await {
            Ok(acked) => acked.map(|acked| acked.to_string()),
            // As of one that consumers of other programs use.
            Err(error) => {
                say(&format!("the place of subscription `{name}` isn't known: {}", chain(&error)));
                None
            }
        };
        cursors.push(Cursor { name, acked });
    }
    Ok(Some(cursors))
}

async fn trim(
    broker: &dyn Transport,
    channels: &[String],
    before: Point,
    json: bool,
) -> Result<()> {
    for channel in channels {
        let trimmed = Trimmed::trim(broker, channel, before).await?;
        match json {
            true => print_json(&trimmed)?,
            false => say(&trimmed.to_string()),
        }
    }
    Ok(())
}
